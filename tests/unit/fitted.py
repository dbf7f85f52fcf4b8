"""Small data and reports of laws, for tests of fitting."""

import numpy as np

from itscale.fitting import (
    FitSettings,
    evidence_of_counts,
    report_law,
)
from itscale.plugins import registry


def make(name):
    entry = registry().get("laws", name).entry
    return entry.factory(entry.options())


def counts(problems=60, n=100, a=0.4, b=3.5, seed=0):
    rng = np.random.default_rng(seed)
    rates = rng.beta(a, b, problems)
    evidence, correct, seen = [], np.zeros(problems, dtype=np.int64), 0
    for size in (n // 4, n // 2, n):
        correct = correct + rng.binomial(size - seen, rates)
        seen = size
        evidence.append(evidence_of_counts(np.full(problems, size), correct))
    return evidence[-1], evidence[:-1]


def report(name, *data):
    entry = registry().get("laws", name).entry
    return report_law(make(name), entry, *data)


SMALL = FitSettings(refits=40, holdout_refits=20, reach=100.0)
