"""Outcomes of one problem as selectors see them, and their accuracy against k."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import numpy as np
import numpy.typing as npt

__all__ = [
    "COMPLETIONS",
    "COVERAGE",
    "DESIGNS",
    "ESTIMANDS",
    "UNPARSABLE",
    "Accuracy",
    "Design",
    "Estimand",
    "FloatArray",
    "IntArray",
    "ProblemOutcomes",
    "Selector",
    "selector_names",
]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

Design = Literal["fixed", "until_success", "adaptive"]
"""How the number of completions came about: chosen beforehand; sampled until so many were correct; or chosen
on the way from what was seen (the problem with fewest successes next). Most estimators are biased on the
latter two: see `itscale.estimators.require_fixed`."""

DESIGNS: tuple[Design, ...] = get_args(Design)

Estimand = Literal["coverage", "single", "selected", "reliability"]
"""What a selector's curve estimates: the share of problems of which any of k completions is correct
(`coverage`, pass@k), a single one taken without a look at the others (`single`, pass@1), the answer selected
from k (`selected`), or all k of them (`reliability`, pass^k)."""

ESTIMANDS: tuple[Estimand, ...] = get_args(Estimand)

COVERAGE: Estimand = "coverage"
"""The ceiling of every other curve: what is selected was drawn."""

COMPLETIONS = "completions"
"""What a budget counts: of every pool, and of runs unless their strategy says otherwise."""

UNPARSABLE = -1
"""Answer class of a completion without an answer: it is never voted for, and it still costs budget."""


@dataclass(frozen=True, kw_only=True)
class ProblemOutcomes:
    """The n completions of one problem (or of one run), judged.

    Attributes
    ----------
    problem_id
        The problem.
    answers
        Answer class of each completion, shape (n,); equal numbers are equivalent answers, `UNPARSABLE`
        where there is none.
    correct
        Whether each completion is correct, shape (n,), bool.
    scores
        By scorer label: score of each completion, shape (n,), in [0, 1]; higher is better.
    design
        How n came about; a selector whose estimate would be biased refuses all but `fixed`.
    wanted
        After how many correct completions sampling `until_success` stopped; fewer of them mean that a cap
        came first.
    """

    problem_id: str
    answers: IntArray
    correct: npt.NDArray[np.bool_]
    scores: Mapping[str, FloatArray]
    design: Design = "fixed"
    wanted: int = 1

    @property
    def n(self) -> int:
        """Number of completions."""
        return len(self.correct)


@dataclass(frozen=True, kw_only=True)
class Accuracy:
    """Expected accuracy of a selector on one problem, at each k.

    Attributes
    ----------
    mean
        Expectation over size-k subsets of the n completions (and ties), shape (len(budgets),), in [0, 1].
    monte_carlo_error
        Standard error of `mean` where it was simulated, 0 where it is exact; same shape. At most 0.05: draw a
        hundred times or more.
    drawn
        Mean number of completions that had to be drawn, in [1, k], same shape: what the selector is charged.
        None of one that looks at all k.
    """

    mean: FloatArray
    monte_carlo_error: FloatArray
    drawn: FloatArray | None = None


class Selector(Protocol):
    """Picks an answer from k completions and their verdicts."""

    def accuracy(self, outcomes: ProblemOutcomes, budgets: IntArray, rng: np.random.Generator) -> Accuracy:
        """Return the expected accuracy at every k of `budgets` (1 <= k <= n), using all n completions.

        At k = n it is the accuracy of selecting from all of them, which is what a run of a run-based
        strategy is judged by. Never above coverage at the same k.
        """
        ...


def selector_names(estimands: Mapping[str, Estimand]) -> dict[str, str]:
    """Return what a reader is shown in the place of each selector's label.

    Coverage goes by that word, whatever its label; a label that is the word for something else than the
    selector estimates is followed by what it does estimate.

    Parameters
    ----------
    estimands
        What each selector estimates, by its label.

    Examples
    --------
    >>> selector_names({"oracle": "coverage", "vote": "selected"})
    {'oracle': 'coverage', 'vote': 'vote'}
    >>> selector_names({"coverage": "selected"})
    {'coverage': 'coverage (selected)'}
    """
    alone = list(estimands.values()).count(COVERAGE) == 1

    def shown(label: str, estimand: Estimand) -> str:
        if estimand == COVERAGE:
            return COVERAGE if alone else f"{COVERAGE} ({label})"
        return f"{label} ({estimand})" if label in ESTIMANDS and label != estimand else label

    return {label: shown(label, estimand) for label, estimand in estimands.items()}
