"""Laws put together: a steady law and a flexible one by how much was seen, and a board of all.

Nothing an ensemble is scored on has gone into its weights: at an origin of X completions they depend on X and
on what those X completions show, as a study that had only them would have it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import ndtri

from itscale.fitting.bound import even_chances, solved_bound
from itscale.fitting.forecast import Forecast
from itscale.fitting.report import holdout_facts
from itscale.outcomes import FloatArray
from itscale.plugins.laws import ENSEMBLE

__all__ = ["ENSEMBLE", "combine", "far_share", "leaderboard", "weigh", "weighted_midmean"]

ALL_FAR, HALF_FAR = 100, 1000
"""Completions per problem up to which laws of standing `far` have all the weight, and from which half."""

DRIFT = 0.025
"""Standard deviation, per decade beyond the data, of what no law of the ensemble has in it (coverage)."""

LEAST_VARIANCE = 1e-6
"""Added to every expected squared error (coverage): no law is trusted beyond a thousandth."""

CONCENTRATION = 2.0
"""Power of the inverse expected squared error: the square leaves laws alike that differ by chance, and
drops those that are clearly worse."""

GOLDEN = (np.sqrt(5.0) - 1) / 2
"""Irrational steps, as those of `even_chances` but in an order of their own."""


def far_share(completions: float) -> float:
    """Return the weight of the laws of standing `far`, in [1/2, 1]; the others share the rest.

    A steep, steady curve errs little far out because it has little to decide; a free density is better once
    so much was seen that it can tell how the tail bends. Measured in docs/laws.md, section Ensemble.

    Parameters
    ----------
    completions
        Of each problem, > 0.
    """
    seen = np.log(completions / ALL_FAR) / np.log(HALF_FAR / ALL_FAR)
    return float(1 - np.clip(seen, 0, 1) / 2)


def combine(
    members: Mapping[str, Sequence[Forecast]],
    standing: Mapping[str, str] | None = None,
    problems: int | None = None,
) -> tuple[list[Forecast], dict[str, float]]:
    """Return the ensemble's forecast at each origin and beyond the data, and its last weights by law.

    The estimate is the mean of two groups of laws, weighted by `far_share`; within a group it is the weighted
    midmean: one law far out does not carry it off. The band is of the coverage of these very problems. The
    r-th refit of the ensemble is the r-th refit of a law of either group in turn, so that the band holds what
    another form of law would say whatever its weight. Beyond the data it is that refit's share of solved
    problems among those that are unsolved, from the observed coverage on; what it is off by is what so many
    problems leave to chance, and `DRIFT`.

    Parameters
    ----------
    members
        Forecasts of each law, smallest origin first; the last is the fit to everything. Laws without any
        are left out. Meant for laws that say how failure falls as k → ∞.
    standing
        `LawEntry.ensemble` of each law; `other` if left out.
    problems
        How many there are; without it chance is left out.
    """
    # In one order, whoever lists them: refits take turns.
    fitted = {law: list(members[law]) for law in sorted(members) if members[law]}
    combined: list[Forecast] = []
    weights: dict[str, float] = {}
    for fitted_to in sorted({one.fitted_to for forecasts in fitted.values() for one in forecasts}):
        here = {
            law: forecast
            for law, forecasts in fitted.items()
            for forecast in forecasts
            if forecast.fitted_to == fitted_to
        }
        earlier = {law: [one for one in fitted[law] if one.fitted_to < fitted_to] for law in here}
        groups = [
            _Group(share, {law: here[law] for law in laws}, weigh({law: here[law] for law in laws}, earlier))
            for share, laws in _groups(list(here), standing or {}, fitted_to)
        ]
        weights = {law: group.share * weight for group in groups for law, weight in group.weights.items()}
        combined.append(_mix(groups, problems))
    return combined, weights


@dataclass(frozen=True)
class _Group:
    """Laws that share a part of the weight: that part, what they forecast, their weights within it."""

    share: float
    forecasts: Mapping[str, Forecast]
    weights: Mapping[str, float]

    def estimate(self) -> FloatArray:
        estimates = np.array([forecast.estimate for forecast in self.forecasts.values()])
        return weighted_midmean(estimates, np.array([self.weights[law] for law in self.forecasts]))


def _groups(
    laws: Sequence[str], standing: Mapping[str, str], completions: float
) -> list[tuple[float, list[str]]]:
    """Return groups of laws with their shares: far and near; other laws stand in for what is missing."""
    far, near, other = (
        [law for law in laws if standing.get(law, "other") == kind] for kind in ("far", "near", "other")
    )
    if not far and not near:
        return [(1.0, other)]
    share = far_share(completions)
    groups = [(share, far or other), (1 - share, near or other)]
    known = [(share, group) for share, group in groups if group]
    return known if len(known) == 2 else [(1.0, known[0][1])]


def weigh(here: Mapping[str, Forecast], earlier: Mapping[str, Sequence[Forecast]]) -> dict[str, float]:
    """Return the weight of each law of a group: inverse expected squared error, squared, summing to 1.

    The error expected is `g E + V`. E is the mean squared error of the law's earlier forecasts at budgets
    within what is known here, each origin counting alike. At an origin where a law could not be fitted it
    counts with the median error there; where there are no earlier forecasts at all, E is that of the fit
    itself. g stretches E to this forecast, since errors grow with the logarithm of the gap: the mean squared
    log(k / X) here over that of the earlier forecasts. V is the variance of the law's refits at the budgets
    forecast here: a law that fits well but promises anything has little weight.

    Parameters
    ----------
    here
        What each law forecasts.
    earlier
        What each law forecast from fewer completions.
    """
    inverse = {law: error**-CONCENTRATION for law, error in _expected(here, earlier).items()}
    return {law: value / sum(inverse.values()) for law, value in inverse.items()}


def _expected(here: Mapping[str, Forecast], earlier: Mapping[str, Sequence[Forecast]]) -> dict[str, float]:
    found = {law: _earlier_errors(forecast, earlier[law]) for law, forecast in here.items()}
    gaps = {origin: gap for errors in found.values() for origin, (_, gap) in errors.items()}
    usual = {
        origin: float(np.median([errors[origin][0] for errors in found.values() if origin in errors]))
        for origin in gaps
    }
    gap = float(np.mean(list(gaps.values()))) if gaps else 0.0
    expected = {}
    for law, forecast in here.items():
        tried = [found[law][origin][0] if origin in found[law] else usual[origin] for origin in gaps]
        error = float(np.mean(tried)) if tried else _residual(forecast)
        ahead = _ahead(forecast)
        spread = ahead.refits[~np.isnan(ahead.refits).any(axis=1)]
        variance = float(spread.var(axis=0).mean()) if len(spread) > 1 else 0.0
        stretch = _gap(ahead.budgets, ahead.fitted_to) / gap if gap > 0 else 1.0
        expected[law] = stretch * error + variance + LEAST_VARIANCE
    return expected


def _earlier_errors(here: Forecast, earlier: Sequence[Forecast]) -> dict[float, tuple[float, float]]:
    """Return, by origin, the mean squared error at budgets known here, and their mean squared log gap."""
    seen = here.only("fit")
    known = dict(zip(seen.budgets.tolist(), seen.observed.tolist(), strict=True))
    errors = {}
    for origin in earlier:
        held = origin.only("holdout")
        at = [place for place, k in enumerate(held.budgets.tolist()) if k in known]
        if at:
            truth = np.array([known[k] for k in held.budgets[at].tolist()])
            error = float(np.mean((held.estimate[at] - truth) ** 2))
            errors[origin.fitted_to] = (error, _gap(held.budgets[at], origin.fitted_to))
    return errors


def _residual(forecast: Forecast) -> float:
    seen = forecast.only("fit")
    off = seen.estimate - seen.observed
    return float(np.nanmean(off**2)) if np.isfinite(off).any() else 0.0


def _ahead(forecast: Forecast) -> Forecast:
    """Return what a fit says of budgets it has not seen."""
    held = forecast.only("holdout")
    return held if len(held.budgets) else forecast.only("extrapolation")


def _gap(budgets: FloatArray, fitted_to: float) -> float:
    return float(np.mean(np.log(budgets / fitted_to) ** 2))


def _mix(groups: Sequence[_Group], problems: int | None) -> Forecast:
    first = next(iter(groups[0].forecasts.values()))
    estimate = sum((group.share * group.estimate() for group in groups), np.zeros(len(first.budgets)))
    return Forecast(
        fitted_to=first.fitted_to,
        budgets=first.budgets,
        roles=first.roles,
        observed=first.observed,
        estimate=estimate,
        refits=_spread(first, _turns(groups), problems),
    )


def weighted_midmean(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the mean of what lies between the quartiles of each column, rows counting by their weights.

    A row of less than a quarter of the weight cannot carry it off. Where every row rises from column to
    column, so do all quantiles and their mean.

    Parameters
    ----------
    values
        Shape (laws, m).
    weights
        >= 0, summing to 1, shape (laws,).
    """
    order = np.argsort(values, axis=0, kind="stable")
    ranked, shares = np.take_along_axis(values, order, axis=0), weights[order]
    ends = np.cumsum(shares, axis=0)
    inside = np.clip(ends, 0.25, 0.75) - np.clip(ends - shares, 0.25, 0.75)
    return np.asarray((inside * ranked).sum(axis=0) / inside.sum(axis=0))


def _turns(groups: Sequence[_Group]) -> FloatArray:
    """Return refits, shape (refits, m): the r-th is that of a law, groups alike, laws by their weights."""
    refits = [forecast.refits for group in groups for forecast in group.forecasts.values()]
    parts = [weight / len(groups) for group in groups for weight in group.weights.values()]
    count = min(len(found) for found in refits)
    if count == 0:
        return refits[0][:0]
    places = np.arange(count) * GOLDEN % 1.0
    chosen = np.minimum(np.searchsorted(np.cumsum(parts), places, side="right"), len(parts) - 1)
    return np.array([refits[law][row] for row, law in enumerate(chosen)])


def _spread(seen: Forecast, refits: FloatArray, problems: int | None) -> FloatArray:
    """Return refits as forecasts of these very problems, each off by a random error, shape (refits, m).

    With c observed at the last budget, a refit f gives `c + (1 - c) q`, q = (f(k) - f(X)) / (1 - f(X)). Where
    nothing was observed there (sampling that looked at results), f itself. Where c = 1 no law and no chance
    is left: all that is known is that every problem was solved, and refits are its exact bounds.
    """
    chances = even_chances(len(refits))
    beyond = seen.budgets > seen.fitted_to
    last = np.flatnonzero((seen.budgets == seen.fitted_to) & ~beyond)
    decades = np.log10(np.maximum(seen.budgets / seen.fitted_to, 1.0))
    variance = np.broadcast_to((DRIFT * decades) ** 2, refits.shape)
    low = 0.0
    if len(last) and np.isfinite(seen.observed[last[0]]):
        low = float(seen.observed[last[0]])
        known = refits[:, last[:1]]
        solved = np.clip((refits - known) / np.maximum(1 - known, 1e-12), 0.0, 1.0)
        refits = np.where(beyond, low + (1 - low) * solved, refits)
        if problems:
            variance = variance + beyond * (1 - low) * solved * (1 - solved) / problems
    if low >= 1 and problems:
        failure = solved_bound(problems, np.maximum(seen.budgets / seen.fitted_to, 1.0), chances)
        return np.where(beyond, 1 - failure, refits)
    moved = refits + ndtri(chances)[:, None] * np.sqrt(variance)
    return np.asarray(np.clip(moved, np.where(beyond, low, 0.0), 1.0))


def leaderboard(
    members: Mapping[str, Sequence[Forecast]],
    ensemble: Sequence[Forecast],
    confidence: float,
    extrapolating: Collection[str],
) -> list[dict[str, Any]]:
    """Return a row per law (and for the ensemble) with its hold-out errors and place, best first.

    Places go by the error that is expected of the forecast at the largest budget: the root mean square over
    the ensemble's refits about its estimate, and the distance from that estimate. So the ensemble is first,
    and a law far from it last, however well it did a few times beyond the data. Laws that do not extrapolate
    have no place.

    Parameters
    ----------
    members, ensemble
        As in `combine`, and what it returns.
    confidence
        Level of the bands that held-out points should be inside.
    extrapolating
        The laws that are meant for budgets far beyond the data.
    """
    everyone = {**({ENSEMBLE: ensemble} if ensemble else {}), **members}
    rows = []
    for law, forecasts in everyone.items():
        held = [one for one in forecasts if "holdout" in one.roles]
        row = {"law": law, **holdout_facts(held, confidence), **_furthest(forecasts, confidence)}
        if ensemble and law in {ENSEMBLE, *extrapolating} and forecasts:
            row["expected_error"] = _expected_error(forecasts[-1], ensemble[-1])
        rows.append(row)
    ranked = {law for law in everyone if law == ENSEMBLE or (law in extrapolating and everyone[law])}
    rows.sort(
        key=lambda row: (
            row["law"] not in ranked,
            row.get("expected_error", np.inf),
            row["law"] != ENSEMBLE,
            row.get("holdout_error", np.inf),
            row["law"],
        )
    )
    for place, row in enumerate(rows[: len(ranked)], start=1):
        row["place"] = place
    return rows


def _expected_error(forecast: Forecast, ensemble: Forecast) -> float:
    """Return the root mean square error at the largest budget, the ensemble's band being where truth is."""
    distance = float(forecast.estimate[-1] - ensemble.estimate[-1])
    at_last = ensemble.refits[:, -1] - ensemble.estimate[-1]
    at_last = at_last[~np.isnan(at_last)]
    return float(np.sqrt(distance**2 + (np.mean(at_last**2) if len(at_last) else 0.0)))


def _furthest(forecasts: Sequence[Forecast], confidence: float) -> dict[str, Any]:
    """Return the forecast at the largest budget, with its band."""
    if not forecasts:
        return {}
    last = forecasts[-1].only("extrapolation")
    if len(last.budgets) == 0:
        return {}
    low, high = (float(side[-1]) for side in last.band(confidence))
    facts = {"forecast": float(last.estimate[-1]), "forecast_low": low, "forecast_high": high}
    return {"forecast_budget": float(last.budgets[-1])} | {
        name: None if np.isnan(value) else value for name, value in facts.items()
    }
