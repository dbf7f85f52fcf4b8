"""Reports of tabular laws: fits with intervals and gates, and hold-outs of the largest scales."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from itscale.errors import ContractError
from itscale.fitting import diagnostics
from itscale.fitting.bootstrap import bounds, fit_again, fit_once
from itscale.fitting.forecast import Forecast
from itscale.fitting.report import EXTRAPOLATION_POINTS, FitSettings, holdout_facts
from itscale.outcomes import FloatArray, IntArray
from itscale.plugins.laws import FitFailure, TableData, TableLaw
from itscale.plugins.table_laws import Centred, Derived, Frontier, Table
from itscale.seeds import generator

__all__ = ["TableReport", "origins", "report_table", "table_gates"]

LARGEST_CORRELATION_OF_LOGS = 0.9
GAP = 2.0
"""Rows are forecast whose scale is at least twice the largest that an origin's fit has seen."""


@dataclass(frozen=True)
class TableReport:
    """Rows of the table of fits (one per parameter, or one that says why there is none), and forecasts."""

    fits: list[dict[str, Any]]
    forecasts: list[Forecast] = field(default_factory=list)


@dataclass(frozen=True)
class _Fit:
    """Parameters, shape (p,); those of each refit, shape (refits, p), NaN where it failed; remarks."""

    parameters: FloatArray
    refits: FloatArray
    remarks: list[str]

    @property
    def succeeded(self) -> FloatArray:
        return self.refits[~np.isnan(self.refits).any(axis=1)]


def report_table(
    law: TableLaw, table: Table, settings: FitSettings, shares: Sequence[int], cutoff: float | None = None
) -> TableReport:
    """Fit a law to a table, and evaluate fits to its smaller scales out of sample.

    Parameters
    ----------
    law, table
        What is fitted to what.
    settings
        How many refits, how far beyond the data, at which level.
    shares
        Origins of the hold-out: the largest scale over each of them; none of them where there is a cutoff.
    cutoff
        The one scale above which rows are held out.
    """
    groups = len(np.unique(table.groups))
    facts: dict[str, Any] = {"points": len(table.data.response), "problems": groups}
    try:
        return _report(law, table, settings, shares, cutoff, facts)
    except (FitFailure, ContractError) as failure:
        row = {"status": "failed", "message": str(failure), "estimand": law.estimand, "identified": False}
        return TableReport([row | facts])


def _report(
    law: TableLaw,
    table: Table,
    settings: FitSettings,
    shares: Sequence[int],
    cutoff: float | None,
    facts: dict[str, Any],
) -> TableReport:
    """Return the report of a law that can be fitted."""
    fit = _fit(law, table, settings.refits, settings)
    forecasts, withheld = _hold_out(law, table, settings, shares, cutoff)
    condition, correlation, closed = table_gates(law, fit.parameters, table.data)
    closed += diagnostics.open_sides(law.parameters, fit.succeeded, settings.confidence)
    facts = facts | {
        "identified": not closed,
        "condition": condition,
        "correlation": correlation,
        "refits": len(fit.succeeded),
        "refits_failed": len(fit.refits) - len(fit.succeeded),
        **_criteria(law, fit, table.data),
        **holdout_facts(forecasts, settings.confidence),
    }
    remarks = [*table.remarks, *fit.remarks, *withheld, *closed]
    forecasts.append(_forecast(law, fit, table, settings))
    return TableReport(_rows(law, fit, settings, facts, "; ".join(remarks)), forecasts)


def _fit(law: TableLaw, table: Table, refits: int, settings: FitSettings) -> _Fit:
    """Fit a law, and again to resampled groups of rows, each refit told where the estimate was."""
    parameters, remarks = fit_once(law, table.data)
    if len(np.unique(table.groups)) < 2:
        remarks.append("a single group of rows: nothing to resample, so no intervals")
        return _Fit(parameters, np.empty((0, len(parameters))), remarks)
    rng = generator(*settings.stream)
    again, failed = fit_again(law, (table.resample(rng) for _ in range(refits)), parameters, refits)
    return _Fit(parameters, again, [*remarks, *failed])


def origins(
    scale: FloatArray, shares: Sequence[int], cutoff: float | None
) -> Iterator[tuple[float, IntArray, IntArray]]:
    """Yield the largest scale of each fit of the hold-out, the rows it sees, and the rows it is tried on.

    Parameters
    ----------
    scale
        Of each row, shape (rows,); rows without one (NaN) are in no hold-out.
    shares, cutoff
        As in `report_table`. Last comes the fit to all but the largest scale.
    """
    known = np.unique(scale[np.isfinite(scale)])
    limits = [cutoff] if cutoff is not None else [known[-1] / share for share in sorted(shares, reverse=True)]
    gap = 1.0 if cutoff is not None else GAP
    last = known[-2] if len(known) > 1 else np.nan
    seen = set()
    for limit, apart in [*((limit, gap) for limit in limits), (last, 1.0)]:
        inside = scale <= limit
        if not inside.any() or int(inside.sum()) in seen:
            continue
        reached = float(scale[inside].max())
        beyond = (scale > reached) & (scale >= apart * reached)
        if beyond.any():
            seen.add(int(inside.sum()))
            yield reached, np.flatnonzero(inside), np.flatnonzero(beyond)


def _hold_out(
    law: TableLaw, table: Table, settings: FitSettings, shares: Sequence[int], cutoff: float | None
) -> tuple[list[Forecast], list[str]]:
    """Fit to the smaller scales and forecast the larger ones; return what could not be done, too."""
    scale = law.scale(table.data.inputs)
    forecasts, remarks = [], []
    for last, inside, beyond in origins(scale, shares, cutoff):
        try:
            fit = _fit(law, table.rows(inside), settings.holdout_refits, settings)
        except FitFailure as failure:
            remarks.append(f"no hold-out at scale <= {last:.4g}: {failure}")
            continue
        rows = np.concatenate([_by_scale(inside, scale), _by_scale(beyond, scale)])
        roles = ("fit",) * len(inside) + ("holdout",) * len(beyond)
        forecasts.append(_predicted(law, fit, table.rows(rows).data, roles, last))
    if not forecasts and not remarks:
        remarks.append("no hold-out: all rows are of one scale")
    return forecasts, remarks


def _forecast(law: TableLaw, fit: _Fit, table: Table, settings: FitSettings) -> Forecast:
    """Return the fit where there are data and, of a law that has one, along its frontier beyond them."""
    scale = law.scale(table.data.inputs)
    rows = _by_scale(np.arange(len(scale)), scale)
    data, last = table.rows(rows).data, float(np.nanmax(scale))
    roles = ("fit",) * len(rows)
    if isinstance(law, Frontier):
        far = np.geomspace(last, last * settings.reach, EXTRAPOLATION_POINTS + 1)[1:]
        chosen = law.frontier(fit.parameters, far)
        nothing = np.full(len(far), np.nan)
        inputs = {name: np.concatenate([data.inputs[name], chosen.get(name, nothing)]) for name in law.inputs}
        data = TableData(inputs=inputs, response=np.concatenate([data.response, nothing]))
        roles += ("extrapolation",) * len(far)
    return _predicted(law, fit, data, roles, last)


def _predicted(law: TableLaw, fit: _Fit, data: TableData, roles: tuple[str, ...], last: float) -> Forecast:
    refits = [law.predict(row, data.inputs) for row in fit.refits]  # of NaN where a refit failed
    return Forecast(
        fitted_to=last,
        budgets=law.scale(data.inputs),
        roles=roles,
        observed=data.response,
        estimate=law.predict(fit.parameters, data.inputs),
        refits=np.reshape(refits, (len(fit.refits), len(roles))),
    )


def _by_scale(rows: IntArray, scale: FloatArray) -> IntArray:
    return rows[np.argsort(scale[rows], kind="stable")]


def table_gates(
    law: TableLaw, parameters: FloatArray, data: TableData
) -> tuple[float | None, float | None, list[str]]:
    """Return why a table may not determine the parameters; nothing if it does.

    Returns
    -------
    condition, correlation
        Of the scaled J'J, and the largest |correlation| of two parameters, with centred covariates; None of
        a law that is not fitted so.
    reasons
        Empty if all gates are open.
    """
    size = len(parameters)
    reasons = diagnostics.too_few(len(data.response), "rows", size)
    if not isinstance(law, Centred):
        return None, None, reasons
    logs = law.covariates(data.inputs)
    if len(logs) > 1:
        together = float(np.max(np.abs(np.corrcoef(list(logs.values())) - np.eye(len(logs)))))
        if together >= LARGEST_CORRELATION_OF_LOGS:
            reasons.append(f"log {' and log '.join(logs)} are collinear (correlation {together:.3f})")
    scaled = diagnostics.scaled_columns(law.jacobian(parameters, data))
    condition = diagnostics.condition_of(scaled)
    if condition >= diagnostics.WORST_CONDITION:
        reasons.append(f"the condition of J'J is {condition:.1e}, at least 1e8")
    inverse = np.linalg.pinv(scaled.T @ scaled)
    spread = np.sqrt(np.diag(inverse))
    correlation = float(np.max(np.abs(inverse / np.outer(spread, spread)) - np.eye(size)))
    if correlation >= diagnostics.WORST_CORRELATION:
        reasons.append(f"two parameters go together (correlation {correlation:.3f} after centring)")
    return condition, correlation, reasons


def _criteria(law: TableLaw, fit: _Fit, data: TableData) -> dict[str, Any]:
    """Return AICc and BIC of the residuals of the response, comparable between laws of one table."""
    residuals = law.predict(fit.parameters, data.inputs) - data.response
    residuals = residuals[np.isfinite(residuals)]
    value = diagnostics.residual_log_likelihood(residuals)
    aicc, bic = diagnostics.information_criteria(value, len(fit.parameters) + 1, len(residuals))
    known = None if np.isnan(aicc) else aicc
    return {"scale": "response", "log_likelihood": value, "aicc": known, "bic": bic}


def _rows(
    law: TableLaw, fit: _Fit, settings: FitSettings, facts: dict[str, Any], message: str
) -> list[dict[str, Any]]:
    """Return a row per parameter, and one per quantity that follows from them."""
    names, values, refits = list(law.parameters), fit.parameters, fit.refits
    covariance = np.cov(fit.succeeded, rowvar=False) if len(fit.succeeded) > 1 else None
    if isinstance(law, Derived):
        more = law.derived(values)
        names += more
        values = np.array([*values, *more.values()])
        also = [list(law.derived(row).values()) for row in refits]
        refits = np.column_stack([refits, np.reshape(also, (len(refits), len(more)))])
    low, high = bounds(refits, settings.confidence)
    rows = []
    for at, name in enumerate(names):
        row = {"status": "ok", "message": message, "parameter": name, "estimate": float(values[at])}
        row |= {"low": _number(low[at]), "high": _number(high[at]), "estimand": law.estimand}
        if covariance is not None and at < len(law.parameters):
            row["covariance"] = np.atleast_2d(covariance)[at].tolist()
        rows.append(row | facts)
    return rows


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
