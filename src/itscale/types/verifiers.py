"""Oracles and scorers, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from itscale.types.completions import Trajectory
from itscale.types.engines import Generation, SamplingParams
from itscale.types.logprobs import NextLogprobs, TextLogprobs
from itscale.types.pooling import Embedding, Reward
from itscale.types.problems import Message, Problem

__all__ = ["AsynchronousOracle", "Oracle", "Scorer", "ScorerDesk", "Verdict"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a verifier says of one completion.

    Attributes
    ----------
    correct
        An oracle's judgement; None from a scorer.
    score
        A scorer's number for the whole completion, in [0, 1]; None from an oracle.
    status
        `judged`, or why there is no judgement: `unparsable`, `timeout`, `error`. Not judged counts as
        wrong and is never dropped.
    detail
        One line on what went wrong, empty when judged.
    """

    correct: bool | None = None
    score: float | None = None
    status: Literal["judged", "unparsable", "timeout", "error"] = "judged"
    detail: str = ""


class Oracle(Protocol):
    """A verifier that knows what is correct.

    It lives as long as a job; `close`, if it has one, is called (and awaited) at the end. Where `judge` is a
    coroutine, it is an `AsynchronousOracle`.
    """

    def answer(self, problem: Problem, text: str) -> str | None:
        """Return the canonical final answer in a completion's text, None if there is none."""
        ...

    def classes(self, answers: Sequence[str]) -> list[str]:
        """Return for each distinct answer the representative of its equivalence class (itself, if alone)."""
        ...

    def judge(self, problem: Problem, answers: Sequence[str]) -> list[Verdict]:
        """Judge each distinct answer of a problem."""
        ...


class ScorerDesk(Protocol):
    """What a verifier asks models by; every call is charged to the model and to the verifier."""

    async def generate(
        self, messages: Sequence[Message], params: SamplingParams, *, by: str | None = None, key: str = ""
    ) -> Generation:
        """Return a model's answer to a chat.

        An equal question about one problem has an equal answer, whoever asks it when; where several answers
        to one chat are wanted, each takes a `key` of its own.

        Parameters
        ----------
        by
            Label of a model that the scorer's options name; the model that is sampled if left out.
        """
        ...

    async def rewards(self, trajectories: Sequence[Trajectory], *, by: str | None = None) -> list[Reward]:
        """Return a model's reward of each trajectory: one that is scored, or that begins as such a one."""
        ...

    async def embed(self, texts: Sequence[str], *, by: str | None = None) -> list[Embedding]:
        """Return a model's embedding of each text."""
        ...

    async def logprobs(
        self, messages: Sequence[Message], text: str, *, by: str | None = None
    ) -> TextLogprobs:
        """Return the log-probability of each token of a text as the answer to a chat."""
        ...

    async def next_logprobs(
        self, messages: Sequence[Message], text: str = "", *, top: int = 20, by: str | None = None
    ) -> NextLogprobs:
        """Return the `top` most probable tokens after a chat and the beginning of its answer."""
        ...


class AsynchronousOracle(Protocol):
    """An oracle that asks others: a model of the study, a server, a sandbox that takes its time.

    It is asked about one answer at a time, many of them at once; what is said is kept answer by answer.
    """

    def answer(self, problem: Problem, text: str) -> str | None:
        """Return the canonical final answer in a completion's text, None if there is none."""
        ...

    def classes(self, answers: Sequence[str]) -> list[str]:
        """Return for each distinct answer the representative of its equivalence class (itself, if alone)."""
        ...

    async def judge(self, problem: Problem, answers: Sequence[str], desk: ScorerDesk) -> list[Verdict]:
        """Judge each distinct answer of a problem."""
        ...


class Scorer(Protocol):
    """A verifier that scores trajectories, finished or not.

    It lives as long as a job; `close`, if it has one, is called (and awaited) at the end.
    """

    async def score(self, trajectories: Sequence[Trajectory], desk: ScorerDesk) -> list[float]:
        """Return a score in [0, 1] for each trajectory as it stands; higher is better."""
        ...
