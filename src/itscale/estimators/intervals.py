"""Intervals of means over problems: pointwise, and for a whole curve at once.

Three kinds, all from the same resamples: `studentised` (the default), `percentile` and `bca`. A studentised
interval is wild where few problems carry all the spread, because some resamples then have next to none of
it: what is known of any mean between two bounds (`bounded_mean_interval`) limits it, and takes its place
where few problems carry it. Where all problems agree no resampling can say how far the mean is from them;
the exact bound of `agreement_interval` stands there instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr, ndtri

from itscale.estimators.bounds import SHARES, Interval, Range, agreement_interval, bounded_mean_interval
from itscale.estimators.resampling import Resamples, resample, resample_two_level
from itscale.outcomes import FloatArray, IntArray

__all__ = [
    "BOUNDED",
    "EXACT",
    "CurveInterval",
    "IntervalKind",
    "IntervalOptions",
    "curve_intervals",
    "interval_of",
    "parameter_interval",
    "simultaneous_band",
]

IntervalKind = Literal["studentised", "percentile", "bca"]

CARRIERS = 5
"""Problems that must carry the spread of a column (participation number) for it to shape a band."""

EXACT, BOUNDED = "exact", "bounded"
"""Kinds of intervals that no resampling gave: where all problems agree, and of any mean of bounded values."""

FEW: Range = (3.0, 6.0)
"""Problems that carry the spread of a column: with fewer resamples do not tell it, with more they do."""


@dataclass(frozen=True)
class CurveInterval(Interval):
    """Intervals of a curve's points, and a band that holds the whole curve at the same confidence.

    Attributes
    ----------
    band_low, band_high
        Bounds of the band, shape (m,); never inside the point's own interval.
    kind
        How each point's interval was found: the kind that was asked for, after `two-level` where completions
        were resampled, too; with `, bounded` where the bounds of any mean have a part in a studentised one,
        `bounded` where those stand alone; `exact` where all problems agree. Of a curve that cannot fall,
        `; low of k = 5` or `; high of k = 5` where the bound of another k stands.
    """

    band_low: FloatArray
    band_high: FloatArray
    kind: tuple[str, ...]


class IntervalOptions(Protocol):
    """What is wanted of intervals: the part of a study's `curves` that speaks of them."""

    @property
    def confidence(self) -> float:
        """Level, in (0, 1)."""

    @property
    def resamples(self) -> int:
        """Number of resamples."""

    @property
    def interval(self) -> IntervalKind:
        """Kind of interval."""

    @property
    def resample(self) -> Literal["problems", "two_level"]:
        """What is resampled."""


def curve_intervals(
    values: FloatArray,
    options: IntervalOptions,
    rng: np.random.Generator,
    *,
    clusters: npt.ArrayLike | None = None,
    counts: tuple[IntArray, IntArray, IntArray] | None = None,
    within: Range = SHARES,
    rising: IntArray | None = None,
) -> CurveInterval:
    """Return intervals and a simultaneous band of a curve, the mean of `values` over problems.

    Bounds of a curve that cannot fall, coverage, do not fall either: each point has the lowest of the lower
    bounds from its k on and the highest of the upper ones up to it. Each is then at most as close as the
    point's own, so that it holds the truth at least as often; the closest of several would do so less often.

    Parameters
    ----------
    values
        Accuracy of each problem at each k, in [0, 1], shape (problems, m); a NaN is left out of its column.
    options
        Level, number of resamples, kind, and what is resampled.
    rng
        Curves that get equal streams see the same resampled problems.
    clusters
        Label of each problem's cluster, shape (problems,): what belongs together is resampled together.
    counts
        Completions and correct ones of each problem, shape (problems,), and k of each column, shape (m,),
        where `values` is the coverage they give: what `two_level` needs. Without, problems are resampled.
    within
        Between what every single value lies; -1 and 1 for differences of shares.
    rising
        k of each column, increasing, of a curve that cannot fall with k; None of any other.
    """
    two_level = options.resample == "two_level" and counts is not None
    if two_level and counts is not None:
        found = resample_two_level(*counts, options.resamples, rng)
    else:
        found = resample(values, options.resamples, rng, clusters)
    own, kinds = _named_interval(found, options.confidence, options.interval, rng, within)
    points, band = own, simultaneous_band(found, options.confidence, within)
    kind = (
        [name.replace(options.interval, f"two-level {options.interval}") for name in kinds]
        if two_level
        else kinds
    )
    if rising is not None:
        points, band = _monotone(own), _monotone(band)
        kind = _origins(kind, own, points, rising)
    return CurveInterval(
        low=points.low,
        high=points.high,
        band_low=np.minimum(band.low, points.low),
        band_high=np.maximum(band.high, points.high),
        kind=tuple(kind),
    )


def _monotone(points: Interval) -> Interval:
    """Return bounds that rise with k and claim at no k more than that point's own do."""
    low = np.minimum.accumulate(points.low[::-1])[::-1].copy()
    return Interval(low, np.maximum.accumulate(points.high))


def _origins(kinds: Sequence[str], own: Interval, monotone: Interval, budgets: IntArray) -> list[str]:
    """Return kinds of intervals, with the k whose bound stands there where that is another's."""
    named = []
    for at, kind in enumerate(kinds):
        if monotone.low[at] < own.low[at]:
            kind += f"; low of k = {budgets[at + np.argmax(own.low[at:] == monotone.low[at])]}"
        if monotone.high[at] > own.high[at]:
            kind += f"; high of k = {budgets[np.argmax(own.high == monotone.high[at])]}"
        named.append(kind)
    return named


def interval_of(
    found: Resamples,
    confidence: float,
    kind: IntervalKind,
    rng: np.random.Generator,
    within: Range = SHARES,
) -> Interval:
    """Return an interval of each mean from its resamples; the exact bound where all problems agree.

    Parameters
    ----------
    found
        Means of problems and of resamples.
    confidence
        Level of each interval, in (0, 1).
    kind
        `studentised` (within `bounded_mean_interval`, or that alone where few problems differ), `percentile`
        or `bca`.
    rng
        What the bound of a studentised interval is drawn by.
    within
        Between what every single value lies.
    """
    return _named_interval(found, confidence, kind, rng, within)[0]


def _named_interval(
    found: Resamples, confidence: float, kind: IntervalKind, rng: np.random.Generator, within: Range
) -> tuple[Interval, list[str]]:
    """Return what `interval_of` does, and how each interval was found."""
    make = {"studentised": _studentised, "percentile": _percentile, "bca": _bca}[kind]
    points, names = make(found, confidence), np.full(len(found.mean), kind, dtype=object)
    if kind == "studentised":
        points, names = _limited(points, found, confidence, rng, within)
    exact = agreement_interval(found.mean, found.units, confidence, within)
    interval = Interval(
        np.where(found.agree, exact.low, np.maximum(points.low, within[0])),
        np.where(found.agree, exact.high, np.minimum(points.high, within[1])),
    )
    return interval, [EXACT if agree else name for agree, name in zip(found.agree, names, strict=True)]


def simultaneous_band(found: Resamples, confidence: float, within: Range = SHARES) -> Interval:
    """Return a band that holds the whole curve at once: sup-t, from studentised resamples.

    The largest deviation over all columns, in standard errors, is held below its quantile, upwards and
    downwards apart since shares near 0 and 1 are skewed. A column that a few problems carry (effectively
    fewer than `CARRIERS`) would widen the band everywhere: it does not count, and must be read pointwise.
    Columns in which all problems agree have their exact bound.
    """
    t = _statistics(found)
    # a resample that agrees in a column says nothing there; its other columns still count
    counts = np.isfinite(t) & (_carriers(found) >= CARRIERS) & ~found.agree
    tail = (1 - confidence) / 2
    above, below = (
        max(float(np.quantile(np.max(np.where(counts, side, 0.0), axis=1), 1 - tail)), 0.0)
        for side in (t, -t)
    )
    exact = agreement_interval(found.mean, found.units, confidence, within)
    return Interval(
        np.where(found.agree, exact.low, np.maximum(found.mean - above * found.error, within[0])),
        np.where(found.agree, exact.high, np.minimum(found.mean + below * found.error, within[1])),
    )


def _carriers(found: Resamples) -> FloatArray:
    """Return how many problems, effectively, carry the spread of each column (participation number)."""
    squares = (found.residuals**2).sum(axis=0)
    fourth = (found.residuals**4).sum(axis=0)
    return np.asarray(np.divide(squares**2, fourth, where=squares > 0, out=np.zeros_like(squares)))


def _statistics(found: Resamples) -> FloatArray:
    """Return each resample's deviation in its own standard errors; infinite where it has no spread."""
    shift = found.means - found.mean
    tiny = found.errors <= 1e-12
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.where(
            tiny, np.where(np.abs(shift) <= 1e-12, 0.0, np.copysign(np.inf, shift)), shift / found.errors
        )
    return np.asarray(t)


def _studentised(found: Resamples, confidence: float) -> Interval:
    t = _statistics(found)
    t[np.isnan(t)] = 0.0  # the resample has no value in this column
    tail = (1 - confidence) / 2
    # an infinite statistic has no quantile between itself and its neighbour
    lower, upper = np.quantile(t, [tail, 1 - tail], axis=0, method="nearest")
    with np.errstate(invalid="ignore"):
        low, high = found.mean - upper * found.error, found.mean - lower * found.error
    return Interval(np.nan_to_num(low, nan=-np.inf), np.nan_to_num(high, nan=np.inf))


def _limited(
    points: Interval, found: Resamples, confidence: float, rng: np.random.Generator, within: Range
) -> tuple[Interval, npt.NDArray[np.object_]]:
    """Return studentised intervals within the bounds of any mean; those bounds where few problems differ.

    Over the range of `FEW` the one passes into the other, so that intervals along a curve do not jump.
    """
    alone = bounded_mean_interval(found, confidence, rng, within)
    # an interval within another misses where either does: with half the misses it adds few
    limit = bounded_mean_interval(found, (1 + confidence) / 2, rng, within)
    share = np.clip((_carriers(found) - FEW[0]) / (FEW[1] - FEW[0]), 0.0, 1.0)
    own = (share == 1) & (limit.low <= points.low) & (points.high <= limit.high)
    names = np.where(own, "studentised", np.where(share == 0, BOUNDED, f"studentised, {BOUNDED}"))
    return Interval(
        share * np.maximum(points.low, limit.low) + (1 - share) * alone.low,
        share * np.minimum(points.high, limit.high) + (1 - share) * alone.high,
    ), names.astype(object)


def _percentile(found: Resamples, confidence: float) -> Interval:
    low, high = np.nanquantile(found.means, [(1 - confidence) / 2, (1 + confidence) / 2], axis=0)
    return Interval(low, high)


def _bca(found: Resamples, confidence: float) -> Interval:
    resamples = len(found.means)
    with np.errstate(invalid="ignore"):
        below = (found.means < found.mean).mean(axis=0) + (found.means == found.mean).mean(axis=0) / 2
    bias = ndtri(np.clip(below, 1 / (resamples + 1), resamples / (resamples + 1)))
    # the jackknife deviations of a mean are proportional to the deviations of the values themselves
    spread = (found.residuals**2).sum(axis=0) ** 1.5
    cubes = (found.residuals**3).sum(axis=0)
    acceleration = np.divide(cubes, 6 * spread, where=spread > 0, out=np.zeros_like(spread))
    bounds = []
    for level in ((1 - confidence) / 2, (1 + confidence) / 2):
        shifted = bias + ndtri(level)
        adjusted = ndtr(bias + shifted / (1 - acceleration * shifted))
        columns = zip(found.means.T, adjusted, strict=True)
        bounds.append(np.array([np.nanquantile(column, q) for column, q in columns]))
    return Interval(*bounds)


def parameter_interval(estimate: FloatArray, refits: FloatArray, confidence: float) -> Interval:
    """Return symmetric bootstrap intervals (Hall 1988): `estimate +- quantile of |refit - estimate|`.

    Estimates of laws are biased and skewed on the number of problems studies have, and the refits as much
    again: percentiles of refits would carry the bias twice, distances from the estimate do not. Where all
    refits and the estimate have one sign, so has the interval.

    Parameters
    ----------
    estimate
        The parameters, shape (p,).
    refits
        Those fitted to resampled problems, shape (refits, p), at least one.
    confidence
        Level of each interval, in (0, 1).
    """
    reach = np.quantile(np.abs(refits - estimate), confidence, axis=0)
    low, high = estimate - reach, estimate + reach
    positive = (estimate > 0) & np.all(refits > 0, axis=0)
    negative = (estimate < 0) & np.all(refits < 0, axis=0)
    return Interval(
        np.where(positive, np.maximum(low, 0.0), low), np.where(negative, np.minimum(high, 0.0), high)
    )
