"""Completions of real models, made by others: what was published of them comes out again."""

import json
from collections import Counter

import numpy as np
import pytest

from itscale.estimators import best_of_n, coverage, majority_exact, tally
from itscale.importing.columns import parse_columns
from itscale.importing.source import Source
from itscale.outcomes import UNPARSABLE
from itscale.stages.curves import estimate_curves
from itscale.stages.imports import import_outcomes
from itscale.store.parquet import read_table
from itscale.store.schemas import CURVES
from itscale.study import resolve

pytestmark = pytest.mark.shared_data


def _game24(folder, name):
    puzzles = json.loads((folder / "completions" / "game24-gpt4" / f"{name}.json").read_text())
    if name == "cot":
        return np.array([[info["r"] for info in puzzle["infos"]] for puzzle in puzzles])
    return np.array([puzzle["accs"] for puzzle in puzzles])


@pytest.mark.parametrize(("name", "single", "hundred"), [("standard", 0.0734, 0.33), ("cot", 0.0403, 0.49)])
def test_game_of_24_by_gpt4(shared_data, name, single, hundred):
    correct = _game24(shared_data, name)
    assert correct.shape == (100, 100)
    curve = coverage(np.full(100, 100), correct.sum(axis=1), [1, 100]).mean(axis=0)
    assert curve == pytest.approx([single, hundred], abs=1e-9)


def _math_cot(folder):
    path = folder / "completions" / "math-cot-100" / "math_cot_100.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_selection_on_math_with_a_reward_model(shared_data):
    """pass@1 .91, majority@8 .93, best-of-8 .94, pass@8 .96.

    Three problems tie between a right and a wrong answer. The published .93 gives ties to the answer that
    came first, which is right twice; a tie shared evenly makes it .925.
    """
    problems = _math_cot(shared_data)
    reached, first_come = [], []
    for problem in problems:
        names = {name: at for at, name in enumerate(dict.fromkeys(problem["pred"]))}
        answers = np.array([names[pred] if pred else UNPARSABLE for pred in problem["pred"]])
        correct = np.array(problem["score"], dtype=bool)
        scores = np.array(problem["pred_score"], dtype=float).reshape(8, -1)[:, -1]
        eight = np.array([8])
        votes = majority_exact(tally(answers, correct), eight)[0]
        best = best_of_n(scores, correct, eight)[0]
        single, ceiling = coverage([8], [correct.sum()], [1, 8])[0]
        reached.append((single, votes, best, ceiling))
        first_come.append(correct[problem["pred"].index(Counter(problem["pred"]).most_common(1)[0][0])])
    assert np.mean(reached, axis=0) == pytest.approx([0.91, 0.925, 0.94, 0.96])
    assert np.mean(first_come) == pytest.approx(0.93)


# --- the same by `itscale import` and the stages -----------------------------------------------------------


def _curves(folder, source, columns, **changes):
    """Import a file by a mapping and return the estimates, by selector and k."""
    source = Source.find([source], parse_columns(columns))
    import_outcomes(source, folder / "outcomes.parquet")
    section = {"path": str(folder / "outcomes.parquet"), "task": "task"}
    study = resolve({"study": "real", "outcomes": {"x": section}, **changes})
    files = {"outcomes": folder / "outcomes.parquet", "ledgers": [], "output": folder / "curves.parquet"}
    estimate_curves(study, "task", "x", "repeated_sampling", **files)
    table = read_table(files["output"], CURVES)
    return {(row["selector"], row["budget"]): row["estimate"] for row in table.iter_rows(named=True)}


@pytest.mark.parametrize(
    ("name", "column", "single", "hundred"),
    [("standard", "accs[]", 0.0734, 0.33), ("cot", "infos[].r", 0.0403, 0.49)],
)
def test_imported_game_of_24(shared_data, tmp_path, name, column, single, hundred):
    path = shared_data / "completions" / "game24-gpt4" / f"{name}.json"
    found = _curves(tmp_path, path, f"problem=idx,correct={column}")
    ends = [found["oracle", 1], found["first", 100], found["oracle", 100]]
    assert ends == pytest.approx([single, single, hundred], abs=1e-9)


def test_imported_math_with_a_reward_model(shared_data, tmp_path):
    path = shared_data / "completions" / "math-cot-100" / "math_cot_100.jsonl"
    columns = "problem=idx,correct=score[],answer=pred[],score.rm=pred_score[][-1]"
    selectors = {"oracle": {}, "majority_vote": {}, "best": {"plugin": "best_of_n", "scorer": "rm"}}
    found = _curves(tmp_path, path, columns, selectors=selectors)
    eight = [found[selector, 8] for selector in selectors]
    assert [found["oracle", 1], *eight] == pytest.approx([0.91, 0.96, 0.925, 0.94])
