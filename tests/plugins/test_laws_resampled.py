"""Laws that fit many resamples at once: they find what fits one by one do; and a law of free form."""

import warnings

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import expit

from itscale.fitting import FitSettings, evidence_of_counts, report_law
from itscale.plugins import registry
from itscale.plugins.laws import FitFailure, FitWarning, LawData, Likelihood, Resampled

AHEAD = np.array([200.0, 1e3, 1e4])


def make(name, **options):
    entry = registry().get("laws", name).entry
    return entry.factory(entry.options.model_validate(options))


def resamples(n=200, problems=60, count=12):
    rng = np.random.default_rng(3)
    correct = rng.binomial(n, rng.beta(0.4, 3.0, problems))
    everything = evidence_of_counts(np.full(problems, n), correct)
    return everything.data(), [everything.data(chosen) for chosen in everything.resamples(count, rng)]


RESAMPLED = sorted(
    plugin.entry.name
    for plugin in registry().plugins("laws")
    if plugin.entry.takes != "table" and isinstance(make(plugin.entry.name), Resampled)
)


OF_A_CURVE = sorted(name for name in RESAMPLED if registry().get("laws", name).entry.takes == "curve")


@pytest.mark.parametrize("name", [*OF_A_CURVE, "smooth_mixture"])
@pytest.mark.filterwarnings("ignore::itscale.plugins.laws.FitWarning")
def test_resamples_at_once_are_as_good_as_one_by_one(name):
    """Coverage far out, where parameters hardly determined differ, is the same to a thousandth."""
    law = make(name)
    data, drawn = resamples()
    start = law.fit(data)
    together = law.fit_resamples(drawn, start)
    known = np.isfinite(together).all(axis=1)
    assert known.mean() > 0.5
    alone = [law.fit(resample, start) for resample in drawn]
    off = [
        np.abs(law.predict(one, AHEAD[:2]) - law.predict(other, AHEAD[:2])).max()
        for one, other, yes in zip(together, alone, known, strict=True)
        if yes
    ]
    assert np.median(off) < 1e-3
    # laws of many parameters have several optima far out: neither way always finds the better one
    assert np.mean(np.asarray(off) < 2e-3) >= 0.8


def rates_of(kind, rng, problems):
    """Return success probabilities of several kinds, some of which put a maximum at a bound."""
    if kind == "one problem in five is unsolvable":
        return rng.beta(0.8, 1.5, problems) * (rng.random(problems) > 0.2)
    if kind == "hardly any is solved":
        return rng.beta(0.065, 100.0, problems)
    if kind == "most are easy":
        return rng.beta(3.0, 0.5, problems)
    hard = expit(rng.normal(-6.5, 2.0, problems))
    return np.where(rng.random(problems) < 0.1, rng.beta(2.0, 4.0, problems), hard)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("kumaraswamy_binomial", {}),
        ("kumaraswamy_binomial", {"scaled": True}),
        ("scaled_beta_binomial", {}),
        ("zero_inflated_beta_binomial", {}),
        ("zero_inflated_beta_binomial", {"certain": True}),
        ("discretised_beta", {}),
    ],
)
@pytest.mark.parametrize(
    ("kind", "n", "problems"),
    [
        ("a few are easy", 10_000, 128),
        ("one problem in five is unsolvable", 1000, 40),
        ("hardly any is solved", 100, 164),
        ("most are easy", 50, 300),
    ],
)
@pytest.mark.filterwarnings("ignore::itscale.plugins.laws.FitWarning")
def test_resamples_at_once_end_where_a_fit_that_knows_no_estimate_ends(name, options, kind, n, problems):
    """A refit is the maximum of its likelihood: coverage to 1e-5, log L to 1e-6, from whatever start."""
    rng = np.random.default_rng(1)
    correct = rng.binomial(n, rates_of(kind, rng, problems))
    everything = evidence_of_counts(np.full(problems, n), correct)
    drawn = [everything.data(chosen) for chosen in everything.resamples(40, rng)]
    law = make(name, **options)
    together = law.fit_resamples(drawn, law.fit(everything.data()))
    known = np.flatnonzero(np.isfinite(together).all(axis=1))
    assert len(known) > 0.7 * len(drawn)
    for at in known[:3].tolist():
        alone = law.fit(drawn[at])
        if isinstance(law, Likelihood):
            heights = [law.log_likelihood(fitted, drawn[at]) for fitted in (together[at], alone)]
            assert heights[0] > heights[1] - 1e-6
        assert law.predict(together[at], AHEAD) == pytest.approx(law.predict(alone, AHEAD), abs=1e-5)


def test_a_resample_without_a_fit_is_left_to_the_law():
    """A refit that fails is a row of NaN: `fit` then says why."""
    law = make("smooth_mixture")
    data, drawn = resamples(count=2)
    nothing = LawData(
        budgets=data.budgets,
        coverage=np.zeros(len(data.budgets)),
        sampled=data.sampled,
        correct=np.zeros_like(data.correct),
    )
    found = law.fit_resamples([*drawn, nothing], law.fit(data))
    assert np.isfinite(found[:2]).all()
    assert np.isnan(found[2]).all()
    with pytest.raises(FitFailure, match="no completion is correct"):
        law.fit(nothing)


# --- the smooth mixture -----------------------------------------------------------------------------------


def test_a_smooth_mixture_follows_a_body_that_no_beta_has():
    """Two kinds of problems: a Beta misses what a free density sees."""
    rng = np.random.default_rng(0)
    rates = np.concatenate([rng.beta(2, 4, 4000), np.exp(rng.normal(-6.5, 0.7, 12_000))])
    n, k = np.full(len(rates), 1000), np.array([10.0, 100, 1000, 3000])
    data = LawData(budgets=np.array([1]), coverage=np.array([0.1]), sampled=n, correct=rng.binomial(n, rates))
    truth = -np.expm1(np.outer(k, np.log1p(-rates))).mean(axis=1)
    off = {
        name: np.abs(make(name).predict(make(name).fit(data), k) - truth).max()
        for name in ("smooth_mixture", "beta_binomial")
    }
    assert off["smooth_mixture"] < 0.04 < 0.08 < off["beta_binomial"]


def test_the_tail_of_a_smooth_mixture_is_the_power_law_that_failure_falls_by():
    """Schaeffer et al. 2025, theorem 1, with the exponent of a Beta(.5, 3) from 4,000 problems."""
    rng = np.random.default_rng(1)
    n = np.full(4000, 3000)
    data = LawData(
        budgets=np.array([1]),
        coverage=np.array([0.1]),
        sampled=n,
        correct=rng.binomial(3000, rng.beta(0.5, 3, 4000)),
    )
    law = make("smooth_mixture")
    fitted = law.fit(data)
    assert law.asymptotic_exponent(fitted) == pytest.approx(0.5, abs=0.12)  # of 140 problems below 1e-3
    near, far = 1 - law.predict(fitted, np.array([1e5, 1e6]))
    assert np.log10(near / far) == pytest.approx(law.asymptotic_exponent(fitted), abs=0.02)
    assert 2 < law.effective_parameters(fitted, data) < 8


@pytest.mark.parametrize(("n", "c"), [(20, 0), (20, 3), (10_000, 2), (10_000, 4000), (50, 50)])
def test_chances_of_counts_are_integrals_over_cells(n, c):
    """Also where the peak of the binomial is far narrower than a cell."""
    law = make("smooth_mixture")
    start = np.linspace(-1, 1, len(law.parameters))  # log density is a line in log p: f(log p) ~ p^b
    b = law.asymptotic_exponent(start)
    data = LawData(
        budgets=np.array([1]), coverage=np.array([0.1]), sampled=np.array([n, n]), correct=np.array([c, c])
    )
    if c in (0, n):
        data = LawData(
            budgets=data.budgets, coverage=data.coverage, sampled=np.array([n, n]), correct=np.array([c, 1])
        )
    from scipy.stats import binom

    low, high = np.log(1e-12), 0.0
    peak = np.log(max(c, 0.5) / n)
    whole = quad(lambda u: np.exp(b * u), low, high)[0]
    expected = sum(
        np.log(
            quad(
                lambda u, count=count: np.exp(b * u) * binom.pmf(count, n, np.exp(u)),
                low,
                high,
                points=[peak - 0.1, peak, min(peak + 0.1, -1e-9)],
                limit=400,
            )[0]
            / whole
        )
        for count in data.correct.tolist()
    )
    assert law.log_likelihood(start, data) == pytest.approx(expected, abs=5e-3)


# --- one completion of each -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    ["beta_binomial", "scaled_beta_binomial", "kumaraswamy_binomial", "discretised_beta", "smooth_mixture"],
)
def test_one_completion_of_each_problem_says_nothing_of_the_spread(name):
    everything = evidence_of_counts(np.ones(40, dtype=np.int64), np.repeat([0, 1], [30, 10]))
    entry = registry().get("laws", name).entry
    (row,) = report_law(make(name), entry, everything, [], FitSettings(refits=20)).fits
    assert row["status"] == "failed"
    assert "only the mean success probability is identified" in row["message"]
    assert row.get("asymptotic_exponent") is None


def test_a_law_of_coverage_refuses_other_values():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FitWarning)
        data = LawData(
            budgets=np.arange(1, 8), coverage=np.linspace(0.5, 2, 7), sampled=np.empty(0), correct=np.empty(0)
        )
        with pytest.raises(FitFailure, match=r"found 1\.25 on the curve, expected coverage in \[0, 1\]"):
            make("power_law").fit(data)
