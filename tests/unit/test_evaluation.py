"""A study that evaluates what a model wrote is refused where nothing contains it, and no other study is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from itscale.errors import SandboxError
from itscale.evaluation import require_sandbox
from itscale.sandbox import Rung, ladder
from itscale.stages.sampling import sample_block
from itscale.study import Study, load_study, resolve

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
            study, "t", "toy", "repeated_sampling", nothing, problems=nothing, model_directory=None,
            completions=tmp_path / "c.parquet", ledger=tmp_path / "l.parquet",
        )  # fmt: skip
    require_sandbox(study_of({"t": task}, sandbox="process"))


def test_studies_that_evaluate_nothing_are_not_refused(only_limits: None) -> None:
    require_sandbox(load_study(CHECKOUT / "config" / "study.yaml"))
    require_sandbox(study_of({"sums": {"plugin": "reasoning_gym", "dataset": "gcd", "problems": 2}}))
    exact = {"oracle": {"plugin": "exact_match"}}
    require_sandbox(study_of({"gsm8k": {"file": "x.jsonl", "oracle": "oracle"}}, verifiers=exact))


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
