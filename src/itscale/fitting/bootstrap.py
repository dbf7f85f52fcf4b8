"""A law fitted, and fitted again to resampled problems: the parameters, and what is uncertain about them."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Literal, Protocol, TypeVar

import numpy as np

from itscale.estimators import parameter_interval
from itscale.fitting.evidence import Evidence
from itscale.outcomes import FloatArray
from itscale.plugins.laws import FitFailure, FitWarning, Law, Resampled

__all__ = ["Fitted", "bounds", "fit_again", "fit_once", "fit_with_refits", "symmetric_bounds"]

AT_ONCE = 250
"""Resamples that are held, and where a law can, fitted, at once."""

PILE = 0.05
"""Share of refits at the very same least or largest value that makes it a bound."""


D = TypeVar("D", contravariant=True)


class Fitter(Protocol[D]):
    """What a law of a curve, of counts or of a table has in common: it is fitted to data of its kind."""

    def fit(self, data: D, start: FloatArray | None = None) -> FloatArray:
        """Return the parameters; see `itscale.plugins.laws.Law.fit`."""
        ...


@dataclass(frozen=True)
class Fitted:
    """A law's parameters, and those of its refits.

    Attributes
    ----------
    law
        The law.
    parameters
        The estimate, shape (p,).
    refits
        Parameters from each resample of problems, shape (refits, p); NaN where that refit failed, so that
        row r of any law belongs to the same resample.
    remarks
        What the law said of the fit (`FitWarning`), and why refits failed.
    kind
        What it predicts: `coverage`, or any `series`.
    """

    law: Law
    parameters: FloatArray
    refits: FloatArray
    remarks: tuple[str, ...] = ()
    kind: Literal["coverage", "series"] = "coverage"

    @property
    def succeeded(self) -> FloatArray:
        """The refits that did not fail, shape (refits - failed, p)."""
        return self.refits[~np.isnan(self.refits).any(axis=1)]

    def predict(self, budgets: FloatArray) -> FloatArray:
        """Return coverage (or the series) at each k, shape (m,)."""
        return self._within(self.law.predict(self.parameters, budgets))

    def predict_refits(self, budgets: FloatArray) -> FloatArray:
        """Return what each refit predicts, shape (refits, m); NaN where it failed."""
        predicted = np.full((len(self.refits), len(budgets)), np.nan)
        for row in np.flatnonzero(~np.isnan(self.refits).any(axis=1)):
            predicted[row] = self._within(self.law.predict(self.refits[row], budgets))
        return predicted

    def _within(self, predicted: FloatArray) -> FloatArray:
        return np.clip(predicted, 0.0, 1.0) if self.kind == "coverage" else np.asarray(predicted)


def fit_with_refits(law: Law, evidence: Evidence, refits: int, rng: np.random.Generator) -> Fitted:
    """Fit a law, then again to resampled problems, each refit started at the estimate.

    Raises
    ------
    FitFailure
        If the data themselves cannot be fitted; refits that fail are counted.
    """
    parameters, remarks = fit_once(law, evidence.data())
    if evidence.problems < 2:  # a single one cannot be resampled
        return Fitted(law, parameters, np.empty((0, len(parameters))), tuple(remarks), evidence.kind)
    resamples = (evidence.data(problems) for problems in evidence.resamples(refits, rng))
    at_once = law.fit_resamples if isinstance(law, Resampled) else None
    again, failed = fit_again(law, resamples, parameters, refits, at_once)
    return Fitted(law, parameters, again, (*remarks, *failed), evidence.kind)


def fit_once(law: Fitter[D], data: D) -> tuple[FloatArray, list[str]]:
    """Return the parameters and what the law said of the fit; FitFailure if there is none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", FitWarning)
        parameters = np.asarray(law.fit(data), dtype=np.float64)
    if not np.all(np.isfinite(parameters)):
        raise FitFailure(f"parameters are not finite: {parameters.tolist()}")
    return parameters, [str(found.message) for found in caught if issubclass(found.category, FitWarning)]


def fit_again(
    law: Fitter[D],
    resamples: Iterator[D],
    start: FloatArray,
    refits: int,
    at_once: Callable[[Sequence[D], FloatArray], FloatArray] | None = None,
) -> tuple[FloatArray, list[str]]:
    """Return the parameters of each refit, shape (refits, p), NaN where it failed, and a remark on those.

    A law that fits resamples `at_once` gives NaN for those that `fit` is to be asked for.
    """
    again = np.full((refits, len(start)), np.nan)
    reasons: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        for first in range(0, refits, AT_ONCE):
            drawn = list(islice(resamples, AT_ONCE))
            if at_once is not None:
                again[first : first + AT_ONCE] = at_once(drawn, start)
            for row, data in enumerate(drawn, start=first):
                if np.all(np.isfinite(again[row])):
                    continue
                again[row] = np.nan
                try:
                    again[row] = law.fit(data, start)
                except FitFailure as failure:
                    reasons[str(failure)] += 1
    if not reasons:
        return again, []
    reason, _ = reasons.most_common(1)[0]
    return again, [f"{reasons.total()} of {refits} refits failed, mostly: {reason}"]


def bounds(refits: FloatArray, confidence: float) -> tuple[FloatArray, FloatArray]:
    """Return percentile bounds over refits, each of shape (m,).

    Parameters
    ----------
    refits
        Shape (refits, m); a row that holds a NaN is a refit that failed, a column of NaN was not asked for.
    confidence
        In (0, 1).

    Returns
    -------
    tuple of FloatArray
        NaN where fewer than half of the refits succeeded: they say too little.
    """
    ends = np.full((2, refits.shape[1]), np.nan)
    asked = ~np.isnan(refits).all(axis=0)
    kept = refits[:, asked][~np.isnan(refits[:, asked]).any(axis=1)]
    if asked.any() and len(kept) > 0 and 2 * len(kept) >= len(refits):
        ends[:, asked] = np.quantile(kept, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return ends[0], ends[1]


def symmetric_bounds(
    estimate: FloatArray, refits: FloatArray, confidence: float
) -> tuple[FloatArray, FloatArray]:
    """Return the intervals of what a fit says, about its estimate, each of shape (p,).

    For parameters and for all that follows from them, so that one quantity has one interval whatever it is
    called. Where refits pile up (a floor of 0, a share of 1) is an end that no interval passes; an estimate
    that is there is itself the end of its interval.

    Parameters
    ----------
    estimate
        Shape (p,).
    refits
        Shape (refits, p), NaN where a refit failed.
    confidence
        In (0, 1).

    Returns
    -------
    tuple of FloatArray
        NaN where fewer than half of the refits succeeded.
    """
    low, high = bounds(refits, confidence)
    known = ~np.isnan(low)
    if known.any():
        kept, at = refits[:, known], estimate[known]
        kept = kept[~np.isnan(kept).any(axis=1)]
        interval = parameter_interval(at, kept, confidence)
        for ends, found, extreme, inner in (
            (low, interval.low, kept.min(axis=0), np.maximum),
            (high, interval.high, kept.max(axis=0), np.minimum),
        ):
            piled = np.isclose(kept, extreme, rtol=1e-3, atol=1e-12).mean(axis=0) > PILE
            there = np.isclose(at, extreme, rtol=1e-6, atol=1e-12)
            ends[known] = np.where(piled, np.where(there, at, inner(found, extreme)), found)
    return low, high
