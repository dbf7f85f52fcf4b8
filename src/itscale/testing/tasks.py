"""The contract of a task: problems that can be put, told apart and judged."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import ClassVar

from itscale.boundary import Place, make_problems
from itscale.plugins.registry import registry
from itscale.testing.entries import EntryContract, kept_word
from itscale.testing.judged import judged
from itscale.types import Problem

__all__ = ["TaskContract"]


class TaskContract(EntryContract):
    """Tests of a task, on its first `problems` problems."""

    problems: ClassVar[int] = 8

    def first(self) -> list[Problem]:
        """Return the first problems."""
        return list(islice(self.make(), self.problems))

    def test_there_are_problems(self) -> None:
        """An empty task would make an empty study."""
        assert self.first()

    def test_problems_are_whole(self) -> None:
        """Each has an id, a chat to put to the model, and a reference; all of it can be stored."""
        for problem in self.first():
            assert isinstance(problem, Problem)
            assert problem.problem_id
            assert problem.messages, f"{problem.problem_id}: no messages"
            for message in problem.messages:
                assert message.keys() == {"role", "content"}
                assert message["role"] in ("system", "user", "assistant")
                assert message["content"].strip()
            assert isinstance(problem.reference, str)
            assert problem.reference.strip(), f"{problem.problem_id}: no reference"
            assert json.loads(json.dumps(problem.metadata, allow_nan=False)) == dict(problem.metadata)

    def test_a_study_takes_its_problems(self) -> None:
        """Every field is checked where problems enter."""
        with kept_word():
            make_problems(self.ingredient(), self.problems)

    def test_ids_are_unique(self) -> None:
        """Every random stream of a problem derives from its id."""
        ids = [problem.problem_id for problem in self.first()]
        assert len(set(ids)) == len(ids)

    def test_the_same_options_give_the_same_problems(self) -> None:
        """A task asked twice for its problems gives them in the same order."""
        assert self.first() == self.first()

    def test_its_oracle_accepts_every_reference(self) -> None:
        """The verifier the task names judges the reference itself correct."""
        entry = registry().get("verifiers", self.entry.oracle).entry
        oracle, place = entry.factory(entry.options()), Place("verifiers", entry.name)
        for problem in self.first():
            answer = oracle.answer(problem, problem.reference)
            assert answer is not None, f"{problem.problem_id}: {entry.name} finds no answer in the reference"
            (verdict,) = judged(oracle, place, problem, [answer])
            assert verdict.correct is True, f"{problem.problem_id}: {verdict}"

    def test_files_that_options_name_are_part_of_the_fingerprint(self) -> None:
        """Else a study goes on with the problems of a file as it was."""
        options = self.validated()
        named = {value for _, value in options if isinstance(value, Path)}
        watched = set(map(Path, self.entry.files(options).values()))
        unwatched = sorted(map(str, named - watched))
        assert not unwatched, f"files() leaves out {', '.join(unwatched)}, which the options name"
