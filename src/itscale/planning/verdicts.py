"""Verdicts that a study asks for: how long they take, and what they cost at most."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nlargest
from pathlib import Path
from typing import Any

from itscale.boundary import cost_of
from itscale.errors import DataError
from itscale.plugins.entries import VerifierEntry
from itscale.plugins.ingredient import Ingredient
from itscale.store.parquet import read_metadata
from itscale.study.imported import Combination
from itscale.study.study import Study
from itscale.types import Capability

__all__ = [
    "VerdictExtent",
    "completions_judged_in",
    "seconds_per_verdict",
    "stated_seconds",
    "verdict_extents",
]

READING: frozenset[Capability] = frozenset({"rewards", "step_rewards", "embed"})
"""What models do that read and generate nothing."""

LATEST = 4
"""Blocks read: the latest tell what the machine does now."""


@dataclass(frozen=True)
class VerdictExtent:
    """What a verifier that asks models is asked.

    Attributes
    ----------
    verifier, models
        Its label, and those of the models that it asks.
    verdicts
        How many completions it judges; an answer is judged once, so there may be fewer questions.
    tokens
        Most tokens that models generate for them, without what strategies ask; None where nobody knows.
    while_sampling
        Whether strategies ask it, too, as often as they like.
    """

    verifier: str
    models: tuple[str, ...]
    verdicts: int
    tokens: int | None
    while_sampling: bool


def stated_seconds(verifier: Ingredient[VerifierEntry]) -> float:
    """Return how long a verdict takes, others beside it, as its entry says; 0 where it does not."""
    cost = cost_of(verifier)
    return cost.seconds / cost.at_once


def completions_judged_in(study: Study, task: str, seconds: float) -> float:
    """Return how many completions of a task all of its verifiers judge in a time, as their entries say."""
    each = (stated_seconds(study.verifier(task, label)) for label in study.verifiers_of(task))
    return min((seconds / one for one in each if one), default=math.inf)


def seconds_per_verdict(folder: Path) -> float | None:
    """Return how long a verdict took in the latest blocks that say it, others beside it.

    Parameters
    ----------
    folder
        Where the verdicts of a verifier on a combination are.
    """
    files = nlargest(LATEST, folder.glob("p*.parquet"), key=lambda path: (path.stat().st_mtime_ns, path.name))
    told = [timing for path in files if (timing := _timing(path))]
    return sum(seconds for _, seconds in told) / sum(verdicts for verdicts, _ in told) if told else None


def _timing(path: Path) -> tuple[int, float] | None:
    try:
        timing: dict[str, Any] = read_metadata(path).get("timing", {})
        verdicts, seconds = int(timing["verdicts"]), float(timing["seconds"])
    except (DataError, KeyError, TypeError, ValueError, AttributeError):
        return None  # damaged, or of an earlier version
    return (verdicts, seconds) if verdicts > 0 and 0 < seconds < math.inf else None


def verdict_extents(study: Study, completions: dict[Combination, int]) -> Iterator[VerdictExtent]:
    """Yield what each verifier that asks models is asked, of so many completions of each combination."""
    asked = {study.scorer_of(strategy) for strategy in study.strategies}
    while_sampling = {scorer.label for scorer in asked if scorer is not None}
    judged: dict[str, int] = {}
    verifiers: dict[str, Ingredient[VerifierEntry]] = {}
    for (task, _, _), sampled in completions.items():
        for label in study.verifiers_of(task):
            verifiers[label] = study.verifier(task, label)
            judged[label] = judged.get(label, 0) + sampled
    for label, verifier in verifiers.items():
        models = tuple(study.models_asked_by(verifier))
        if verifier.needs:
            models = (*study.sampled_models, *(one for one in models if one not in study.sampled_models))
        if models:
            each = cost_of(verifier).tokens
            if each is None and verifier.asks | verifier.needs <= READING:
                each = 0
            tokens = None if each is None else each * judged[label]
            yield VerdictExtent(label, models, judged[label], tokens, label in while_sampling)
