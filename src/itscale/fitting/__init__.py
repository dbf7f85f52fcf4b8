"""Fitting laws: evidence, refits to resampled problems, diagnostics, hold-outs, forecasts and ensembles.

Pure functions of arrays; `stages/fits.py` and `cli/fit.py` bring them files.
"""

from itscale.fitting.bootstrap import Fitted, fit_with_refits
from itscale.fitting.bound import solved_bound, unsolved_bound
from itscale.fitting.ensemble import ENSEMBLE, combine, far_share, leaderboard
from itscale.fitting.evidence import (
    Evidence,
    evidence_of_counts,
    evidence_of_curve,
    evidence_of_runs,
    origins_of_curve,
    thinned_counts,
)
from itscale.fitting.forecast import Forecast, forecast_rows, forecasts_of, refit_rows
from itscale.fitting.report import FitSettings, LawReport, failed_report, report_law

__all__ = [
    "ENSEMBLE",
    "Evidence",
    "FitSettings",
    "Fitted",
    "Forecast",
    "LawReport",
    "combine",
    "evidence_of_counts",
    "evidence_of_curve",
    "evidence_of_runs",
    "failed_report",
    "far_share",
    "fit_with_refits",
    "forecast_rows",
    "forecasts_of",
    "leaderboard",
    "origins_of_curve",
    "refit_rows",
    "report_law",
    "solved_bound",
    "thinned_counts",
    "unsolved_bound",
]
