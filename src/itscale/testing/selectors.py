"""The contract of a selector: an expectation over subsets that could be right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from scipy.special import comb

from itscale.boundary import make_selector
from itscale.errors import UserError
from itscale.outcomes import UNPARSABLE, FloatArray, IntArray, ProblemOutcomes
from itscale.plugins.references import references
from itscale.testing.entries import EntryContract, kept_word

__all__ = ["SelectorContract", "coverage", "random_outcomes"]

EXACT = 1e-9
STANDARD_ERRORS = 6.0


def random_outcomes(seed: int, n: int = 12, scorers: tuple[str, ...] = ("scorer",)) -> ProblemOutcomes:
    """Return outcomes with ties among scores, and answers of which some cannot be parsed."""
    rng = np.random.default_rng(seed)
    answers = rng.integers(-1, 4, n)
    right = int(rng.integers(0, 4))
    return ProblemOutcomes(
        problem_id=f"problem-{seed}",
        answers=answers,
        correct=answers == right,
        scores={name: rng.integers(0, 5, n) / 4 for name in scorers},
    )


def coverage(outcomes: ProblemOutcomes, budgets: IntArray) -> FloatArray:
    """Return the chance that k of the n completions hold a correct one, shape (len(budgets),)."""
    n, right = outcomes.n, int(outcomes.correct.sum())
    missed: FloatArray = comb(n - right, budgets) / comb(n, budgets)
    return 1 - missed


def _reordered(outcomes: ProblemOutcomes, order: IntArray) -> ProblemOutcomes:
    return ProblemOutcomes(
        problem_id=outcomes.problem_id,
        answers=outcomes.answers[order],
        correct=outcomes.correct[order],
        scores={name: scores[order] for name, scores in outcomes.scores.items()},
    )


def _until_correct(number: int, cap: int, scorers: tuple[str, ...]) -> ProblemOutcomes:
    """Return completions drawn until one is correct, the `number`-th; censored if that is beyond the cap."""
    n = min(number, cap)
    correct = np.arange(1, n + 1) == number
    return ProblemOutcomes(
        problem_id="until-correct",
        answers=np.where(correct, 0, 1),
        correct=correct,
        scores={name: np.full(n, 0.5) for name in scorers},
        design="until_success",
    )


class SelectorContract(EntryContract):
    """Tests of a selector; set `abstains` if it may decline to answer even from a single completion."""

    abstains = False
    cases = range(20)

    def outcomes(self, seed: int, n: int = 12) -> ProblemOutcomes:
        """Return random outcomes with the scores the options ask for."""
        scorer = next((label for _, label in references(self.validated(), "scorers")), None)
        return random_outcomes(seed, n, (scorer or "scorer",))

    def run(
        self, outcomes: ProblemOutcomes, budgets: IntArray, seed: int = 0
    ) -> tuple[FloatArray, FloatArray]:
        """Return the selector's mean and its Monte Carlo error at each k."""
        found = self.make().accuracy(outcomes, budgets, np.random.default_rng(seed))
        return found.mean, found.monte_carlo_error

    def test_it_declares_its_scorer(self) -> None:
        """The study checks that the scorer a selector names exists: it must be called `scorer`."""
        assert self.entry.takes_scores == ("scorer" in self.entry.options.model_fields)

    def test_values_are_probabilities_at_every_k(self) -> None:
        """One number in [0, 1] for each k, with a finite Monte Carlo error."""
        for seed in self.cases:
            outcomes = self.outcomes(seed)
            budgets = np.arange(1, outcomes.n + 1)
            mean, error = self.run(outcomes, budgets)
            assert mean.shape == error.shape == budgets.shape
            assert np.all((mean >= -EXACT) & (mean <= 1 + EXACT))
            assert np.all(np.isfinite(error) & (error >= 0))

    def test_a_study_takes_its_accuracies(self) -> None:
        """Shape, range, coverage and estimand are checked as they come."""
        for seed in self.cases:
            outcomes = self.outcomes(seed)
            budgets = np.arange(1, outcomes.n + 1)
            with kept_word():
                make_selector(self.ingredient()).accuracy(outcomes, budgets, np.random.default_rng(seed))

    def test_it_estimates_what_its_entry_says(self) -> None:
        """Tables and figures go by the estimand: coverage, single, reliability have closed forms."""
        for seed in self.cases:
            outcomes = self.outcomes(seed)
            n, right, budgets = outcomes.n, outcomes.correct.sum(), np.arange(1, outcomes.n + 1)
            forms = {
                "coverage": coverage(outcomes, budgets),
                "single": np.full(n, right / n),
                "reliability": comb(right, budgets) / comb(n, budgets),
            }
            mean, error = self.run(outcomes, budgets)
            expected = forms.get(self.entry.estimand, mean)
            assert np.all(np.abs(mean - expected) <= STANDARD_ERRORS * error + EXACT)

    def test_it_never_beats_coverage(self) -> None:
        """No one can select a correct answer that was not sampled."""
        for seed in self.cases:
            outcomes = self.outcomes(seed)
            budgets = np.arange(1, outcomes.n + 1)
            mean, error = self.run(outcomes, budgets)
            assert np.all(mean <= coverage(outcomes, budgets) + STANDARD_ERRORS * error + EXACT)

    def test_order_of_completions_does_not_matter(self) -> None:
        """The value is an expectation over subsets, which have no order."""
        for seed in self.cases:
            outcomes = self.outcomes(seed)
            budgets = np.arange(1, outcomes.n + 1)
            order = np.random.default_rng(seed).permutation(outcomes.n)
            mean, error = self.run(outcomes, budgets)
            other, other_error = self.run(_reordered(outcomes, order), budgets)
            assert np.all(np.abs(mean - other) <= STANDARD_ERRORS * np.hypot(error, other_error) + EXACT)

    def test_one_completion_is_as_right_as_the_mean(self) -> None:
        """From a single completion there is nothing to choose."""
        if self.abstains:
            pytest.skip("this selector may decline to answer")
        for seed in self.cases:
            outcomes = self.outcomes(seed)
            mean, error = self.run(outcomes, np.array([1]))
            assert abs(mean[0] - outcomes.correct.mean()) <= STANDARD_ERRORS * error[0] + EXACT

    def test_one_k_does_not_depend_on_the_others(self) -> None:
        """A finer grid leaves the points of a coarser one where they were."""
        for seed in self.cases:
            outcomes = self.outcomes(seed)
            mean, error = self.run(outcomes, np.arange(1, outcomes.n + 1))
            alone, alone_error = self.run(outcomes, np.array([5]))
            assert abs(mean[4] - alone[0]) <= STANDARD_ERRORS * np.hypot(error[4], alone_error[0]) + EXACT

    def test_it_is_unbiased_or_refuses_after_sampling_until_success(self) -> None:
        """Stopping at a correct completion makes that one too frequent: a naive estimate is too high."""
        rate, cap = 0.3, 5
        budgets = np.arange(1, cap + 1)
        scorers = tuple(self.outcomes(0).scores)
        mean = np.zeros(cap)
        for number in range(1, cap + 2):
            chance = rate * (1 - rate) ** (number - 1) if number <= cap else (1 - rate) ** cap
            try:
                found, _ = self.run(_until_correct(number, cap, scorers), budgets)
            except UserError:
                return
            mean += chance * found
        assert np.all(mean <= 1 - (1 - rate) ** budgets + EXACT)
        assert self.abstains or abs(mean[0] - rate) <= EXACT

    def test_it_refuses_adaptive_sampling_or_takes_it_into_account(self) -> None:
        """Where more is drawn as the need is seen, shares of correct completions are biased."""
        fixed = self.outcomes(1)
        budgets = np.arange(1, fixed.n + 1)
        plain, _ = self.run(fixed, budgets)
        try:
            adaptive, _ = self.run(replace(fixed, design="adaptive"), budgets)
        except UserError:
            return
        assert not np.allclose(plain, adaptive)

    def test_equal_generators_give_equal_values(self) -> None:
        """Curves are reproducible to the bit."""
        outcomes = self.outcomes(1)
        budgets = np.arange(1, outcomes.n + 1)
        first, second = self.run(outcomes, budgets, seed=3), self.run(outcomes, budgets, seed=3)
        assert np.array_equal(first, second)

    def test_outcomes_are_left_as_they_were(self) -> None:
        """Many selectors read the same arrays."""
        outcomes = self.outcomes(2)
        for array in (outcomes.answers, outcomes.correct, *outcomes.scores.values()):
            array.setflags(write=False)
        self.run(outcomes, np.arange(1, outcomes.n + 1))

    @pytest.mark.parametrize(
        ("answer", "right", "expected"), [(0, True, 1.0), (0, False, 0.0), (UNPARSABLE, False, 0.0)]
    )
    @pytest.mark.parametrize("n", [1, 7])
    def test_unanimous_completions(self, n: int, answer: int, right: bool, expected: float) -> None:
        """All correct gives 1 at every k; all wrong, or none with an answer, gives 0."""
        template = self.outcomes(0, n)
        outcomes = ProblemOutcomes(
            problem_id="unanimous",
            answers=np.full(n, answer),
            correct=np.full(n, right),
            scores={name: np.full(n, 0.5) for name in template.scores},
        )
        mean, _ = self.run(outcomes, np.arange(1, n + 1))
        expectation: Any = pytest.approx(expected)
        assert list(mean) == [expectation] * n or (self.abstains and np.all(mean <= expected))
