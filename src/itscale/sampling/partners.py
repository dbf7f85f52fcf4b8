"""Partners of a session: helper models, a scorer, and what it may ask of the oracle."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from itscale.types import Engine, Scorer, Trajectory

__all__ = ["Partners", "SessionScorer", "may_not_ask"]


@dataclass(frozen=True, kw_only=True)
class SessionScorer:
    """A scorer that a session may ask.

    Attributes
    ----------
    scorer, label
        What is asked, and its label in the study.
    engines
        What it asks: the models that its options name, by label; that of the model that is sampled by the
        empty one, if it needs that.
    stream
        JSON values the random streams of its questions derive from, beside the problem.
    """

    scorer: Scorer
    label: str
    engines: Mapping[str, Engine] = field(default_factory=dict)
    stream: Sequence[Any] = ()


def _asks_nobody(text: str) -> str | None:
    raise RuntimeError("this session has no oracle to find answers with")


def may_not_ask(text: str) -> bool:
    """Refuse to say whether a text is correct: most strategies may not know."""
    raise RuntimeError("this session may not ask the oracle: declare asks_oracle in the strategy's entry")


@dataclass(frozen=True, kw_only=True)
class Partners:
    """Whom a session works with besides the model that is sampled.

    Attributes
    ----------
    helpers
        Engines of helper models, by their labels.
    scorer
        What `score` asks; None if the strategy scores nothing.
    inner
        Strategies that this one draws from, by label: each is called with the session and a name of the
        completion that it is to make there.
    answer
        Finds the final answer in a text.
    passes
        Says whether the oracle takes a text for correct.
    """

    helpers: Mapping[str, Engine] = field(default_factory=dict)
    scorer: SessionScorer | None = None
    inner: Mapping[str, Callable[[Any, str], Awaitable[Trajectory]]] = field(default_factory=dict)
    answer: Callable[[str], str | None] = _asks_nobody
    passes: Callable[[str], bool] = may_not_ask
