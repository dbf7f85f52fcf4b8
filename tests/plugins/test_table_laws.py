"""Tabular laws: closed forms, limits and recovery. Chinchilla has a file of its own."""

import numpy as np
import polars as pl
import pytest
from pydantic import ValidationError
from scipy.special import expit
from tables_of_laws import BENCHMARKS, FILE, families, passes, retrieval

from itscale.plugins import registry
from itscale.plugins.laws import FitFailure, FitWarning, TableData
from itscale.plugins.table_laws import load_table
from itscale_builtin.laws._components import fill, find_components
from itscale_builtin.laws.rag_allocation import LINEAR, design, fit_linear, sigmoid4
from itscale_builtin.laws.task_scaling import curvature


def make(name, **options):
    entry = registry().get("laws", name).entry
    return entry.factory(entry.options.model_validate({**FILE, **options}))


# --- kaplan ---------------------------------------------------------------------------------------------

FORMS = {
    "n": [8.8e13, 0.076],
    "d": [5.4e13, 0.095],
    "n_d": [6.4e13, 1.8e13, 0.076, 0.103],
    "n_s": [6.5e13, 2.1e3, 0.077, 0.76],
}


def sizes(form, rows=50, seed=0):
    rng = np.random.default_rng(seed)
    ranges = {"n": (5, 9), "d": (7, 10.5), "s_min": (3, 5.5)}
    return {name: 10 ** rng.uniform(*ranges[name], rows) for name in make("kaplan", form=form).inputs}


@pytest.mark.parametrize("form", FORMS)
def test_kaplan_finds_its_parameters(form):
    law, inputs = make("kaplan", form=form), sizes(form)
    found = law.fit(TableData(inputs=inputs, response=law.predict(np.array(FORMS[form]), inputs)))
    assert found == pytest.approx(FORMS[form], rel=1e-5)


def test_with_data_without_end_the_joint_law_is_that_of_size():
    """L(N, D -> inf) = L(N), and L(N, S -> inf) too."""
    n = sizes("n")["n"]
    alone = make("kaplan", form="n").predict(np.array([6.4e13, 0.076]), {"n": n})
    endless = np.full_like(n, np.inf)
    with_data = make("kaplan", form="n_d").predict(np.array(FORMS["n_d"]), {"n": n, "d": endless})
    assert with_data == pytest.approx(alone)
    steps = np.array([6.4e13, 2.1e3, 0.076, 0.76])
    assert make("kaplan", form="n_s").predict(steps, {"n": n, "s_min": endless}) == pytest.approx(alone)


def test_loss_that_grows_with_size_is_a_failure():
    n = sizes("n")["n"]
    with pytest.raises(FitFailure, match="loss does not fall"):
        make("kaplan", form="n").fit(TableData(inputs={"n": n}, response=n**0.05))


# --- observational --------------------------------------------------------------------------------------


def rank_one(gaps=0.12):
    rng = np.random.default_rng(0)
    score = rng.normal(size=40)
    full = 0.5 + np.outer(score, [0.3, 0.2, 0.15, 0.1])
    table = np.where(rng.random(full.shape) < gaps, np.nan, full)
    response = 0.05 + 0.8 * expit(1.5 * score - 0.3)
    inputs = dict(zip(BENCHMARKS, table.T, strict=True)) | {"flops": np.exp(score)}
    return full, table, TableData(inputs=inputs, response=response)


def test_a_matrix_of_rank_one_is_recovered_with_its_gaps():
    full, table, data = rank_one()
    components, complete = find_components(table, 1, 0)
    assert np.isnan(table).sum() > 10
    assert complete == pytest.approx(full, abs=1e-9)
    assert components.explained[0] == pytest.approx(1)
    law = make("observational", benchmarks=BENCHMARKS)
    found = law.fit(data)
    assert law.predict(found, data.inputs) == pytest.approx(data.response, abs=1e-9)
    assert found[:2] == pytest.approx([0.05, 0.85], abs=1e-6)


def test_the_first_component_rises_with_the_benchmark_that_orients_it():
    data = families()
    table = np.column_stack([data.inputs[name] for name in BENCHMARKS])
    for at in range(4):
        assert find_components(table, 2, at)[0].loadings[0, at] > 0
    assert find_components(1 - table, 2, 0)[0].loadings[0, 0] > 0


def test_models_that_are_withheld_do_not_move_the_components():
    """Filling gaps and components see training rows only."""
    _, _, data = rank_one()
    law = make("observational", benchmarks=BENCHMARKS)
    first = {name: values[:30] for name, values in data.inputs.items()}
    found = law.fit(TableData(inputs=first, response=data.response[:30]))
    alone = law.predict(found, {name: values[30:31] for name, values in data.inputs.items()})
    together = law.predict(found, {name: values[30:] for name, values in data.inputs.items()})
    assert alone == pytest.approx(together[:1])


def test_a_target_among_the_inputs_is_refused():
    with pytest.raises(ValidationError, match="it would predict itself"):
        make("observational", benchmarks=("MMLU", "GSM8K"), columns={"response": "GSM8K"})
    with pytest.raises(ValidationError, match="it would predict itself"):
        make("observational", benchmarks=("mmlu", "b"), columns={"response": "GSM8K", "b": "GSM8K"})
    with pytest.raises(ValidationError, match="did you mean 'mmlu'"):
        make("observational", benchmarks=BENCHMARKS, orient="mmlo")


def test_gaps_are_filled_by_what_a_row_has():
    filled = fill(np.array([[1.0, np.nan], [np.nan, np.nan]]), np.array([0.0, 0.0]), np.array([0.6, 0.8]))
    assert filled == pytest.approx(np.array([[1.0, 0.8 / 0.6], [0.0, 0.0]]))


@pytest.mark.shared_data
def test_components_of_real_benchmarks(shared_data):
    """supporting.md 5.7: 148 models x 8 benchmarks, 40 gaps, 85.3/9.4/2.7 % of the variance."""
    file = shared_data / "laws/observational/base_llm_benchmark_eval.csv"
    names = pl.read_csv(file).columns[5:]
    table = pl.read_csv(file).select(names).to_numpy().astype(float)
    assert table.shape == (148, 8)
    assert np.isnan(table).sum() == 40
    components, _ = find_components(table, 3, names.index("MMLU"))
    assert components.explained[:3] == pytest.approx([0.853, 0.094, 0.027], abs=6e-4)
    assert components.explained[:3].sum() == pytest.approx(0.974, abs=6e-4)
    assert np.all(components.loadings[0] > 0)
    inputs = tuple(name for name in names if name != "GSM8K")
    columns = {"response": "GSM8K", "flops": "FLOPs (1E21)"}
    law = make("observational", file=file, benchmarks=inputs, orient="MMLU", columns=columns)
    table = load_table(law, law.options, "laws.gsm8k")
    found = law.fit(table.data)
    error = law.predict(found, table.data.inputs) - table.data.response
    assert np.sqrt(np.mean(error**2)) < 0.4 * table.data.response.std()


# --- task scaling ---------------------------------------------------------------------------------------


def test_a_task_without_noise_gives_its_law():
    data = passes()
    assert make("task_scaling").fit(data) == pytest.approx([6.0, 0.25], abs=1e-6)
    weighted = make("task_scaling", columns={"variance": "v"})
    inputs = {**data.inputs, "variance": data.response * 0.01}
    assert weighted.fit(TableData(inputs=inputs, response=data.response)) == pytest.approx(
        [6.0, 0.25], abs=1e-6
    )


def test_sizes_weigh_by_the_delta_method():
    """Var ln(-ln PU) = Var PU / (PU ln PU)^2: a size measured badly hardly counts."""
    data = passes()
    wrong = data.response.copy()
    wrong[0] *= 3
    variance = np.array([1.0, 1e-8, 1e-8, 1e-8, 1e-8])
    law = make("task_scaling", columns={"variance": "v"})
    found = law.fit(TableData(inputs={**data.inputs, "variance": variance}, response=wrong))
    assert found == pytest.approx([6.0, 0.25], abs=1e-3)


@pytest.mark.parametrize(("bend", "kind"), [(0.05, "sub-scaling"), (-0.05, "super-scaling"), (0.0, "linear")])
def test_the_sign_of_the_bend_classes_a_task(bend, kind):
    n = np.geomspace(3e7, 2.4e9, 6)
    x = np.log(n) - np.log(n).mean()
    chance = np.exp(-np.exp(1.0 - 0.25 * x + bend * x**2))
    assert curvature(n, chance).kind == kind
    law = make("task_scaling")
    if bend:
        with pytest.warns(FitWarning, match=kind):
            law.fit(TableData(inputs={"n": n}, response=chance))


def test_instances_are_fitted_each_and_then_averaged():
    """A mean of exponentials is no exponential: the fit to the mean misses where the instances don't."""
    names = ("easy", "hard")
    n = np.geomspace(3e7, 2.4e9, 5)
    law = make("task_scaling", instances=names)
    truth = np.array([8.0, 4.0, 0.5, 0.1])
    each = np.exp(-np.exp(truth[:2] - np.multiply.outer(np.log(n), truth[2:])))
    data = TableData(inputs={"n": n, **dict(zip(names, each.T, strict=True))}, response=each.mean(axis=1))
    assert law.fit(data) == pytest.approx(truth, abs=1e-6)
    far = {"n": np.array([1e12])}
    exact = np.exp(-np.exp(truth[:2] - np.log(1e12) * truth[2:])).mean()
    assert law.predict(law.fit(data), far) == pytest.approx([exact])
    dataset = make("task_scaling")
    pooled = dataset.predict(dataset.fit(TableData(inputs={"n": n}, response=each.mean(axis=1))), far)
    assert abs(pooled[0] - exact) > 0.02


def test_instances_weigh_by_what_pass_until_knows_of_them():
    """Var ln(-ln(r/K)) = (1 - p) / (r ln^2 p): without noise no weight matters, with noise small p do."""
    n = np.geomspace(3e7, 2.4e9, 5)
    chance = np.exp(-np.exp(6.0) * n**-0.25)
    columns = {"n": n, "a": chance}
    alike, weighted = (make("task_scaling", instances=("a",), wanted=wanted) for wanted in (None, 2))
    data = TableData(inputs=columns, response=chance)
    assert weighted.fit(data) == pytest.approx(alike.fit(data), abs=1e-9)
    columns["a"] = chance * np.array([1, 1, 1, 1, 1.05])  # the least certain of the five
    off = TableData(inputs=columns, response=chance)
    truth = [6.0, 0.25]
    assert abs(weighted.fit(off) - truth)[1] < abs(alike.fit(off) - truth)[1]


def test_an_instance_that_never_passed_does_not_crash():
    names = ("some", "never", "always", "once")
    n = np.geomspace(3e7, 2.4e9, 5)
    some = np.exp(-np.exp(6.0) * n**-0.3)
    once = np.array([0, 0, 0, 0, 0.2])
    columns = {"some": some, "never": np.zeros(5), "always": np.ones(5), "once": once}
    law = make("task_scaling", instances=names)
    data = TableData(inputs={"n": n, **columns}, response=np.mean(list(columns.values()), axis=0))
    with pytest.warns(FitWarning, match="1 instances never passed"):
        found = law.fit(data)
    assert np.all(np.isfinite(found))
    again = law.predict(found, {"n": n[-1:]})
    assert again == pytest.approx([np.mean([some[-1], 0, 1, 0.2])], abs=1e-6)
    with pytest.raises(FitFailure, match="no instance passes sometimes"):
        law.fit(TableData(inputs={"n": n, **dict.fromkeys(names, np.zeros(5))}, response=np.zeros(5)))


def test_a_task_never_passed_is_a_failure():
    with pytest.raises(FitFailure, match="fewer than two sizes"):
        make("task_scaling").fit(TableData(inputs=passes().inputs, response=np.array([0, 0, 0, 0, 0.1])))


# --- rag allocation -------------------------------------------------------------------------------------

COEFFICIENTS = np.array([0.325, 0.101, 0.177, -0.067, -0.008, -0.73])
"""a, b and c of Gemini 1.5 Flash (Yue et al. 2024), as inputs of a test."""


def test_coefficients_are_exact_on_the_grid_of_drag():
    data = retrieval(noise=0.0)
    inputs = {**data.inputs, "n": np.where(np.arange(len(data.response)) % 2, 1.0, 5.0)}
    columns = design(inputs, 0.01)
    assert fit_linear(columns, columns @ COEFFICIENTS) == pytest.approx(COEFFICIENTS, abs=1e-12)
    law = make("rag_allocation", link="logit", questions=10**9)
    response = expit(columns @ COEFFICIENTS)
    assert law.fit(TableData(inputs=inputs, response=response)) == pytest.approx(COEFFICIENTS, abs=1e-9)


def test_a_constant_column_is_left_out_and_that_is_said():
    data = retrieval(noise=0.0)
    law = make("rag_allocation", link="logit", questions=10**9)
    with pytest.warns(FitWarning, match="a_iter: the column is constant"):
        found = law.fit(data)
    assert found[LINEAR.index("a_iter")] == 0
    assert law.predict(found, data.inputs) == pytest.approx(data.response)


def test_one_task_says_nothing_of_informativeness():
    with pytest.warns(FitWarning), pytest.raises(FitFailure, match="interaction is not determined"):
        make("rag_allocation", link="logit").fit(retrieval(datasets=1))


@pytest.mark.filterwarnings("ignore::itscale.plugins.laws.FitWarning")
def test_the_sigmoid_improves_values_and_changes_no_choice():
    law, data = make("rag_allocation", datasets=("a", "b", "c", "d")), retrieval(noise=0.05)
    found = law.fit(data)
    scale, slope = found[len(LINEAR) : len(LINEAR) + 2]
    assert scale > 0
    assert slope > 0
    linear, predicted = law.linear(found, data.inputs), law.predict(found, data.inputs)
    for task in range(4):
        own = np.flatnonzero(data.inputs["dataset"] == task)
        assert np.argmax(linear[own]) == np.argmax(predicted[own])
        assert np.all(np.diff(predicted[own][np.argsort(linear[own])]) >= -1e-12)
    size = len(LINEAR) + len(("scale", "slope", "shift", "offset"))
    mean, spread = found[size:].reshape(2, -1)
    which = data.inputs["dataset"].astype(int)
    straight = mean[which] + spread[which] * linear
    assert np.sum((predicted - data.response) ** 2) <= np.sum((straight - data.response) ** 2)


def test_the_sigmoid_of_the_paper():
    """Appendix F: range -2.18 to 1.12."""
    ends = sigmoid4(np.array([-1e3, 1e3]), 3.30, 1.81, 0.46, -2.18)
    assert ends == pytest.approx([-2.18, 1.12])
