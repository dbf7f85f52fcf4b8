"""Price tables: from a study that names them to USD in curves, by the ledger's classes of tokens."""

import polars as pl
import pytest

from itscale.errors import UserError
from itscale.plugins import KINDS, Options, PriceEntry, StrategyEntry, VerifierEntry, registry
from itscale.plugins.references import ModelLabel
from itscale.plugins.strategies import SamplingOptions
from itscale.stages.curves import estimate_curves
from itscale.stages.declared import CURVES as STAGE
from itscale.stages.declared import OUTCOMES as OUTCOMES_STAGE
from itscale.store.parquet import write_table
from itscale.store.schemas import LEDGER, OUTCOMES
from itscale.study import resolve
from itscale.testing import registry_of

MODEL = {"plugin": "simulated"}
LIST, CHEAP = {"prompt": 1.0, "cached_prompt": 0.1, "generated": 4.0}, {"prompt": 0.5, "generated": 2.0}
STUDY = {
    "study": "priced",
    "tasks": {"sums": {"plugin": "jsonl", "file": "x.jsonl"}},
    "models": {"large": {**MODEL, "prices": "list"}, "small": {**MODEL, "prices": "cheap"}},
    "strategies": {
        "repeated": {"plugin": "repeated_sampling", "completions": 4},
        "beam": {"plugin": "beam_search", "budgets": [4], "replicates": 2, "scorer": "reward"},
    },
    "verifiers": {"reward": {"plugin": "process_reward"}},
    "selectors": {"oracle": {}, "best": {"plugin": "best_of_n", "scorer": "reward"}},
    "prices": {"list": {"plugin": "per_token", **LIST}, "cheap": {"plugin": "per_token", **CHEAP}},
}


class JudgeOptions(Options):
    judge: ModelLabel
    """Label of the judge."""


class AidedOptions(SamplingOptions):
    critic: ModelLabel
    """Label of the critic."""


JUDGE = VerifierEntry(name="judge", factory=list, options=JudgeOptions, role="scorer", summary="Judges.")
AIDED = StrategyEntry(
    name="aided", factory=list, options=AidedOptions, draws="exchangeable", summary="Drawn with help."
)


def resolved(*entries, **changes):
    installed = [plugin.entry for kind in KINDS for plugin in registry().plugins(kind)]
    return resolve({**STUDY, **changes}, registry_of({"itscale": installed, "x": entries}))


def said(**changes):
    with pytest.raises(UserError) as caught:
        resolve({**STUDY, **changes})
    return str(caught.value)


def spent(problem, by, prompt, generated, *, cached=0, start=0, scorer=None, budget=0, replicate=0):
    call = {
        "failed": False,
        "problem_id": problem,
        "by": by,
        "start": start,
        "scorer": scorer,
        "budget": budget,
    }
    tokens = {"prompt_tokens": prompt, "cached_prompt_tokens": cached, "generated_tokens": generated}
    return dict.fromkeys(LEDGER, 0) | call | tokens | {"call": "generate", "replicate": replicate}


def curves(folder, rows, *, strategy="repeated", budget=0, study=None, problems=("a", "b")):
    """Curves over four completions of each problem, 100 tokens of prompt and 50 generated ones each."""
    runs = range(2) if budget else range(1)
    each = [(problem, budget, run, index) for problem in problems for run in runs for index in range(4)]
    outcomes = pl.DataFrame(each, schema=("problem_id", "budget", "replicate", "index"), orient="row")
    outcomes = outcomes.with_columns(
        answer=pl.lit("1"), correct=pl.lit(True), status=pl.lit("judged"), score_reward=pl.lit(0.5),
        prompt_tokens=100, generated_tokens=50,
    )  # fmt: skip
    types = {**OUTCOMES, "score_reward": pl.Float64}
    paths = {name: folder / f"{name}.parquet" for name in ("outcomes", "ledger", "output", "accuracies")}
    table = outcomes.select(pl.col(name).cast(dtype) for name, dtype in types.items())
    write_table(table, paths["outcomes"], {"simulated": True})
    write_table(pl.DataFrame(rows, schema=dict(LEDGER), orient="row"), paths["ledger"], {})
    where = {"outcomes": paths["outcomes"], "ledgers": [paths["ledger"]]}
    left = {"output": paths["output"], "accuracies": paths["accuracies"]}
    estimate_curves(study or resolve(STUDY), "sums", "large", strategy, **where, **left)
    points, by_problem = (pl.read_parquet(paths[name]) for name in ("output", "accuracies"))
    means = by_problem.group_by("selector", "budget").agg(pl.col("usd").mean()).sort("selector", "budget")
    shown = points.sort("selector", "budget")
    assert means["usd"].fill_nan(None).to_list() == pytest.approx(shown["usd"].to_list())
    return {(row["selector"], row["budget"]): row["usd"] for row in points.iter_rows(named=True)}


def test_a_pool_pays_its_prompt_once_and_each_class_of_tokens_its_own_price(tmp_path):
    rows = []
    for problem in "ab":
        for start in (0, 2):  # two blocks: each reads the prompt, from the cache the second time
            rows.append(spent(problem, "large", 100, 100, cached=100 if start else 0, start=start))
            rows.append(spent(problem, "small", 30, 10, start=start, scorer="reward"))
    judge = {"reward": {"plugin": "judge", "judge": "small"}}
    usd = curves(tmp_path, rows, study=resolved(JUDGE, verifiers=judge))
    prompt = 100 * (1.0 + 0.1) / 2  # what it cost in the mean of the two blocks
    for k in (1, 2, 4):
        for selector in ("oracle", "best"):  # what the strategy asked a scorer is paid whoever selects
            assert usd[selector, k] * 1e6 == pytest.approx(prompt + k * (50 * 4.0 + 15 * 0.5 + 5 * 2.0))


def test_what_a_scorer_had_read_before_costs_what_it_would_from_the_cache(tmp_path):
    judge = {"reward": {"plugin": "judge", "judge": "small"}}
    drawn = [spent(problem, "large", 100, 200) for problem in "ab"]
    paid = [spent(problem, "small", 400, 40, cached=200, scorer="reward") for problem in "ab"]
    saved = {"prompt_tokens": 300, "cached_prompt_tokens": 150, "generated_tokens": 30}
    once = [
        spent(problem, "small", 100, 10, cached=50, scorer="reward")
        | {f"saved_{name}": tokens for name, tokens in saved.items()}
        for problem in "ab"
    ]
    study = resolved(JUDGE, verifiers=judge)
    usd = [curves(tmp_path, [*drawn, *scored], study=study)["best", 4] for scored in (paid, once)]
    assert usd[0] == pytest.approx(usd[1])


@pytest.mark.parametrize("cut", [1, 2, 4])
def test_a_prompt_that_is_read_for_each_completion_costs_as_much_however_pools_are_cut(tmp_path, cut):
    served = {"plugin": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1", "seed": True}
    models = {"large": {**served, "prices": "list"}}
    rows = [spent(p, "large", 100 * cut, 50 * cut, start=at) for p in "ab" for at in range(0, 4, cut)]
    study = {name: part for name, part in STUDY.items() if name != "verifiers"}
    study |= {"models": models, "selectors": ["oracle"], "prices": {"list": STUDY["prices"]["list"]}}
    study["strategies"] = {"repeated": STUDY["strategies"]["repeated"]}
    usd = curves(tmp_path, rows, study=resolve(study))
    for k in (1, 2, 4):
        assert usd["oracle", k] * 1e6 == pytest.approx(k * (100 * 1.0 + 50 * 4.0))
    assert pl.read_parquet(tmp_path / "output.parquet")["prompt_tokens"].to_list() == [100, 200, 300, 400]


def test_prompts_that_helpers_read_count_with_the_completions(tmp_path):
    rows = [spent(problem, "large", 100, 200) for problem in "ab"]
    rows += [spent(problem, "small", 400, 40) for problem in "ab"]
    aided = {"repeated": {"plugin": "aided", "completions": 4, "critic": "small"}}
    study = resolved(AIDED, strategies=aided, selectors=["oracle"])
    usd = curves(tmp_path, rows, study=study)
    for k in (1, 2, 4):
        each = (200 * 4.0 + 400 * 0.5 + 40 * 2.0) / 4
        assert usd["oracle", k] * 1e6 == pytest.approx(100 * 1.0 + k * each)


def test_a_run_pays_all_it_spent(tmp_path):
    rows = [
        spent(problem, "large", 1000, 500, cached=800, scorer=scorer, budget=4, replicate=run)
        for problem in "ab"
        for run in range(2)
        for scorer in (None, "reward")
    ]
    usd = curves(tmp_path, rows, strategy="beam", budget=4)
    assert usd["oracle", 4] * 1e6 == pytest.approx(2 * (200 * 1.0 + 800 * 0.1 + 500 * 4.0))


def test_what_nobody_counted_or_priced_costs_null_and_not_nothing(tmp_path):
    rows = [spent(problem, "large", 100, None if problem == "b" else 200) for problem in "ab"]
    assert set(curves(tmp_path, rows).values()) == {None}
    unpriced = {key: value for key, value in STUDY.items() if key != "prices"}
    unpriced["models"] = {"large": MODEL, "small": MODEL}
    rows = [spent(problem, "large", 100, 200) for problem in "ab"]
    assert set(curves(tmp_path, rows, study=resolve(unpriced)).values()) == {None}


def test_a_price_reruns_the_curves_of_its_model_and_nothing_before():
    dearer = {**STUDY["prices"], "cheap": {"plugin": "per_token", **CHEAP, "generated": 3.0}}
    old, new = resolve(STUDY), resolve({**STUDY, "prices": dearer})
    for model, same in (("large", True), ("small", False)):
        labels = {"task": "sums", "model": model, "strategy": "repeated"}
        assert (STAGE.depends(old, labels) == STAGE.depends(new, labels)) is same
        assert OUTCOMES_STAGE.depends(old, labels) == OUTCOMES_STAGE.depends(new, labels)


def test_prices_are_of_every_model_and_each_table_is_used():
    models = {"large": {**MODEL, "prices": "list"}, "small": MODEL}
    line = said(models=models)
    assert "models.small.prices: missing, expected the label of a price table (cheap, list)" in line
    assert "prices.cheap: no model names it; expected `prices: cheap` under a model" in line
    models["small"] = {**MODEL, "prices": "chep"}
    assert "models.small.prices: no price table 'chep'; did you mean 'cheap'?" in said(models=models)
    assert "expected it among the prices of the study" in said(prices={}, models=models)
    wrong = {**STUDY["prices"], "cheap": {"plugin": "per_token", "prompt": -1, "generated": 2.0}}
    assert "prices.cheap.prompt: found -1" in said(prices=wrong)


def test_a_table_that_gives_no_prices_is_said_before_anything_runs():
    broken = PriceEntry(name="broken", factory=lambda options: {"prompt": 1e-6}, summary="Broken.")
    tables = {"list": {"plugin": "broken"}, "cheap": STUDY["prices"]["cheap"]}
    with pytest.raises(UserError, match=r"prices\.list: .*expected a price of generated tokens, too"):
        resolved(broken, prices=tables)


@pytest.mark.parametrize("figure", ["compute_curves", "difference_curves"])
def test_a_figure_of_usd_needs_prices(figure):
    models = dict.fromkeys(STUDY["models"], MODEL)
    unpriced = {key: value for key, value in STUDY.items() if key != "prices"} | {"models": models}
    differences = {"beam": {"of": {"strategy": "beam"}, "minus": {"strategy": "repeated"}}}
    unpriced |= {"differences": differences, "figures": {"spent": {"plugin": figure, "against": "usd"}}}
    with pytest.raises(
        UserError, match=r"figures.spent: draws USD, and the study has no prices: add price tables"
    ):
        resolve(unpriced)
    resolve(unpriced | {"figures": {"spent": {"plugin": figure, "against": "tokens"}}})
    resolve(unpriced | {"prices": STUDY["prices"], "models": STUDY["models"]})
