"""The contract of a law: it finds itself again, and refuses instead of falling over."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
from scipy.special import comb

from itscale.boundary import make_law
from itscale.outcomes import FloatArray, IntArray
from itscale.plugins.laws import (
    Asymptotic,
    FitFailure,
    FitWarning,
    LawData,
    Likelihood,
    Penalised,
    PosteriorPredictive,
)
from itscale.testing.entries import EntryContract, kept_word

__all__ = ["DEGENERATE", "LawContract", "law_data"]

BUDGETS = np.unique(np.geomspace(1, 100, 20).round().astype(np.int64))
FAR = np.geomspace(1, 1e8, 60)


def law_data(correct: IntArray, sampled: IntArray, budgets: IntArray = BUDGETS) -> LawData:
    """Return counts together with the exact coverage they give at every k within the samples."""
    budgets = budgets[budgets <= sampled.min(initial=budgets.max())]
    missed = [comb(sampled - correct, k) / comb(sampled, k) for k in budgets]
    curve = np.array([1 - float(np.mean(column)) if len(column) else 0.0 for column in missed])
    return LawData(budgets=budgets, coverage=curve, sampled=sampled, correct=correct)


def drawn(problems: int = 400, n: int = 100, seed: int = 0) -> LawData:
    """Return counts of problems whose chance of success is Beta(0.5, 3): many hard ones, none hopeless."""
    rng = np.random.default_rng(seed)
    counts = rng.binomial(n, rng.beta(0.5, 3.0, problems))
    return law_data(counts, np.full(problems, n))


def _counts(*correct: int, n: int = 10) -> LawData:
    return law_data(np.array(correct, dtype=np.int64), np.full(len(correct), n), np.array([1, 2, 5, 10]))


DEGENERATE: Mapping[str, LawData] = {
    "nothing is ever correct": _counts(0, 0, 0),
    "everything is correct": _counts(10, 10, 10),
    "all or nothing": _counts(0, 10, 0, 10),
    "one problem": _counts(3),
    "one completion each": law_data(np.array([0, 1, 1]), np.ones(3, dtype=np.int64), np.array([1])),
    "one point": law_data(np.array([1, 4, 2]), np.full(3, 10), np.array([4])),
    "two points": law_data(np.array([1, 4, 2]), np.full(3, 10), np.array([1, 10])),
    "one problem is solved once": law_data(np.eye(1, 30, dtype=np.int64)[0], np.full(30, 100)),
    "all problems are alike": law_data(np.full(20, 7), np.full(20, 100)),
    "half never, half always": law_data(np.repeat([0, 100], 10), np.full(20, 100)),
    "coverage falls": LawData(
        budgets=BUDGETS,
        coverage=np.linspace(0.9, 0.1, len(BUDGETS)),
        sampled=np.full(9, 100),
        correct=np.arange(9) * 5,
    ),
    "no counts": LawData(
        budgets=BUDGETS,
        coverage=np.linspace(0.1, 0.9, len(BUDGETS)),
        sampled=np.empty(0, dtype=np.int64),
        correct=np.empty(0, dtype=np.int64),
    ),
}


class LawContract(EntryContract):
    """Tests of a law.

    Attributes
    ----------
    tolerance
        Largest distance (in coverage) between the law and the curve of `drawn()` it is fitted to.
    fixed
        Parameters that are taken from the data by a rule of their own, not by maximum likelihood.
    """

    tolerance: ClassVar[float] = 0.05
    fixed: ClassVar[tuple[str, ...]] = ()

    def test_it_names_its_parameters_and_what_they_mean(self) -> None:
        """The table of fits has one row per parameter."""
        law = self.make()
        assert law.parameters
        assert len(set(law.parameters)) == len(law.parameters)
        assert law.estimand.strip()

    def test_it_follows_the_curve_it_is_fitted_to(self) -> None:
        """Ordinary data, an ordinary fit: finite parameters, and a prediction near the points."""
        law, data = self.make(), drawn()
        fitted = law.fit(data)
        assert np.shape(fitted) == (len(law.parameters),)
        assert np.all(np.isfinite(fitted))
        distance = np.abs(law.predict(fitted, data.budgets.astype(float)) - data.coverage)
        assert distance.max() <= self.tolerance

    def test_a_study_takes_its_fits(self) -> None:
        """Number and finiteness of parameters, shape and range of predictions are checked as they come."""
        with warnings.catch_warnings(), kept_word():
            warnings.simplefilter("ignore", FitWarning)
            law = make_law(self.ingredient())
            law.predict(law.fit(drawn()), FAR)

    def test_it_recovers_itself(self) -> None:
        """Fitted to its own prediction, a law of a curve predicts the same again."""
        if self.entry.takes != "curve":
            pytest.skip("this law is fitted to counts, which it does not predict")
        law, data = self.make(), drawn()
        truth = law.fit(data)
        own = LawData(
            budgets=data.budgets,
            coverage=law.predict(truth, data.budgets.astype(float)),
            sampled=data.sampled,
            correct=data.correct,
        )
        again = law.fit(own)
        assert law.predict(again, FAR) == pytest.approx(law.predict(truth, FAR), abs=1e-3)

    def test_a_start_helps_and_does_not_decide(self) -> None:
        """A refit is told where the estimate was; it ends where it would have without."""
        law, data = self.make(), drawn()
        fitted = law.fit(data)
        for start in (fitted, 1.5 * fitted):
            near = law.predict(law.fit(data, start), data.budgets.astype(float))
            assert near == pytest.approx(law.predict(fitted, data.budgets.astype(float)), abs=1e-4)

    def test_the_same_data_give_the_same_fit(self) -> None:
        """Fits are reproducible; the order of problems is no information."""
        law, data = self.make(), drawn()
        order = np.random.default_rng(1).permutation(len(data.correct))
        shuffled = LawData(
            budgets=data.budgets,
            coverage=data.coverage,
            sampled=data.sampled[order],
            correct=data.correct[order],
        )
        assert np.array_equal(law.fit(data), law.fit(data))
        assert self._prediction(shuffled) == pytest.approx(self._prediction(data), abs=1e-6)

    def test_predictions_are_coverage(self) -> None:
        """Within [0, 1], and never lower for a larger budget, far beyond the data too."""
        law = self.make()
        predicted = law.predict(law.fit(drawn()), FAR)
        assert predicted.shape == FAR.shape
        assert np.all((predicted >= 0) & (predicted <= 1))
        assert np.all(np.diff(predicted) >= -1e-12)

    @pytest.mark.parametrize("case", DEGENERATE)
    def test_data_that_say_nothing_are_no_crash(self, case: str) -> None:
        """Usable parameters, or `FitFailure` with a reason; no other error, no stray warning of numpy."""
        law = self.make()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.simplefilter("ignore", FitWarning)
                fitted = law.fit(DEGENERATE[case])
        except FitFailure as failure:
            if not str(failure).strip():
                pytest.fail("a failure must say why")
            return
        predicted = law.predict(fitted, FAR)
        assert np.all(np.isfinite(fitted))
        assert np.all((predicted >= 0) & (predicted <= 1))

    def test_counts_mean_the_same_whatever_rule_ended_the_sampling(self) -> None:
        """Until the first success, say: the rule is no part of the likelihood."""
        if self.entry.takes != "counts":
            pytest.skip("curves made of such counts are biased and do not reach a law")
        law, data = self.make(), drawn()
        assert np.array_equal(law.fit(replace(data, design="until_success")), law.fit(data))

    def test_an_asymptotic_exponent_is_that_of_its_own_failure(self) -> None:
        """Positive, or NaN where coverage levels off; far out, failure falls as it says."""
        law = self.make()
        if not isinstance(self.make(), Asymptotic):
            pytest.skip("this law says nothing of k → ∞")
        fitted = law.fit(drawn())
        exponent = law.asymptotic_exponent(fitted)
        assert np.isnan(exponent) or exponent > 0
        if exponent > 0:
            near, far = 1 - law.predict(fitted, np.array([1e7, 1e8]))
            if far > 1e-9:
                assert np.log10(near / far) == pytest.approx(exponent, abs=0.02)

    def test_a_likelihood_is_largest_at_the_fit(self) -> None:
        """A log-probability of counts, which no parameters nearby raise."""
        law, data = self.make(), drawn()
        if not isinstance(self.make(), Likelihood):
            pytest.skip("this law has no likelihood of counts")
        if isinstance(law, Penalised):
            pytest.skip("this law's likelihood is penalised")
        fitted = law.fit(data)
        best = law.log_likelihood(fitted, data)
        assert best < 0
        for at in range(min(len(fitted), 3)):
            for factor in (0.97, 1.03):
                near = fitted.copy()
                near[at] *= factor
                if law.parameters[at] not in self.fixed:
                    assert law.log_likelihood(near, data) <= best + 1e-6

    def test_problems_forecast_from_their_own_counts(self) -> None:
        """More correct completions, more coverage; on average what the law predicts, near enough."""
        law, data = self.make(), drawn()
        if not isinstance(self.make(), PosteriorPredictive):
            pytest.skip("this law does not forecast single problems")
        fitted, k = law.fit(data), np.array([1.0, 10.0, 1e3, 1e5])
        each = law.predict_problems(fitted, data.sampled, data.correct, k)
        assert each.shape == (len(data.correct), len(k))
        assert np.all((each >= 0) & (each <= 1))
        assert np.all(np.diff(each, axis=1) >= -1e-9)
        assert np.all(np.diff(each[np.argsort(data.correct)], axis=0) >= -1e-9)
        assert each.mean(axis=0) == pytest.approx(law.predict(fitted, k), abs=2 * self.tolerance)

    def _prediction(self, data: LawData) -> FloatArray:
        law = self.make()
        predicted: FloatArray = law.predict(law.fit(data), BUDGETS.astype(float))
        return predicted
