"""The laws of counts: closed forms, quadrature against them, recovery, and what counts cannot tell."""

import warnings

import numpy as np
import pytest
from mpmath import mp, mpf
from scipy.integrate import quad
from scipy.special import betaln, gamma, hyp2f1
from scipy.stats import betabinom, chi2

from itscale.fitting.evidence import evidence_of_counts
from itscale.fitting.report import FitSettings, report_law
from itscale.plugins import registry
from itscale.plugins.laws import FitFailure, FitWarning, LawData
from itscale_builtin.laws._counts import Counts, pooled
from itscale_builtin.laws._quadrature import Density, binomial, grid, mixture_log_likelihood
from itscale_builtin.laws.kumaraswamy_binomial import KUMARASWAMY
from itscale_builtin.laws.scaled_beta_binomial import BETA
from itscale_builtin.laws.zero_inflated_beta_binomial import _Likelihood

NONE = np.empty(0, dtype=np.int64)


def make(name, **options):
    entry = registry().get("laws", name).entry
    return entry.factory(entry.options.model_validate(options))


def counts(sampled, correct, design="fixed"):
    correct = np.asarray(correct)
    sampled = np.broadcast_to(sampled, correct.shape)
    return LawData(budgets=NONE, coverage=NONE.astype(float), sampled=sampled, correct=correct, design=design)


def quietly(law, data, start=None):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        return law.fit(data, start)


def failure(name, parameters, k, **options):
    return 1 - make(name, **options).predict(
        np.asarray(parameters), np.atleast_1d(np.asarray(k, dtype=float))
    )


# --- closed forms of core.md 1.6 and supporting.md 5.8 --------------------------------------------------


@pytest.mark.parametrize(
    ("scale", "k", "expected"),
    [(1.0, 100, 0.351513), (1.0, 1000, 0.177653)],
)
def test_scaled_beta_on_the_unit_interval_is_beta(scale, k, expected):
    assert failure("scaled_beta_binomial", [0.3, 3.5, scale], k)[0] == pytest.approx(expected, abs=1e-6)


def test_uniform_on_a_part_of_the_unit_interval():
    """Uniform(0, .2), k = 50: (1 - (1 - s)^(k + 1)) / (s (k + 1)) = .0980381."""
    assert failure("scaled_beta_binomial", [1.0, 1.0, 0.2], 50)[0] == pytest.approx(0.0980381, abs=1e-7)
    assert failure("kumaraswamy_binomial", [1.0, 1.0, 0.2], 50, scaled=True)[0] == pytest.approx(
        0.0980381, abs=1e-7
    )


@pytest.mark.parametrize(("a", "b", "s"), [(0.15, 3.5, 0.8), (0.4, 5.0, 0.1), (1.3, 0.6, 0.5)])
def test_beta_on_a_part_of_the_unit_interval_is_2f1(a, b, s):
    k = np.array([1, 5, 20, 60])
    exact = hyp2f1(-k, a, a + b, s)
    assert failure("scaled_beta_binomial", [a, b, s], k) == pytest.approx(exact, rel=1e-9)
    far = 1e7
    asymptote = gamma(a + b) / gamma(b) * (s * far) ** -a
    assert failure("scaled_beta_binomial", [a, b, s], far)[0] == pytest.approx(asymptote, rel=1e-3)


@pytest.mark.parametrize(("k", "expected"), [(1, 0.228571), (2, 0.346320), (10, 0.631379), (100, 0.871361)])
def test_kumaraswamy_coverage(k, expected):
    """Kumaraswamy(.5, 1.5) of supporting.md 5.8."""
    assert 1 - failure("kumaraswamy_binomial", [0.5, 1.5], k)[0] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(("a", "b"), [(0.5, 1.5), (0.2, 8.0), (1.7, 0.4)])
def test_kumaraswamy_against_direct_quadrature_and_its_tail(a, b):
    k = 30
    direct = quad(lambda u: (1 - (1 - (1 - u) ** (1 / b)) ** (1 / a)) ** k, 0, 1, epsabs=1e-12, limit=200)[0]
    assert failure("kumaraswamy_binomial", [a, b], k)[0] == pytest.approx(direct, abs=1e-8)
    far = 1e9
    assert failure("kumaraswamy_binomial", [a, b], far)[0] == pytest.approx(
        b * gamma(a + 1) * far**-a, rel=4 * far**-a
    )


def test_an_atom_at_zero_is_a_plateau():
    """-log coverage goes to -log(1 - pi0): no power law to 0."""
    law = make("zero_inflated_beta_binomial")
    parameters = np.array([0.05, 0.8, 1.5])
    expected = 0.95 * make("beta_binomial").predict(parameters[1:], np.array([1e4]))
    assert law.predict(parameters, np.array([1e4])) == pytest.approx(expected)
    assert law.predict(parameters, np.array([1e12]))[0] == pytest.approx(0.95)
    assert np.isnan(law.asymptotic_exponent(parameters))
    assert law.asymptotic_exponent(np.array([0.0, 0.8, 1.5])) == 0.8


# --- quadrature ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("a", "b"), [(0.3, 3.5), (0.065, 100.1), (0.01, 0.02), (2.0, 5000.0), (40.0, 40.0)])
@pytest.mark.parametrize("n", [1, 30, 10_000])
def test_quadrature_matches_the_closed_form(a, b, n):
    """The beta-binomial by quadrature to 1e-7 of each log-probability, for n to 10,000 and a to .01."""
    correct = np.unique(np.geomspace(1, n + 1, 30).astype(int)) - 1.0
    each = Counts(correct, n - correct, np.ones(len(correct)))
    nodes = grid(float(n))
    chances = binomial(nodes, each) @ Density(BETA, nodes, np.array([a, b])).weights
    exact = each.log_choose() + betaln(correct + a, n - correct + b) - betaln(a, b)
    likely = exact > -300
    assert np.log(chances[likely]) == pytest.approx(exact[likely], abs=1e-7)


@pytest.mark.parametrize("n", [20, 400])
def test_the_scaled_likelihood_is_2f1_summed_with_many_digits(n):
    """P(x | n) = C(n, x) s^x B(x + a, b) / B(a, b) 2F1(-(n - x), x + a; x + a + b; s)."""
    a, b, s = 0.3, 2.0, 0.45
    law = make("scaled_beta_binomial")
    with mp.workdps(60):
        for x in (0, 1, 7, 15):
            whole = mp.binomial(n, x) * mpf(s) ** x * mp.beta(x + a, b) / mp.beta(a, b)
            exact = mp.log(whole * mp.hyp2f1(-(n - x), x + a, x + a + b, s))
            found = law.log_likelihood(np.array([a, b, s]), counts(n, [x, x + 1]))
            found -= law.log_likelihood(np.array([a, b, s]), counts(n, [x + 1, x + 1])) / 2
            assert found == pytest.approx(float(exact), abs=1e-7)


def test_densities_have_mass_one():
    for family in (BETA, KUMARASWAMY):
        for a, b in ((0.3, 3.5), (0.01, 0.02), (3.0, 900.0), (0.1, 1e5)):
            weights = Density(family, grid(1000.0, 0.7), np.array([a, b])).weights
            assert weights.sum() == pytest.approx(1, abs=1e-8)


@pytest.mark.parametrize("family", [BETA, KUMARASWAMY])
@pytest.mark.parametrize("logs", [(-1.2, 1.25), (-4.0, -3.0), (-2.0, 9.0)])
def test_gradients_are_those_of_finite_differences(family, logs):
    """A wrong gradient stops a fit early, and nothing else would show it."""
    each = Counts(np.array([0.0, 3.0, 40.0]), np.array([100.0, 97.0, 60.0]), np.array([5.0, 2.0, 1.0]))
    nodes = grid(100.0, 0.8)
    kernel = binomial(nodes, each)

    def value(at):
        return mixture_log_likelihood(family, nodes, kernel, np.asarray(at), each.times[None])

    around = np.concatenate([logs + 1e-5 * np.eye(2), logs - 1e-5 * np.eye(2)])
    heights, _ = value(around)
    numeric = (heights[:2] - heights[2:]) / 2e-5
    assert value([logs])[1][0] == pytest.approx(numeric, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("certain", [False, True])
def test_gradients_with_point_masses(certain):
    each = Counts(np.array([0.0, 3.0, 100.0]), np.array([100.0, 97.0, 0.0]), np.array([5.0, 2.0, 1.0]))
    likelihood = _Likelihood(each, certain)
    at = np.array([0.2, -0.5, 0.7, 0.1][: 3 + certain])
    steps = 1e-6 * np.eye(len(at))
    numeric = [(likelihood.negative(at + d)[0] - likelihood.negative(at - d)[0]) / 2e-6 for d in steps]
    assert likelihood.negative(at)[1] == pytest.approx(numeric, rel=1e-5)


# --- fits -----------------------------------------------------------------------------------------------


def test_log_likelihood_is_that_of_the_beta_binomial():
    rng = np.random.default_rng(0)
    sampled = rng.integers(5, 60, 40)
    correct = rng.binomial(sampled, 0.3)
    found = make("beta_binomial").log_likelihood(np.array([0.7, 2.0]), counts(sampled, correct))
    assert found == pytest.approx(betabinom.logpmf(correct, sampled, 0.7, 2.0).sum())


@pytest.mark.parametrize(
    ("a", "b", "pass_at_10k"),
    [
        (0.065, 100.1, 0.259),
        (0.176, 65.6, 0.587),
        (0.180, 28.7, 0.653),
        (0.216, 25.5, 0.725),
        (0.246, 11.7, 0.812),
        (0.270, 14.2, 0.831),
        (0.296, 12.4, 0.863),
    ],
)
def test_beta_binomial_of_the_pythia_table(a, b, pass_at_10k):
    """core.md 1.7: the fits' own pass@10k, and (a, b) again from counts of 128 problems x 10,000."""
    law = make("beta_binomial")
    coverage = law.predict(np.array([a, b]), np.array([1e4]))[0]
    assert coverage == pytest.approx(pass_at_10k, abs=0.005)  # a and b are rounded in the table
    assert coverage == pytest.approx(1 - np.exp(betaln(a, b + 1e4) - betaln(a, b)))
    rng = np.random.default_rng(5)
    fits = [quietly(law, counts(10_000, rng.binomial(10_000, rng.beta(a, b, 128)))) for _ in range(30)]
    assert np.exp(np.mean(np.log(fits), axis=0)) == pytest.approx([a, b], rel=0.15)
    assert law.predict(np.median(fits, axis=0), np.array([1e4]))[0] == pytest.approx(coverage, abs=0.03)


@pytest.mark.parametrize(
    ("name", "truth", "options"),
    [
        ("scaled_beta_binomial", (0.4, 1.0, 0.3), {}),
        ("kumaraswamy_binomial", (0.4, 3.5), {}),
        ("kumaraswamy_binomial", (0.5, 1.0, 0.4), {"scaled": True}),
        ("discretised_beta", (0.4, 3.5), {}),
        ("zero_inflated_beta_binomial", (0.2, 0.9, 3.0), {}),
        ("zero_inflated_beta_binomial", (0.2, 0.9, 3.0, 0.1), {"certain": True}),
    ],
)
def test_known_parameters_are_recovered(name, truth, options):
    rng = np.random.default_rng(1)
    problems, n = 3000, 10_000 if "scale" in make(name, **options).parameters else 300
    if name == "kumaraswamy_binomial":
        p = (1 - (1 - rng.random(problems)) ** (1 / truth[1])) ** (1 / truth[0]) * (*truth, 1.0)[2]
    elif name == "zero_inflated_beta_binomial":
        kind = rng.random(problems)
        sure = truth[3] if len(truth) > 3 else 0.0
        spread = rng.beta(truth[1], truth[2], problems)
        p = np.where(kind < truth[0], 0.0, np.where(kind > 1 - sure, 1.0, spread))
    else:
        p = rng.beta(truth[0], truth[1], problems) * (truth[2] if len(truth) > 2 else 1.0)
    data = counts(n, rng.binomial(n, p))
    found = quietly(make(name, **options), data)
    assert found == pytest.approx(truth, rel=0.12)


def test_unequal_numbers_of_completions():
    rng = np.random.default_rng(2)
    sampled = rng.integers(20, 400, 1500)
    correct = rng.binomial(sampled, rng.beta(0.5, 3.0, 1500))
    for name in ("beta_binomial", "kumaraswamy_binomial", "scaled_beta_binomial"):
        law = make(name)
        found = quietly(law, counts(sampled, correct))
        assert law.predict(found, np.array([1.0, 100.0])) == pytest.approx(
            make("beta_binomial").predict(np.array([0.5, 3.0]), np.array([1.0, 100.0])), abs=0.03
        )


def test_sampling_until_the_first_success_biases_no_likelihood():
    """core.md 1.7: the adaptive rule is ignorable; c / n of such data is far off."""
    rng = np.random.default_rng(3)
    p = rng.beta(0.6, 4.0, 6000)
    tries = np.minimum(rng.geometric(np.maximum(p, 1e-9)), 300)
    solved = (rng.random(6000) < 1) & (tries < 300)
    data = counts(tries, solved.astype(int), "until_success")
    assert quietly(make("beta_binomial"), data) == pytest.approx([0.6, 4.0], rel=0.08)
    assert np.mean(solved / tries) > 1.5 * p.mean()


# --- unsolvable problems (supporting.md 5.8) ------------------------------------------------------------


def test_a_plain_fit_is_misled_by_unsolvable_problems():
    """5 % unsolvable, else Beta(.8, 1.5), n = 100: plain alpha .65 and pass@1e4 .996, truth .949."""
    rng = np.random.default_rng(4)
    p = np.where(rng.random(20_000) < 0.05, 0.0, rng.beta(0.8, 1.5, 20_000))
    data = counts(100, rng.binomial(100, p))
    plain, inflated = make("beta_binomial"), make("zero_inflated_beta_binomial")
    misled = quietly(plain, data)
    assert misled[0] == pytest.approx(0.65, abs=0.03)
    far = np.array([1e4])
    assert plain.predict(misled, far)[0] == pytest.approx(0.996, abs=0.002)
    assert inflated.predict(quietly(inflated, data), far)[0] == pytest.approx(0.949, abs=0.01)


def test_the_interval_of_the_unsolvable_share_is_that_of_its_profile_and_is_wide():
    """Nearly unidentified from n completions: the profile says how little 200 problems tell."""
    rng = np.random.default_rng(6)
    p = np.where(rng.random(200) < 0.05, 0.0, rng.beta(0.8, 1.5, 200))
    data, law = counts(100, rng.binomial(100, p)), make("zero_inflated_beta_binomial")
    found = quietly(law, data)
    best = law.profile(data, found[:1])[0]
    shares = np.array([0.0, 0.5 * found[0], found[0], 0.5])
    assert np.all(law.profile(data, shares) <= best + 1e-6)
    low, high = law.profile_intervals(found, data, 0.95)["unsolvable"]
    assert low < 0.05 < high
    falls = best - law.profile(data, np.array([high]))
    assert falls == pytest.approx(chi2.ppf(0.95, 1) / 2, abs=0.02)
    evidence = evidence_of_counts(data.sampled, data.correct, np.array([1, 10, 100]))
    entry = registry().get("laws", "zero_inflated_beta_binomial").entry
    fits = report_law(law, entry, evidence, [], FitSettings(refits=4)).fits
    assert (fits[0]["parameter"], fits[0]["low"], fits[0]["high"]) == ("unsolvable", low, high)
    assert "interval of unsolvable by profile likelihood, not from refits" in fits[0]["message"]


def test_few_completions_cannot_tell_hard_from_unsolvable():
    with pytest.raises(FitFailure, match="at most 10 completions, expected at least 50"):
        make("zero_inflated_beta_binomial").fit(counts(10, [0, 1, 5, 0]))


def test_a_problem_never_solved_may_be_unsolvable():
    law = make("zero_inflated_beta_binomial")
    parameters, k = np.array([0.3, 0.8, 1.5]), np.array([1e6])
    never, once = law.predict_problems(parameters, np.array([100, 100]), np.array([0, 1]), k)[:, 0]
    plain = make("beta_binomial").predict_problems(parameters[1:], np.array([100]), np.array([0]), k)[0, 0]
    share = 0.3 / (0.3 + 0.7 * betabinom.pmf(0, 100, 0.8, 1.5))
    assert never == pytest.approx((1 - share) * plain)
    assert once > 0.999


def test_forecasts_of_single_problems_by_quadrature_match_the_closed_form():
    sampled, correct, k = np.array([100, 40, 100]), np.array([0, 3, 100]), np.array([1.0, 50.0, 1e5])
    exact = make("beta_binomial").predict_problems(np.array([0.3, 3.5]), sampled, correct, k)
    found = make("scaled_beta_binomial").predict_problems(np.array([0.3, 3.5, 1.0]), sampled, correct, k)
    assert found == pytest.approx(exact, abs=1e-8)


def test_bins_make_the_unsolved_share_the_mass_below_one_in_n():
    """core.md 1.6: what the discretised fit is for."""
    rng = np.random.default_rng(7)
    correct = rng.binomial(1000, rng.beta(0.3, 3.0, 2000))
    found = quietly(make("discretised_beta"), counts(1000, correct))
    unsolved = np.mean(rng.beta(*found, 200_000) < 1e-3)
    assert unsolved == pytest.approx(np.mean(correct == 0), abs=0.02)


def test_equal_counts_are_pooled():
    data = counts(np.array([9, 5, 9, 5]), [2, 1, 2, 2])
    found = pooled(data)
    assert list(zip(found.correct, found.wrong, found.times, strict=True)) == [
        (1, 4, 1),
        (2, 3, 1),
        (2, 7, 2),
    ]


@pytest.mark.parametrize(
    "name",
    [entry.name for entry in (one.entry for one in registry().plugins("laws")) if entry.takes == "counts"],
)
def test_one_completion_of_each_problem_says_nothing_of_a_spread(name):
    """P(c | n = 1) depends on the mean success probability alone: any exponent would fit as well."""
    correct = np.repeat([0, 1], [90, 10])
    for alpha in (0.1, 1.0, 10.0):  # the same likelihood at every alpha: .1 ** 10 * .9 ** 90
        at = betabinom.logpmf(correct, 1, alpha, 9 * alpha).sum()
        assert at == pytest.approx(10 * np.log(0.1) + 90 * np.log(0.9))
    with pytest.raises(FitFailure, match="only the mean success probability is identified"):
        make(name).fit(counts(1, correct))


def test_problems_that_are_all_solved_leave_a_share_of_others_open():
    """12 of 12 solved: log L falls by 12 log(1 - share), by 1.92 at a share of .148."""
    correct = np.array([20, 25, 30, 33, 38, 41, 44, 48, 52, 55, 58, 61])
    data = counts(64, correct)
    law = make("zero_inflated_beta_binomial")
    low, high = law.profile_intervals(quietly(law, data), data, 0.95)["unsolvable"]
    assert (low, high) == (0.0, pytest.approx(1 - np.exp(-1.92 / 12), abs=0.002))
