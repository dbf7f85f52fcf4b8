"""Estimators: pure functions of counts, answer classes and scores; every k from all n completions."""

from itscale.estimators.best_of_n import best_of_n, expected_best_score
from itscale.estimators.bounds import Interval, agreement_interval, bounded_mean_interval
from itscale.estimators.coverage import (
    all_correct,
    coverage,
    coverage_variance,
    log_failure,
    posterior_coverage,
)
from itscale.estimators.design import require_fixed
from itscale.estimators.family import FamilyShift, family_shift
from itscale.estimators.grid import k_grid
from itscale.estimators.intervals import (
    CurveInterval,
    IntervalOptions,
    curve_intervals,
    parameter_interval,
    simultaneous_band,
)
from itscale.estimators.pass_until import (
    PassUntil,
    coverage_of_problem,
    log_log_variance,
    log_variance,
    mean_pass_until,
    pass_until,
    pass_until_interval,
    stops_of,
    until_success_coverage,
)
from itscale.estimators.resampling import (
    design_effect,
    intraclass_correlation,
    resample,
    resample_two_level,
)
from itscale.estimators.thinking import control, normalised_regret, performance, scaling
from itscale.estimators.until_accepted import (
    TaskTypes,
    UntilAccepted,
    pass_given_base,
    soundness,
    two_types,
    until_accepted,
)
from itscale.estimators.vote import Tally, majority, majority_exact, majority_simulated, tally
from itscale.estimators.weighted_vote import weighted_vote

__all__ = [
    "CurveInterval",
    "FamilyShift",
    "Interval",
    "IntervalOptions",
    "PassUntil",
    "Tally",
    "TaskTypes",
    "UntilAccepted",
    "agreement_interval",
    "all_correct",
    "best_of_n",
    "bounded_mean_interval",
    "control",
    "coverage",
    "coverage_of_problem",
    "coverage_variance",
    "curve_intervals",
    "design_effect",
    "expected_best_score",
    "family_shift",
    "intraclass_correlation",
    "k_grid",
    "log_failure",
    "log_log_variance",
    "log_variance",
    "majority",
    "majority_exact",
    "majority_simulated",
    "mean_pass_until",
    "normalised_regret",
    "parameter_interval",
    "pass_given_base",
    "pass_until",
    "pass_until_interval",
    "performance",
    "posterior_coverage",
    "require_fixed",
    "resample",
    "resample_two_level",
    "scaling",
    "simultaneous_band",
    "soundness",
    "stops_of",
    "tally",
    "two_types",
    "until_accepted",
    "until_success_coverage",
    "weighted_vote",
]
