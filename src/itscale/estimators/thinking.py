"""Thinking at several budgets: how well its length is controlled, and what more of it is worth."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import numpy.typing as npt

__all__ = ["control", "normalised_regret", "performance", "scaling"]


def control(lengths: npt.ArrayLike, least: float, most: float) -> float:
    """Return the share of completions whose thinking has a length from `least` to `most` tokens.

    Muennighoff et al. 2025 (s1), section 3.2, equation 1: 1 is perfect control.
    """
    found = _some("control", lengths=lengths)[0]
    return float(np.mean((found >= least) & (found <= most)))


def scaling(budgets: npt.ArrayLike, accuracies: npt.ArrayLike) -> float:
    """Return the mean slope of accuracy against thinking tokens, over all pairs of budgets.

    Muennighoff et al. 2025 (s1), section 3.2, equation 2: per token, positive where thinking longer helps.

    Parameters
    ----------
    budgets
        Thinking tokens, all different; at least two.
    accuracies
        Accuracy at each.
    """
    tokens, accuracy = _some("scaling", budgets=budgets, accuracies=accuracies)
    if len(tokens) < 2 or len(np.unique(tokens)) < len(tokens):
        raise ValueError(f"scaling: budgets: found {tokens.tolist()}, expected at least two, all different")
    pairs = combinations(range(len(tokens)), 2)
    return float(np.mean([(accuracy[b] - accuracy[a]) / (tokens[b] - tokens[a]) for a, b in pairs]))


def performance(accuracies: npt.ArrayLike) -> float:
    """Return the best accuracy at any budget (Muennighoff et al. 2025, s1, section 3.2, equation 3)."""
    return float(_some("performance", accuracies=accuracies)[0].max())


def normalised_regret(tokens: npt.ArrayLike, accuracies: npt.ArrayLike, most: float) -> float:
    """Return 1 minus the mean accuracy over all token budgets from 0 to `most`: 0 is best, 1 is worst.

    Qu et al. 2025 (meta reinforcement fine-tuning): the curve begins at no token and accuracy 0, is linear
    between points, and keeps its last value up to `most`. Take the mean over rollouts of a problem before,
    and over problems after.

    Parameters
    ----------
    tokens
        Tokens of each prefix and its answer, positive and increasing.
    accuracies
        Accuracy of the answers forced there.
    most
        C0, the largest budget. Points beyond it are cut off.
    """
    spent, accuracy = _some("normalised_regret", tokens=tokens, accuracies=accuracies)
    if np.any(np.diff(spent, prepend=0.0) <= 0) or most <= 0:
        found = f"tokens {spent.tolist()} and most {most}"
        raise ValueError(f"normalised_regret: found {found}, expected increasing tokens, all above 0")
    places, values = np.append(0.0, spent), np.append(0.0, accuracy)
    ends = np.append(places[places < most], most)
    return float(1 - np.trapezoid(np.interp(ends, places, values), ends) / most)


def _some(what: str, **given: npt.ArrayLike) -> list[npt.NDArray[np.float64]]:
    """Return arrays of one length, at least 1; ValueError if they are none."""
    arrays = [np.asarray(values, dtype=np.float64) for values in given.values()]
    shapes = {values.shape for values in arrays}
    if len(shapes) > 1 or arrays[0].ndim != 1 or not arrays[0].size or not np.isfinite(arrays).all():
        told = " and ".join(f"{name} of shape {one.shape}" for name, one in zip(given, arrays, strict=True))
        raise ValueError(f"{what}: found {told}, expected finite numbers, as many of each, at least one")
    return arrays
