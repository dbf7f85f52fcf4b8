"""Ranking of the candidates of a search: what the scores along a path make together, and who comes first."""

from collections.abc import Sequence
from typing import Literal

from itscale.outcomes import FloatArray
from itscale.types import Trajectory
from itscale_builtin.verifiers.process_reward import AGGREGATES

__all__ = ["AGGREGATES", "Aggregation", "best"]

Aggregation = Literal["last", "min", "product", "mean"]
"""How the scores of the steps of a path make one."""


def best(
    candidates: Sequence[Trajectory], scores: Sequence[float] | FloatArray, count: int
) -> list[Trajectory]:
    """Return those with the highest scores, best first.

    Equal ones go by their names in the tree, which are digests: no place in a list is favoured, and which
    candidate is listed first changes nothing.
    """
    ranked = sorted(range(len(candidates)), key=lambda place: (-scores[place], candidates[place].node))
    return [candidates[place] for place in ranked[:count]]
