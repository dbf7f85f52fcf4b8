"""Models that a verifier asks: started with its job, asked at a desk for each completion, charged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from itscale.boundary import CheckedEngine, Place, cost_of, make_engine
from itscale.errors import EngineError
from itscale.plugins.entries import VerifierEntry
from itscale.plugins.given import own_problem
from itscale.plugins.ingredient import Ingredient
from itscale.sampling.journal import JournalledAnswers, Run, ScoreJournal
from itscale.sampling.judged import Judged
from itscale.sampling.scoring import ChargedDesk
from itscale.seeds import digest, seed63
from itscale.stages.cores import share_cores
from itscale.study.study import Study
from itscale.types import Completion, Problem, Trajectory

__all__ = ["Asking", "Progress", "close_all", "scorer_stream", "spending"]

Progress = Callable[[Judged], None]
"""Called with how far a block is, whenever that changes."""


def scorer_stream(study: Study, task: str, scorer: Ingredient[VerifierEntry]) -> tuple[Any, ...]:
    """Return the JSON values that the streams of a verifier's questions derive from, beside the problem."""
    return study.config.seed, "scorer", task, digest(study.scorer_fingerprint(scorer))


class _Closes(Protocol):
    async def close(self) -> None: ...


async def close_all(*held: _Closes | None) -> None:
    """Close verifiers and engines, all of them whatever one raises; what the first raised is raised."""
    closing = (one.close() for one in held if one is not None)
    for error in await asyncio.gather(*closing, return_exceptions=True):
        if isinstance(error, BaseException):
            raise error


def spending(journal: ScoreJournal, candidates: Sequence[Completion]) -> list[dict[str, Any]]:
    """Return the rows of the ledger of a block that was verified, by run (or pool)."""
    first: dict[Run, int] = {}
    for one in candidates:
        run = one.problem_id, one.budget, one.replicate
        first[run] = 0 if one.budget else min(one.index, first.get(run, one.index))
    return [
        row
        for run in sorted(journal.ledgers.keys() & first.keys())
        for row in journal.ledgers[run].rows(
            {"problem_id": run[0], "budget": run[1], "replicate": run[2], "start": first[run]}
        )
    ]


@dataclass
class Asking:
    """What a job that verifies a block asks models by.

    Attributes
    ----------
    model
        Label of the model that was sampled.
    model_directories
        Where models were prepared that were, by label.
    content
        Hash of the completions.
    journal
        Where verdicts and answers are kept.
    progress
        Who is told how far it is.
    done
        How far it is.
    seconds
        How long its verdicts took so far, once models were there.
    engines
        Those that were started, by the labels that the verifier's options name; that of the model that is
        sampled by the empty one.
    answers
        What models answered, by run (or pool).
    """

    study: Study
    task: str
    model: str
    verifier: Ingredient[VerifierEntry]
    model_directories: Mapping[str, Path]
    content: str
    journal: ScoreJournal
    progress: Progress = lambda done: None
    done: Judged = field(default_factory=Judged)
    seconds: float = 0.0
    engines: dict[str, CheckedEngine] = field(default_factory=dict)
    answers: dict[Run, JournalledAnswers] = field(default_factory=dict)
    _began: float = field(default_factory=time.perf_counter)

    def start(self, left: int) -> None:
        """Start the models that the verifier asks; refuse one that, as configured, lacks what it has to do.

        Parameters
        ----------
        left
            How many verdicts are to be made.
        """
        verifier = self.verifier
        wanted = {"": self.model} if verifier.needs else {}
        wanted |= {label: label for label in self.study.models_asked_by(verifier)}
        stream = (self.study.config.seed, "verification", verifier.label, self.content, left)
        share_cores(self.study.models[label] for label in dict.fromkeys(wanted.values()))
        for number, (name, label) in enumerate(wanted.items()):
            model = self.study.models[label]
            model.require_installed()
            seed = (seed63(*stream) + number) % 2**31
            directory = self.model_directories.get(label)
            engine = self.engines[name] = make_engine(model, seed=seed, model_directory=directory)
            lacking = sorted((verifier.asks if name else verifier.needs) - engine.offers)
            if lacking:
                raise EngineError(
                    f"verifiers.{verifier.label} needs {', '.join(lacking)} of the engine; "
                    f"models.{label} as configured offers {', '.join(sorted(engine.offers))}"
                )
        if self.engines:
            seeded = all(engine.seed_scope == "completion" for engine in self.engines.values())
            simulated = any(engine.simulated for engine in self.engines.values())
            scope = "completion" if seeded else "block"
            self.journal.know({"simulated": simulated, "seed_scope": scope})
        self._began = time.perf_counter()

    def at_once(self) -> asyncio.Semaphore:
        """Return what bounds how many verdicts are asked for at the same time."""
        return asyncio.Semaphore(cost_of(self.verifier).at_once)

    def desk(
        self, problem: Problem, run: Run, knows: Callable[[Trajectory], bool] = lambda trajectory: False
    ) -> ChargedDesk:
        """Return a desk: what is asked at it is charged to a run (or pool), and answered once in it.

        Parameters
        ----------
        knows
            Whether a trajectory may be rewarded there.
        """
        return ChargedDesk(
            own_problem(problem),
            self.engines,
            model=self.model,
            scorer=self.verifier.label,
            stream=scorer_stream(self.study, self.task, self.verifier),
            answers=self.answers.setdefault(run, JournalledAnswers(self.journal, run)),
            knows=knows,
            place=Place.of(self.verifier),
        )

    def tell(self, verdicts: int, *, failed: bool = False, made: bool = True) -> None:
        """Note that there are so many verdicts more."""
        self.done.verdicts += verdicts
        self.done.failed += verdicts * failed
        self.done.made += verdicts * made
        self.seconds = time.perf_counter() - self._began
        self.progress(replace(self.done))
