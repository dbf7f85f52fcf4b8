"""Data of laws, and the results that laws return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from itscale.outcomes import Design, FloatArray, IntArray

__all__ = [
    "ENSEMBLE",
    "Asymptotic",
    "FitFailure",
    "FitWarning",
    "Law",
    "LawData",
    "Likelihood",
    "Penalised",
    "PosteriorPredictive",
    "Profiled",
    "Resampled",
    "TableData",
    "TableLaw",
]

ENSEMBLE = "ensemble"
"""What all laws of a study together are called in tables and figures."""


class FitFailure(Exception):  # noqa: N818 - a result with a reason, not an error
    """A law cannot be fitted to these data; the message is the reason, kept in the table of fits."""


class FitWarning(UserWarning):
    """A law was fitted, but its reader must know something: a bound was hit, a point was left out.

    A law gives it with `warnings.warn`; the message stands beside the fit in the table of fits.
    """


@dataclass(frozen=True, kw_only=True)
class LawData:
    """Coverage of one (task, model, strategy), as points and as counts.

    Attributes
    ----------
    budgets
        k of each point of the curve, increasing, > 0, shape (m,).
    coverage
        Coverage (or a selector's accuracy) at each k, shape (m,), in [0, 1].
    sampled, correct
        Per problem: completions sampled and how many are correct, shape (problems,). Empty where the
        strategy is run anew at each budget: its runs are no pool of independent completions.
    design
        How the number of completions came about. Likelihoods of counts don't mind; a curve does.
    """

    budgets: IntArray | FloatArray
    coverage: FloatArray
    sampled: IntArray
    correct: IntArray
    design: Design = "fixed"


@dataclass(frozen=True, kw_only=True)
class TableData:
    """Observations of a response at several covariates: training runs, models, retrieval settings.

    Attributes
    ----------
    inputs
        Each covariate by name, shape (rows,); NaN where it is missing.
    response
        What the law predicts, shape (rows,).
    """

    inputs: Mapping[str, FloatArray]
    response: FloatArray


class Law(Protocol):
    """A parametric family of curves against k, with a fitter.

    One with an attribute `unbounded` that is true predicts something else than shares, of any size.

    Attributes
    ----------
    parameters
        Names of the parameters, in order.
    estimand
        What the exponent among them means: `asymptotic`, or `effective slope` over the fitted range.
    """

    parameters: tuple[str, ...]
    estimand: str

    def fit(self, data: LawData, start: FloatArray | None = None) -> FloatArray:
        """Return the parameters, shape (len(parameters),).

        Parameters
        ----------
        data
            What is fitted.
        start
            The parameters of a fit to similar data, as a bootstrap refit has them: try these and one start
            that knows nothing of them, or the refits would cluster around the estimate by habit.

        Raises
        ------
        FitFailure
            With the reason, where the data do not determine them.
        """
        ...

    def predict(self, parameters: FloatArray, budgets: FloatArray) -> FloatArray:
        """Return coverage at each k (real, >= 1), same shape, in [0, 1]."""
        ...


@runtime_checkable
class Asymptotic(Protocol):
    """A law that says how failure (or -log coverage, the same far out) falls as k → ∞."""

    def asymptotic_exponent(self, parameters: FloatArray) -> float:
        """Return b > 0 where failure falls as `k^-b`; NaN where it levels off or falls faster."""
        ...


@runtime_checkable
class Likelihood(Protocol):
    """A law fitted by maximum likelihood of counts, comparable with others of the kind by AICc and BIC."""

    def log_likelihood(self, parameters: FloatArray, data: LawData) -> float:
        """Return log P(correct | sampled, parameters), summed over problems, binomial constant included."""
        ...


@runtime_checkable
class PosteriorPredictive(Protocol):
    """A law that can also forecast the very problems it was fitted to, each from its own counts."""

    def predict_problems(
        self, parameters: FloatArray, sampled: IntArray, correct: IntArray, budgets: FloatArray
    ) -> FloatArray:
        """Return the posterior mean coverage of each problem at each k, shape (problems, m)."""
        ...


@runtime_checkable
class Resampled(Protocol):
    """A law that fits many resamples of one data set at once, which may be far quicker than one by one."""

    def fit_resamples(self, resamples: Sequence[LawData], start: FloatArray) -> FloatArray:
        """Return what `fit(data, start)` would of each, shape (resamples, len(parameters)).

        A row of NaN is fitted by `fit` after all, which gives the reason where there is no fit.
        """
        ...


@runtime_checkable
class Profiled(Protocol):
    """A law of which counts hardly tell some parameters: refits would understate how little."""

    def profile_intervals(
        self, parameters: FloatArray, data: LawData, confidence: float
    ) -> Mapping[str, tuple[float, float]]:
        """Return intervals of such parameters by profile likelihood, by name; they take the place of refits'.

        Parameters
        ----------
        parameters
            What `fit` returned for these data.
        confidence
            Level, in (0, 1).
        """
        ...


@runtime_checkable
class Penalised(Protocol):
    """A law of free form with a penalty: data decide fewer parameters than it has."""

    def effective_parameters(self, parameters: FloatArray, data: LawData) -> float:
        """Return how many parameters the data decide, in (0, len(parameters)]."""
        ...


class TableLaw(Protocol):
    """A parametric family over several covariates, with a fitter.

    Attributes
    ----------
    inputs
        Names of the covariates it reads, in order.
    parameters, estimand
        As in `Law`.
    """

    inputs: tuple[str, ...]
    parameters: tuple[str, ...]
    estimand: str

    def fit(self, data: TableData, start: FloatArray | None = None) -> FloatArray:
        """Return the parameters; see `Law.fit`."""
        ...

    def predict(self, parameters: FloatArray, inputs: Mapping[str, FloatArray]) -> FloatArray:
        """Return the response at each row of the inputs, shape (rows,)."""
        ...

    def scale(self, inputs: Mapping[str, FloatArray]) -> FloatArray:
        """Return what a hold-out calls large, mostly compute, > 0, shape (rows,)."""
        ...
