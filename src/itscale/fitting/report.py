"""The report of one law on one data set: parameters, forecasts, and how those held up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from itscale.fitting import diagnostics
from itscale.fitting.bootstrap import Fitted, fit_with_refits, symmetric_bounds
from itscale.fitting.bound import limited_by_problems, unsolved_bound
from itscale.fitting.evidence import Evidence
from itscale.fitting.forecast import Forecast
from itscale.outcomes import FloatArray
from itscale.plugins.entries import LawEntry
from itscale.plugins.laws import Asymptotic, FitFailure, Law, Likelihood, Penalised, Profiled
from itscale.seeds import generator

__all__ = ["FitSettings", "LawReport", "failed_report", "holdout_facts", "report_law"]

EXTRAPOLATION_POINTS = 20


@dataclass(frozen=True)
class FitSettings:
    """How a law is fitted and tried.

    Attributes
    ----------
    refits, holdout_refits
        Resamples of problems, for the fit to everything and for the fit at each origin.
    reach
        Forecasts go to this many times the largest budget seen.
    confidence
        Level of intervals and bands.
    stream
        Where the resamples come from: laws with the same stream are refitted to the same resamples.
    """

    refits: int = 500
    holdout_refits: int = 200
    reach: float = 100.0
    confidence: float = 0.95
    stream: tuple[Any, ...] = (0,)


@dataclass(frozen=True)
class LawReport:
    """Rows of the table of fits (one per parameter, or one that says why there is none), and forecasts.

    `forecasts` go from the fit to the fewest completions to the fit to all of them; empty where that failed.
    """

    fits: list[dict[str, Any]]
    forecasts: list[Forecast] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether the law was fitted."""
        return bool(self.fits) and self.fits[0]["status"] == "ok"

    @property
    def extrapolates(self) -> bool:
        """Whether the law says how failure falls as k → ∞, so that an ensemble may hold it."""
        return self.ok and bool(self.fits[0]["extrapolates"])

    @property
    def ensemble(self) -> str:
        """What the law is to an ensemble: see `LawEntry.ensemble`."""
        return str(self.fits[0]["ensemble"])


def failed_report(law: Law, reason: str, **facts: Any) -> LawReport:
    """Return the report of a fit that is none: one row with the reason."""
    row = {"status": "failed", "message": reason, "estimand": law.estimand, "identified": False}
    return LawReport([{**row, **facts}])


def report_law(
    law: Law,
    entry: LawEntry,
    everything: Evidence | None,
    origins: Sequence[Evidence],
    settings: FitSettings,
) -> LawReport:
    """Fit a law to everything, forecast beyond it, and evaluate the fits at smaller budgets out of sample.

    Parameters
    ----------
    law, entry
        The law, and what it was registered with.
    everything
        All that is known; None where no budget is within every problem's completions.
    origins
        What studies with fewer completions (of runs: smaller budgets) would have known, smallest first.
    settings
        How many refits, how far, at which level.
    """
    if everything is None:
        return failed_report(law, "no budget of the curve is within every problem's completions")
    facts: dict[str, Any] = {"points": len(everything.budgets), "problems": everything.problems}
    if len(everything.sampled):
        facts |= {"sampled": int(everything.sampled.min()), "solved": int(np.sum(everything.correct > 0))}
    if reason := _mismatch(entry, everything):
        return failed_report(law, reason, **facts)
    try:
        fitted = fit_with_refits(law, everything, settings.refits, generator(*settings.stream))
    except FitFailure as failure:
        return failed_report(law, f"{failure}{_bound(facts, everything, settings)}", **facts)
    remarks = list(fitted.remarks)
    if everything.problems < 2:
        remarks.append("one curve without its problems: nothing to resample, so no intervals")
    forecasts, withheld = _hold_out(law, everything, origins, settings)
    remarks += withheld
    facts |= _facts(fitted, entry, everything, settings, remarks)
    facts |= holdout_facts(forecasts, settings.confidence)
    reach = settings.reach if entry.extrapolates else 1.0
    forecasts.append(_forecast_fit(fitted, everything, reach))
    profiles = _profiles(fitted, everything, settings.confidence)
    remarks += [f"interval of {name} by profile likelihood, not from refits" for name in profiles]
    return LawReport(_parameter_rows(fitted, settings, facts, remarks, profiles), forecasts)


def _mismatch(entry: LawEntry, evidence: Evidence) -> str:
    """Return why a law cannot take these data, or nothing."""
    takes = entry.takes
    if takes == "table":
        return "takes a table of covariates: fit it with `itscale fit`"
    if takes == "counts" and len(evidence.sampled) == 0:
        return (
            "takes counts of independent completions; a curve has none, nor has a strategy that is run anew "
            "at each budget"
        )
    if takes == "curve" and evidence.design != "fixed":
        return (
            f"takes a curve, which is biased where sampling was {evidence.design.replace('_', ' ')}; "
            "laws of counts (beta_binomial) are not"
        )
    return ""


def _bound(facts: dict[str, Any], evidence: Evidence, settings: FitSettings) -> str:
    """Return what is known where no completion is correct, in words."""
    if facts.get("solved") != 0:
        return ""
    furthest = evidence.last * settings.reach
    (most,) = unsolved_bound(facts["problems"], facts["sampled"], np.array([furthest]), settings.confidence)
    return f"; coverage at k = {furthest:g} is at most {100 * most:.3g} % ({100 * settings.confidence:g} %)"


def _hold_out(
    law: Law, everything: Evidence, origins: Sequence[Evidence], settings: FitSettings
) -> tuple[list[Forecast], list[str]]:
    """Fit at each origin and forecast the larger budgets; return what could not be done, too."""
    forecasts, remarks = [], []
    if not origins:
        remarks.append("no hold-out: too few completions to withhold any")
    for origin in origins:
        withheld = everything.withheld_from(origin)
        if withheld is None:
            continue
        try:
            fitted = fit_with_refits(law, origin, settings.holdout_refits, generator(*settings.stream))
        except FitFailure as failure:
            remarks.append(f"no hold-out at k <= {origin.last:g}: {failure}")
            continue
        budgets = np.concatenate([origin.budgets, withheld.budgets]).astype(np.float64)
        forecasts.append(
            Forecast(
                fitted_to=origin.fitted_to,
                budgets=budgets,
                roles=("fit",) * len(origin.budgets) + ("holdout",) * len(withheld.budgets),
                observed=np.concatenate([origin.data().coverage, withheld.data().coverage]),
                estimate=fitted.predict(budgets),
                refits=_refits_ahead(fitted, origin, budgets),
            )
        )
    return forecasts, remarks


def _forecast_fit(fitted: Fitted, evidence: Evidence, reach: float) -> Forecast:
    """Return the fitted curve where there are data, and what it says up to `reach` times the last."""
    points = EXTRAPOLATION_POINTS if reach > 1 else 0
    far = np.geomspace(evidence.last, evidence.last * reach, points + 1)[1:]
    budgets = np.concatenate([evidence.budgets, far]).astype(np.float64)
    return Forecast(
        fitted_to=evidence.fitted_to,
        budgets=budgets,
        roles=("fit",) * len(evidence.budgets) + ("extrapolation",) * len(far),
        observed=np.concatenate([evidence.data().coverage, np.full(len(far), np.nan)]),
        estimate=fitted.predict(budgets),
        refits=_refits_ahead(fitted, evidence, budgets),
    )


def _refits_ahead(fitted: Fitted, evidence: Evidence, budgets: FloatArray) -> FloatArray:
    """Return what each refit predicts; of problems that are all solved no better than so many allow."""
    refits = fitted.predict_refits(budgets)
    if fitted.kind != "coverage" or evidence.data().coverage[-1] < 1:
        return refits
    return np.where(budgets > evidence.last, limited_by_problems(refits, evidence.problems), refits)


def _facts(
    fitted: Fitted, entry: LawEntry, evidence: Evidence, settings: FitSettings, remarks: list[str]
) -> dict[str, Any]:
    """Return the columns that all parameters of a fit share, and add the gates that closed to `remarks`."""
    law, parameters = fitted.law, fitted.parameters
    budgets = evidence.budgets.astype(np.float64)
    observations, what = (
        (evidence.problems, "problems") if entry.takes == "counts" else (len(budgets), "points of the curve")
    )
    if isinstance(law, Penalised):  # the penalty decides what the data leave open
        condition = correlation = float("nan")
        size = law.effective_parameters(parameters, evidence.data())
        closed = diagnostics.gates(budgets, observations, what, size, condition, correlation)
    else:
        condition = diagnostics.condition_number(law, parameters, budgets)
        correlation = diagnostics.largest_correlation(fitted.succeeded)
        closed = diagnostics.gates(budgets, observations, what, len(parameters), condition, correlation)
        closed += diagnostics.open_sides(law.parameters, fitted.succeeded, settings.confidence)
    remarks += closed
    extrapolates = entry.extrapolates and isinstance(law, Asymptotic)
    return {
        "identified": not closed,
        "extrapolates": extrapolates,
        "ensemble": entry.ensemble if extrapolates else None,
        "condition": _number(condition),
        "correlation": _number(correlation),
        "refits": len(fitted.succeeded),
        "refits_failed": len(fitted.refits) - len(fitted.succeeded),
        **_criteria(fitted, evidence),
        **_exponents(fitted, budgets, settings.confidence),
    }


def _criteria(fitted: Fitted, evidence: Evidence) -> dict[str, Any]:
    """Return AICc and BIC, and the scale on which other laws' are comparable."""
    law, data = fitted.law, evidence.data()
    size: float = len(fitted.parameters)
    if isinstance(law, Penalised):
        size = law.effective_parameters(fitted.parameters, data)
    if isinstance(law, Likelihood) and len(data.sampled):
        scale, observations = "counts", len(data.sampled)
        value = law.log_likelihood(fitted.parameters, data)
    elif evidence.design == "fixed":
        scale, observations, size = evidence.kind, len(data.budgets), size + 1  # sigma counts
        residuals = fitted.predict(data.budgets.astype(np.float64)) - data.coverage
        value = diagnostics.residual_log_likelihood(residuals)
    else:
        return {}
    aicc, bic = diagnostics.information_criteria(value, size, observations)
    return {"scale": scale, "log_likelihood": value, "aicc": _number(aicc), "bic": _number(bic)}


def _exponents(fitted: Fitted, budgets: FloatArray, confidence: float) -> dict[str, Any]:
    """Return the effective slope over the fitted range, and the exponent as k → ∞, if any."""
    if fitted.kind != "coverage":
        return {}
    ks = diagnostics.slope_budgets(float(budgets[0]), float(budgets[-1]))
    slopes = [diagnostics.effective_slope(row, ks) for row in fitted.predict_refits(ks)]
    facts = _bounded(
        "effective_slope", diagnostics.effective_slope(fitted.predict(ks), ks), slopes, confidence
    )
    facts |= {"slope_from": float(ks[0]), "slope_to": float(ks[-1])}
    law = fitted.law
    if isinstance(law, Asymptotic):
        asymptotic = [law.asymptotic_exponent(row) for row in fitted.refits]
        estimate = law.asymptotic_exponent(fitted.parameters)
        facts |= _bounded("asymptotic_exponent", estimate, asymptotic, confidence)
    return facts


def _bounded(name: str, estimate: float, refits: Sequence[float], confidence: float) -> dict[str, Any]:
    again = np.asarray(refits, dtype=np.float64).reshape(-1, 1)
    low, high = symmetric_bounds(np.array([estimate]), again, confidence)
    return {name: _number(estimate), f"{name}_low": _number(low[0]), f"{name}_high": _number(high[0])}


def holdout_facts(forecasts: Sequence[Forecast], confidence: float) -> dict[str, Any]:
    """Return the hold-out errors, each origin counting alike; nothing where there was no hold-out."""
    scores, gap = [], 0.0
    for forecast in forecasts:
        held = forecast.only("holdout")
        if len(held.budgets) == 0:
            continue
        inside = [_inside(held.observed, *held.band(level)) for level in (confidence, 0.8)]
        scores.append(diagnostics.holdout_scores(held.estimate, held.observed, *inside))
        gap = max(gap, float(held.budgets[-1]) / forecast.fitted_to)
    if not scores:
        return {}
    means = {f"holdout_{name}": _mean([score[name] for score in scores]) for name in scores[0]}
    return {"holdout_origins": len(scores), "holdout_gap": gap, **means}


def _inside(observed: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Return 1 where a point is inside a band, 0 where it is not, NaN where there is no band."""
    return np.where(np.isnan(low), np.nan, (low <= observed) & (observed <= high)).astype(np.float64)


def _mean(values: Sequence[float]) -> float | None:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else None


def _profiles(fitted: Fitted, evidence: Evidence, confidence: float) -> Mapping[str, tuple[float, float]]:
    """Return the intervals that a law has of its own, by parameter."""
    if not isinstance(fitted.law, Profiled):
        return {}
    return fitted.law.profile_intervals(fitted.parameters, evidence.data(), confidence)


def _parameter_rows(
    fitted: Fitted,
    settings: FitSettings,
    facts: dict[str, Any],
    remarks: Sequence[str],
    profiles: Mapping[str, tuple[float, float]],
) -> list[dict[str, Any]]:
    """Return a row per parameter: its estimate, its interval, and its covariance with each parameter."""
    law, kept = fitted.law, fitted.succeeded
    low, high = symmetric_bounds(fitted.parameters, fitted.refits, settings.confidence)
    for name, interval in profiles.items():
        at = law.parameters.index(name)
        low[at], high[at] = interval
    size = len(law.parameters)
    covariance = np.cov(kept, rowvar=False).reshape(size, size) if len(kept) > 1 else None
    return [
        {
            "status": "ok",
            "message": "; ".join(remarks),
            "parameter": name,
            "estimate": float(fitted.parameters[at]),
            "low": _number(low[at]),
            "high": _number(high[at]),
            "covariance": None if covariance is None else covariance[at].tolist(),
            "estimand": law.estimand,
            **facts,
        }
        for at, name in enumerate(law.parameters)
    ]


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
