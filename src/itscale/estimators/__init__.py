"""Estimators: pure functions of counts, answer classes and scores; every k from all n completions."""

from itscale.estimators.best_of_n import best_of_n
from itscale.estimators.coverage import coverage, log_failure
from itscale.estimators.grid import k_grid
from itscale.estimators.intervals import Interval, bca_interval, percentile_interval, resample_means
from itscale.estimators.vote import Tally, majority, majority_exact, majority_simulated, tally
from itscale.estimators.weighted_vote import weighted_vote

__all__ = [
    "Interval",
    "Tally",
    "bca_interval",
    "best_of_n",
    "coverage",
    "k_grid",
    "log_failure",
    "majority",
    "majority_exact",
    "majority_simulated",
    "percentile_interval",
    "resample_means",
    "tally",
    "weighted_vote",
]
