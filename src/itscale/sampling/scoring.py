"""The desk of scorers: what a scorer asks of models, answered once per unit and charged."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from itscale.errors import ContractError
from itscale.plugins.place import Place, Shown
from itscale.sampling.asked import own_chat, own_key, own_params, own_trajectories
from itscale.sampling.desk import Desk, storable
from itscale.sampling.ledger import Ledger
from itscale.sampling.progress import Tally, UnitTally
from itscale.seeds import digest, seed63
from itscale.types import Engine, Generation, Message, Problem, SamplingParams, Trajectory

__all__ = ["Answers", "ChargedDesk"]


class Answers:
    """What models answered to a scorer's questions about one unit, and what that cost.

    Parameters
    ----------
    ledger
        What is charged.
    known
        Answers (JSON values) by digests of the questions.
    """

    def __init__(self, ledger: Ledger, known: dict[str, Any] | None = None) -> None:
        self.ledger = ledger
        self.known = {} if known is None else known

    def keep(self, answers: Mapping[str, Any], spent: Ledger) -> None:
        """Keep answers, and charge what was spent on them."""
        self.known.update(answers)
        self.ledger.add(spent)


class ChargedDesk:
    """A scorer's way to the models, for one unit; `itscale.types.ScorerDesk` says how it is used.

    A question that was answered is not asked again. The stream of an answer is a function of scorer, problem,
    model, chat and key alone: neither order nor latency, nor how completions are cut into blocks, changes it.

    Parameters
    ----------
    problem
        What is scored is about it.
    engines
        By the labels that the scorer's options name; that of the model that is sampled by the empty one, if
        the scorer needs it.
    model
        Label of the model that is sampled.
    scorer
        Label of the scorer.
    stream
        JSON values the random streams derive from, beside problem and question.
    answers
        What was answered before, and where the rest is kept.
    reads
        Tokens that a model reads to score a trajectory, None where nobody counted them; LookupError if it is
        none of those that are scored.
    place
        How messages call the scorer.
    tally
        Where what is generated is counted while it is.
    """

    def __init__(
        self,
        problem: Problem,
        engines: Mapping[str, Engine],
        *,
        model: str,
        scorer: str,
        stream: Sequence[Any],
        answers: Answers,
        reads: Callable[[Trajectory], int | None],
        place: Place | None = None,
        tally: UnitTally | None = None,
    ) -> None:
        self._problem = problem
        self._engines = engines
        self._model = model
        self._scorer = scorer
        self._stream = (*stream, problem.problem_id)
        self._answers = answers
        self._reads = reads
        self._place = place or Place("verifiers", scorer)
        self._tally = tally or Tally().unit(0)
        self._asking: dict[str, asyncio.Lock] = {}
        self._rewarding = asyncio.Lock()

    async def generate(
        self, messages: Sequence[Message], params: SamplingParams, *, by: str | None = None, key: str = ""
    ) -> Generation:
        """Return a model's answer to a chat.

        Raises
        ------
        ContractError
            If `by` is no model of the scorer, or the chat is none.
        """
        by = self._named("desk.generate()", by)
        what, about = "desk.generate()", self._problem.problem_id
        chat = tuple(map(dict, own_chat(self._place, what, _storable(messages), about)))
        own_params(self._place, what, params, about), own_key(self._place, what, key, about)
        question = digest(["generate", by, chat, asdict(params), key])
        async with self._asking.setdefault(question, asyncio.Lock()):  # who asks it meanwhile waits
            if question not in self._answers.known:
                seed = seed63(*self._stream, by, chat, key)
                fresh = Trajectory(self._problem.question, messages=chat)
                spent = Ledger()
                try:
                    (made,) = await self._desk(spent).generate(fresh, params, [seed], by, [])
                except BaseException:
                    self._answers.keep({}, spent)  # of what is cancelled some was generated
                    raise
                self._answers.keep({question: asdict(replace(made, token_ids=()))}, spent)
        return Generation(**{**self._answers.known[question], "token_ids": ()})  # JSON has no tuples

    async def rewards(self, trajectories: Sequence[Trajectory], *, by: str | None = None) -> list[float]:
        """Return a model's reward of each trajectory.

        Raises
        ------
        ContractError
            If `by` is no model of the scorer, or a trajectory none of those that are scored.
        """
        by = self._named("desk.rewards()", by)
        given = own_trajectories(self._place, "desk.rewards()", trajectories, self._problem.problem_id)
        read = [self._tokens_read(one) for one in given]
        questions = [_question(by, one) for one in given]
        async with self._rewarding:  # who asks for the same meanwhile finds it answered
            new = {name: at for at, name in enumerate(questions) if name not in self._answers.known}
            if new:
                counts = [read[at] for at in new.values()]
                prompt = None if None in counts else sum(count or 0 for count in counts)
                spent = Ledger()
                rewards = await self._desk(spent).rewards([given[at] for at in new.values()], by, prompt)
                self._answers.keep(dict(zip(new, rewards, strict=True)), spent)
        return [float(self._answers.known[question]) for question in questions]

    def _desk(self, spent: Ledger) -> Desk:
        return Desk(self._problem, self._engines, self._model, spent, self._tally, self._scorer)

    def _named(self, what: str, by: str | None) -> str:
        """Return the label of a model as engines are filed by it; refuse one that is not the scorer's."""
        label = "" if by is None else by
        if label in self._engines and (label or by is None):
            return label
        if by is None:
            expected = "a label, or an entry with needs: else the sampled model is not started"
        else:
            named = " or ".join(sorted(filter(None, self._engines)))
            expected = named or "no label: the scorer's options name no model by ModelLabel"
        raise self._broken(f"{what}: by", by, expected)

    def _tokens_read(self, trajectory: Trajectory) -> int | None:
        try:
            return self._reads(trajectory)
        except (LookupError, AttributeError):
            expected = "one that score() was given, or that such a one continues"
            raise self._broken("desk.rewards()", Shown(repr(trajectory)[:80]), expected) from None

    def _broken(self, what: str, found: Any, expected: str) -> ContractError:
        return self._place.broken(what, found, expected, self._problem.problem_id)


def _question(by: str, trajectory: Trajectory) -> str:
    chat = [dict(message) for message in trajectory.chat]
    steps = [(step.text, step.tokens, step.given) for step in trajectory.steps]
    return digest(["score", by, chat, steps, trajectory.finish_reason])


def _storable(messages: Any) -> Any:
    """Return a chat whose texts can be stored; whatever is no chat is returned as it is."""
    try:
        return [{name: storable(text) for name, text in message.items()} for message in messages]
    except (TypeError, AttributeError):
        return messages
