"""Adaptive strategies through every stage of a study: pools that end by themselves, confidences that stay."""

import json
from pathlib import Path

import pytest
from generated_studies import run

from itscale.curves.pools import open_outcomes
from itscale.planning.plan import make_plan
from itscale.store.parquet import read_metadata, read_table
from itscale.store.schemas import COMPLETIONS
from itscale.study import resolve


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    rows = [{"prompt": f"What is {n} + 1?", "reference": str(n + 1)} for n in range(6)]
    Path("problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path / "results"


def ran(folder: Path, strategy: dict[str, object]) -> tuple[Path, Path]:
    """Run a study of one strategy; return its outcomes and its completions."""
    study = {
        "study": "adaptive",
        "tasks": {"sums": {"plugin": "jsonl", "file": "problems.jsonl"}},
        "models": {"toy": {"plugin": "simulated", "success": 0.3}},
        "strategies": {"s": strategy},
        "selectors": ["oracle"],
    }
    run(make_plan(resolve(study), folder), folder)
    (completions,) = folder.glob("completions/sums/toy/s/*.parquet")
    return folder / "outcomes" / "sums" / "toy" / "s.parquet", completions


@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_outcomes_say_after_how_many_successes_problems_were_left(folder: Path, wanted: int) -> None:
    strategy = {"plugin": "until_pass", "completions": 40, "successes": wanted, "at_once": 3}
    outcomes, _ = ran(folder, strategy)
    assert read_metadata(outcomes)["successes"] == wanted
    opened = open_outcomes(outcomes)
    assert (opened.design, opened.wanted) == ("until_success", wanted)
    assert opened.spans["correct"].to_list() == [wanted] * 6
    assert opened.spans["sampled"].n_unique() > 1, "each problem has as many as it took"


def test_confidences_of_segments_are_kept_with_completions(folder: Path) -> None:
    strategy = {"plugin": "confidence_pruning", "budgets": [6], "warm_up": 4, "keep": 0.5, "hand_in": "all"}
    _, completions = ran(folder, strategy | {"delimiter": "\n\n", "group_segments": 1, "consensus": None})
    made = read_table(completions, COMPLETIONS)
    assert (made["step_confidences"].list.len() == made["step_tokens"].list.len()).all()
    lowest = made["step_confidences"].list.min()
    assert (lowest >= 0).all()
    assert made["weight"].to_list() == pytest.approx(lowest.to_list()), "a group of one step"
    assert made.group_by("problem_id").len()["len"].max() <= 6
