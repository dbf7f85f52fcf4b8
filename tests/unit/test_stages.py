"""A stage is declared once: plan, rules, scripts, logs, footers and digests know it from there."""

import re
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from itscale.planning import plan as planning
from itscale.planning.plan import Plan, make_plan
from itscale.provenance import fingerprints
from itscale.provenance.fingerprints import Fingerprints, table_at
from itscale.stages.declaration import Stage
from itscale.stages.declared import STAGES
from itscale.store.parquet import write_table
from itscale.store.schemas import COMBINATION
from itscale.study import resolve

WORKFLOW = Path(__file__).parents[2] / "workflow"
RULES = {
    match[1]: match[0]
    for path in sorted((WORKFLOW / "rules").glob("*.smk"))
    for match in re.finditer(
        r"^rule (\w+):\n(?:^(?: .*)?\n)*", path.read_text(encoding="utf-8"), re.MULTILINE
    )
}
STUDY = {
    "study": "tiny",
    "tasks": {"sums": {"plugin": "reasoning_gym", "dataset": "gcd", "problems": 4}},
    "models": {"toy": {"plugin": "simulated"}},
    "strategies": {"repeated_sampling": {"completions": 4}},
    "laws": ["power_law"],
    "figures": ["law_fits"],
}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    return make_plan(resolve(STUDY), tmp_path, problems={"sums": 4})


def test_every_stage_is_a_rule_and_every_rule_a_stage() -> None:
    assert RULES.keys() == {stage.name for stage in STAGES}
    assert {path.stem for path in (WORKFLOW / "scripts").glob("*.py")} == RULES.keys()


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_a_rule_has_the_name_the_outputs_and_the_params_of_its_stage(stage: Stage) -> None:
    rule = RULES[stage.name]
    assert f'"../scripts/{stage.name}.py"' in rule
    assert f'plan.depends("{stage.name}", wildcards)' in rule
    logs = re.findall(r'"<logs>/(.+)\.log"', rule)
    assert [log.split("/")[0] for log in logs] == [stage.name]
    assert set(re.findall(r"{(\w+)}", logs[0])) == set(stage.each)
    outputs = rule[rule.index("    output:") : rule.index("    log:")]
    assert set(re.findall(r'"<results>/(.+)\.parquet"', outputs)) == set(stage.tables)
    assert set(re.findall(r'"<reports>/(.+)"', outputs)) == set(stage.reports)


def test_a_helper_is_prepared_like_a_model_that_is_sampled(tmp_path: Path) -> None:
    wheel = {
        "distribution": "x",
        "version": "1",
        "sha256": "0" * 64,
        "file": "x.gguf",
        "file_sha256": "0" * 64,
    }
    judge = {"plugin": "vllm", "wheel": wheel, "helper": True}
    study = {**STUDY, "models": {**STUDY["models"], "critic": judge}}
    study["verifiers"] = {"judge": {"plugin": "llm_judge", "judge": "critic"}}
    plan = make_plan(resolve(study), tmp_path, problems={"sums": 4})
    assert plan.jobs()["models"] == 1
    assert re.fullmatch(plan.constraints()["model"], "critic")


def test_a_stage_that_is_added_takes_one_declaration(plan, tmp_path, monkeypatch) -> None:
    made_up = Stage(
        name="entropies",
        revision=3,
        each=COMBINATION,
        fingerprint=lambda study, labels: {"seed": study.config.seed, "model": labels["model"]},
        tables=("entropies/{task}/{model}/{strategy}",),
        reports=("entropies/{model}.csv",),
    )
    for module in (planning, fingerprints):
        monkeypatch.setattr(module, "STAGES", (*STAGES, made_up))
    assert plan.jobs()["entropies"] == 1
    assert "entropies/sums/toy/repeated_sampling.parquet" in plan.tables()
    assert "entropies/toy.csv" in plan.reports()
    assert "entropies/toy.csv" not in plan.reports(but="entropies")
    place = SimpleNamespace(task="sums", model="toy", strategy="repeated_sampling")
    assert plan.depends("entropies", place) == {"revision": 3, "seed": plan.study.config.seed, "model": "toy"}
    path = tmp_path / "entropies/sums/toy/repeated_sampling.parquet"
    assert table_at(path) == (made_up, vars(place))
    path.parent.mkdir(parents=True)
    table = pl.DataFrame({"entropy": [0.5]})
    write_table(table, path, made_up.footer(plan.study, vars(place), {}))
    assert Fingerprints(plan.study).fault(path) == ""
    write_table(table, path, made_up.footer(plan.study, {**vars(place), "model": "other"}, {}))
    assert Fingerprints(plan.study).fault(path).startswith("of another study: model")


@pytest.mark.parametrize(
    ("path", "study", "name"),
    [
        ("fits/outcomes/sums/toy/pass.parquet", "fits", "outcomes"),
        ("fits/fits/sums/toy/pass/power.parquet", "fits", "fits"),
        ("sums/outcomes/sums/problems/pass.parquet", "sums", "outcomes"),
        ("elsewhere/fits/sums/fits/tables/power.parquet", "tiny", "fits"),
        ("tiny/fits/tables/loss.parquet", "tiny", "table_fits"),
        ("tiny/missing.parquet", "tiny", "failures"),
    ],
)
def test_labels_that_are_also_folders_of_results_mislead_nobody(path: str, study: str, name: str) -> None:
    known = table_at(Path("results", path), study)
    assert known is not None
    assert known[0].name == name


@pytest.mark.parametrize("stage", [stage for stage in STAGES if stage.tables], ids=lambda stage: stage.name)
def test_no_table_is_taken_for_that_of_another_stage_whatever_things_are_called(stage: Stage) -> None:
    wildcards = [*stage.each] if len(stage.each) < 3 else ["task", stage.each[-1]]
    names = ("completions", "fits", "ledger", "outcomes", "verdicts", "x")
    for study, *labels in product(names, *(names for _ in wildcards)):
        job = dict.fromkeys(stage.each, "y") | dict(zip(wildcards, labels, strict=True))
        for table in stage.tables:
            path = Path("results", study, table.format(**job) + ".parquet")
            assert table_at(path, study) == (stage, job), path
