"""Clusters and counts of problems, for intervals."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from itscale.outcomes import Estimand, IntArray
from itscale.plugins.entries import SelectorEntry

__all__ = ["Counted", "clusters_of", "counted_curve"]

Counted = tuple[IntArray, IntArray, IntArray]
"""Completions and correct ones of each problem, shape (problems,); k of each point, shape (budgets,)."""


def clusters_of(problems: Sequence[str], pattern: str | None) -> list[str] | None:
    """Return the cluster of each problem: what of its id matches, first group first; its id if nothing does.

    None where every problem is resampled for itself.
    """
    if pattern is None:
        return None
    found = [(problem, re.search(pattern, problem)) for problem in problems]
    return [
        problem if match is None else (match.groups() or (match[0],))[0] or "" for problem, match in found
    ]


def counted_curve(
    entry: SelectorEntry, sampled: IntArray, correct: IntArray, budgets: IntArray
) -> Counted | None:
    """Return the counts whose coverage a selector's curve is; None where it is no coverage.

    One of k completions, taken without a look at the others, is right as often as a single one: its curve is
    coverage at k = 1.
    """
    ks: Mapping[Estimand, IntArray] = {"coverage": budgets, "single": np.ones_like(budgets)}
    return (sampled, correct, ks[entry.estimand]) if entry.estimand in ks else None
