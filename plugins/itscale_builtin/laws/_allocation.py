"""Allocation of a context length: the optimal frontier of configurations, and what a choice loses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from itscale.outcomes import FloatArray, IntArray
from itscale.plugins.laws import TableData
from itscale_builtin.laws.rag_allocation import RagAllocation, RagAllocationOptions

__all__ = ["FrontierPoint", "eps_sensitivity", "optimal_frontier", "regret"]


@dataclass(frozen=True)
class FrontierPoint:
    """The best configuration within a length; `configuration` is None where none fits."""

    length: float
    configuration: int | None
    performance: float


def optimal_frontier(
    performance: FloatArray,
    lengths: FloatArray,
    limits: Sequence[float],
    rng: np.random.Generator | None = None,
) -> list[FrontierPoint]:
    """Return `P*(L) = max over theta of mean_i P_i(theta)`, theta such that l_i <= L for ALL questions i.

    Parameters
    ----------
    performance, lengths
        Of each question under each configuration: performance, and realised effective context length;
        shape (configurations, questions).
    limits
        L, tokens.
    rng
        If given, a configuration is chosen by a random half of the questions and judged by the others: the
        largest of a hundred noisy means is too large, but by no fault of a half it has not seen.
    """
    questions = performance.shape[1]
    order = np.arange(questions) if rng is None else rng.permutation(questions)
    half = questions if rng is None else questions // 2
    chosen_by, judged_by = (order, order) if rng is None else (order[:half], order[half:])
    longest = lengths.max(axis=1)
    points = []
    for limit in limits:
        feasible = np.flatnonzero(longest <= limit)
        if len(feasible) == 0:
            points.append(FrontierPoint(float(limit), None, float("nan")))
            continue
        best = int(feasible[np.argmax(performance[np.ix_(feasible, chosen_by)].mean(axis=1))])
        points.append(FrontierPoint(float(limit), best, float(performance[best, judged_by].mean())))
    return points


def regret(performance: FloatArray, predicted: FloatArray, longest: FloatArray, limit: float) -> float:
    """Return `P(theta_hat) / P(theta*)` within a length: 1 where the model picks the best configuration.

    Parameters
    ----------
    performance, predicted, longest
        Of each configuration: true and predicted performance, longest question; shape (configurations,).
    limit
        L, tokens; at least one configuration must fit.
    """
    feasible = np.flatnonzero(longest <= limit)
    picked: IntArray = feasible[np.argmax(predicted[feasible])]
    return float(performance[picked] / performance[feasible].max())


def eps_sensitivity(
    options: RagAllocationOptions, data: TableData, values: Sequence[float] = (0.001, 0.01, 0.1, 1.0)
) -> dict[float, float]:
    """Return R^2 of the law at each eps, which the paper does not give; log(eps) weighs rows with k = 0."""
    scores = {}
    for eps in values:
        law = RagAllocation(options.model_copy(update={"eps": eps}))
        residuals = data.response - law.predict(law.fit(data), data.inputs)
        spread = data.response - data.response.mean()
        scores[eps] = 1 - float(residuals @ residuals) / float(spread @ spread)
    return scores
