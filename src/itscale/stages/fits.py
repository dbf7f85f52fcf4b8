"""Fits: a law's parameters, its hold-out error and its forecasts, each with what resampled problems say."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from itscale.estimators import coverage
from itscale.laws import FitFailure, FitWarning, Law, LawData
from itscale.plugins import LawEntry
from itscale.provenance import provenance
from itscale.seeds import generator
from itscale.selection import FloatArray, IntArray
from itscale.stages.pools import correct_counts, read_outcomes
from itscale.store import CURVES, FITS, FORECASTS, read_metadata, read_table, write_table
from itscale.study import Ingredient, Study

__all__ = ["fit_law"]

DECADES = 1.5
"""A power law seen over fewer decades of k is flagged."""

EXTRAPOLATION_POINTS = 20


@dataclass(frozen=True)
class _Evidence:
    """What a law is fitted to, problem by problem, so that problems can be resampled.

    `coverage` has shape (problems, budgets); `sampled` and `correct` shape (problems,), empty for runs.
    """

    budgets: IntArray
    coverage: FloatArray
    sampled: IntArray
    correct: IntArray

    def data(self, problems: IntArray | None = None) -> LawData:
        """Return what the law sees of all problems, or of a resample of them (indices)."""
        counted = len(self.sampled) > 0
        chosen = slice(None) if problems is None else problems
        return LawData(
            budgets=self.budgets,
            coverage=self.coverage[chosen].mean(axis=0),
            sampled=self.sampled[chosen] if counted else self.sampled,
            correct=self.correct[chosen] if counted else self.correct,
        )


@dataclass(frozen=True)
class _Fitted:
    """A law's parameters, shape (p,), those of the refits, shape (refits, p), and what was remarked."""

    parameters: FloatArray
    refits: FloatArray
    failed: int
    remarks: tuple[str, ...]


def fit_law(
    study: Study,
    task: str,
    model: str,
    strategy: str,
    law: str,
    *,
    outcomes: Path,
    curves: Path,
    fits: Path,
    forecasts: Path,
) -> None:
    """Fit one law to the coverage of one (task, model, strategy); write `FITS` and `FORECASTS`.

    Coverage is estimated from the outcomes at the budgets of `curves`, problem by problem, and each refit
    sees the whole curve (or the counts) of resampled problems, the same ones for every law. For the hold-out
    error the law is fitted again to what the first n/`holdout` completions alone would have shown (of a
    run-based strategy: to the smaller budgets) and compared with coverage at the larger k. A law that cannot
    be fitted is a row with status `failed` and the reason.

    Parameters
    ----------
    outcomes
        Judged completions (schema `OUTCOMES`).
    curves
        The curves of the same completions (schema `CURVES`): which budgets are fitted.
    fits, forecasts
        Where the results go.

    Raises
    ------
    DataError
        If an input is damaged.
    """
    ingredient = study.laws[law]
    frame = read_outcomes(outcomes)
    simulated = bool(read_metadata(outcomes).get("simulated", False))
    budgets = np.unique(read_table(curves, CURVES)["budget"].to_numpy())
    in_runs = study.strategies[strategy].entry.draws == "runs"
    report = _Report(study, task, ingredient)
    if in_runs and ingredient.entry.takes == "counts":
        report.fail("takes counts of independent completions; this strategy is run anew at each budget")
    else:
        shares = (1, study.config.fits.holdout)
        if in_runs:
            replicates = study.config.strategies[strategy].replicates
            report.fit(*(_evidence_of_runs(frame, budgets, replicates, share) for share in shares))
        else:
            report.fit(*(_evidence_of_pools(frame, budgets, share) for share in shares))
    identity = {"task": task, "model": model, "strategy": strategy, "law": law, "simulated": simulated}
    inputs = {"outcomes": outcomes, "curves": curves}
    metadata = provenance("fits", _fingerprint(study, task, ingredient), inputs, ingredient)
    metadata["simulated"] = simulated
    for rows, schema, path in ((report.fits, FITS, fits), (report.forecasts, FORECASTS, forecasts)):
        whole = [{**dict.fromkeys(schema), **identity, **row} for row in rows]
        write_table(pl.DataFrame(whole, schema=dict(schema), orient="row"), path, metadata)


def _fingerprint(study: Study, task: str, law: Ingredient[LawEntry]) -> dict[str, Any]:
    return {
        "seed": study.config.seed,
        "task": task,
        "law": law.fingerprint(),
        "fits": study.config.fits.model_dump(mode="json"),
        "confidence": study.config.curves.confidence,
    }


class _Report:
    """The rows of a fit: what there is to say of one law on one data set."""

    def __init__(self, study: Study, task: str, ingredient: Ingredient[LawEntry]) -> None:
        self.study = study
        self.task = task
        self.law: Law = ingredient.entry.factory(ingredient.options)
        self.fits: list[dict[str, Any]] = []
        self.forecasts: list[dict[str, Any]] = []

    def fail(self, reason: str, **facts: Any) -> None:
        """Add the row of a fit that is none."""
        self.fits = [{"status": "failed", "message": reason, "estimand": self.law.estimand, **facts}]

    def fit(self, everything: _Evidence | None, less: _Evidence | None) -> None:
        """Fit to everything, forecast beyond it, and check against what the smaller budgets foretold."""
        if everything is None:
            return self.fail("no budget of the curve is within every problem's completions")
        facts: dict[str, Any] = {"points": len(everything.budgets), "problems": len(everything.coverage)}
        try:
            fitted = self._fit(everything)
        except FitFailure as failure:
            return self.fail(str(failure), **facts)
        remarks = [*fitted.remarks, *_span_remark(everything.budgets)]
        facts |= {"refits": len(fitted.refits), "refits_failed": fitted.failed}
        remarks += self._hold_out(everything, less, facts)
        self._forecast_fit(everything, fitted)
        low, high = self._bounds(fitted.refits)
        for at, name in enumerate(self.law.parameters):
            row = {"parameter": name, "estimate": float(fitted.parameters[at])}
            row |= {"low": _number(low[at]), "high": _number(high[at]), "estimand": self.law.estimand}
            self.fits.append({"status": "ok", "message": "; ".join(remarks), **row, **facts})
        return None

    def _fit(self, evidence: _Evidence) -> _Fitted:
        """Fit a law, and fit it again to resampled problems, counting the refits that fail."""
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", FitWarning)
            parameters = self.law.fit(evidence.data())
        remarks = tuple(str(w.message) for w in caught if issubclass(w.category, FitWarning))
        rng = generator(self.study.config.seed, "refits", self.task)
        problems = len(evidence.coverage)
        refits = []
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FitWarning)
            for _ in range(self.study.config.fits.refits):
                resample = rng.integers(problems, size=problems)
                try:
                    refits.append(self.law.fit(evidence.data(resample)))
                except FitFailure:
                    continue
        failed = self.study.config.fits.refits - len(refits)
        shape = (len(refits), len(self.law.parameters))
        return _Fitted(parameters, np.reshape(refits, shape), failed, remarks)

    def _hold_out(self, everything: _Evidence, less: _Evidence | None, facts: dict[str, Any]) -> list[str]:
        """Fit to the smaller budgets and compare at the larger ones; return why not, if not."""
        if less is None:
            return ["no hold-out: too few completions to withhold any"]
        last = int(less.budgets[-1])
        beyond = everything.budgets > last
        try:
            fitted = self._fit(less)
        except FitFailure as failure:
            return [f"no hold-out at k <= {last}: {failure}"]
        observed = everything.coverage.mean(axis=0)[beyond]
        rows = self._forecasts(
            fitted, last, everything.budgets[beyond], ["holdout"] * len(observed), observed
        )
        errors = [abs(row["estimate"] - row["observed"]) for row in rows]
        self.forecasts += rows
        facts |= {"holdout_from": last, "holdout_error": float(np.mean(errors))}
        return []

    def _forecast_fit(self, evidence: _Evidence, fitted: _Fitted) -> None:
        """Add the fitted curve where there are data, and its continuation."""
        last = int(evidence.budgets[-1])
        observed = evidence.coverage.mean(axis=0)
        far = np.geomspace(last, last * self.study.config.fits.reach, EXTRAPOLATION_POINTS + 1)[1:]
        ks = np.concatenate([evidence.budgets, far])
        roles = ["fit"] * len(observed) + ["extrapolation"] * len(far)
        padded = np.concatenate([observed, np.full(len(far), np.nan)])
        self.forecasts += self._forecasts(fitted, last, ks, roles, padded)

    def _forecasts(
        self, fitted: _Fitted, last: int, ks: FloatArray | IntArray, roles: list[str], observed: FloatArray
    ) -> list[dict[str, Any]]:
        budgets = np.asarray(ks, dtype=np.float64)
        estimate = np.clip(self.law.predict(fitted.parameters, budgets), 0.0, 1.0)
        refits = np.array([self.law.predict(parameters, budgets) for parameters in fitted.refits])
        low, high = self._bounds(np.clip(refits.reshape(-1, len(budgets)), 0.0, 1.0))
        return [
            {
                "fitted_to": last,
                "budget": float(budgets[at]),
                "role": role,
                "estimate": float(estimate[at]),
                "low": _number(low[at]),
                "high": _number(high[at]),
                "observed": _number(observed[at]),
            }
            for at, role in enumerate(roles)
        ]

    def _bounds(self, refits: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return percentile bounds over refits, NaN where too few succeeded to say."""
        if 2 * len(refits) < self.study.config.fits.refits:
            return np.full(refits.shape[1], np.nan), np.full(refits.shape[1], np.nan)
        tail = (1 - self.study.config.curves.confidence) / 2
        low, high = np.quantile(refits, [tail, 1 - tail], axis=0)
        return low, high


def _evidence_of_pools(frame: pl.DataFrame, budgets: IntArray, share: int) -> _Evidence | None:
    """Return exact coverage and counts from the first 1/share of each problem's completions."""
    smallest = int(correct_counts(frame).sampled.min())
    kept = budgets[budgets <= smallest // share]
    if len(kept) == 0 or (share > 1 and kept[-1] == budgets[-1]):
        return None
    counts = correct_counts(frame, None if share == 1 else smallest // share)
    return _Evidence(kept, coverage(counts.sampled, counts.correct, kept), counts.sampled, counts.correct)


def _evidence_of_runs(
    frame: pl.DataFrame, budgets: IntArray, replicates: int, share: int
) -> _Evidence | None:
    """Return the share of runs with a correct completion, at budgets up to 1/share of the largest.

    A run that left no completion has no outcomes: it counts among the replicates, as a failure.
    """
    kept = budgets[budgets <= budgets[-1] // share]
    if len(kept) == 0 or (share > 1 and kept[-1] == budgets[-1]):
        return None
    runs = frame.group_by("problem_id", "budget", "replicate").agg(pl.col("correct").any())
    cells = runs.group_by("problem_id", "budget").agg(pl.col("correct").sum() / replicates)
    table = cells.pivot("budget", index="problem_id", values="correct").sort("problem_id").fill_null(0.0)
    none = np.empty(0, dtype=np.int64)
    return _Evidence(kept, table.select(str(k) for k in kept).to_numpy(), none, none)


def _span_remark(budgets: IntArray) -> list[str]:
    decades = float(np.log10(budgets[-1] / budgets[0]))
    return [f"k spans {decades:.1f} decades, fewer than {DECADES}"] if decades < DECADES else []


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
