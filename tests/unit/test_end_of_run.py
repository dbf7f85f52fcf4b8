"""What a run prints at its end fits a screen; the rest is in files that are named."""

from types import SimpleNamespace

import polars as pl
import pytest
from rich.console import Console

from itscale.cli.run import _Run
from itscale.store.schemas import DIFFERENCES, SUMMARY
from itscale.study.config import CurveSection


@pytest.fixture
def run(tmp_path):
    config = SimpleNamespace(differences={"d": None}, curves=CurveSection())
    entry = SimpleNamespace(estimand="coverage")
    study = SimpleNamespace(name="s", config=config, selectors={"oracle": SimpleNamespace(entry=entry)})
    made = object.__new__(_Run)
    made.console = Console(width=100, record=True)
    made.plan = SimpleNamespace(study=study)
    made.reports, made.report = tmp_path, tmp_path / "report.html"
    return made


def test_many_places_laws_and_differences_end_in_a_screen(run, tmp_path):
    """36 lines of differences and laws in tall columns were a wall."""
    place = {"strategy": "s", "status": "ok", "message": "", "simulated": False}
    selector = {"role": "selector", "label": "oracle", "quantity": "accuracy", "estimand": "coverage"}
    law = {"role": "law", "label": "power_law", "quantity": "b", "estimate": 1.0, "message": "m"}
    rows = []
    for model in range(9):
        where = place | {"task": "t", "model": f"m{model}"}
        rows += [
            where | selector | {"k": k, "estimate": 0.5, "low": 0.4, "high": 0.6, "problems": 9}
            for k in (1, 8)
        ]
        rows.append(where | law)
    known = [{name: row.get(name) for name in SUMMARY} for row in rows]
    pl.DataFrame(known, schema=dict(SUMMARY)).write_csv(tmp_path / "summary.csv")
    difference = dict.fromkeys(DIFFERENCES) | {
        **dict.fromkeys(("difference", "task", "model", "strategy", "minus_model", "minus_strategy"), "x"),
        "selector": "oracle",
        "minus_selector": "oracle",
        "against": "tokens",
        "interval": "exact",
        "estimate": 0.1,
        "low": 0.0,
        "high": 0.2,
        "budget": 8.0,
        "p_error": 0.0,
        "p_least": 1e-4,
        "comparisons": 36,
        "problems": 24,
        "simulated": False,
    }
    table = [difference | {"p_value": p / 100, "p_holm": p / 50} for p in range(36, 0, -1)]
    pl.DataFrame(table, schema=dict(DIFFERENCES)).write_csv(tmp_path / "differences.csv")
    run.plan.study.name = str(tmp_path / "nowhere")
    run.summary()
    text = run.console.export_text()
    assert len(text.splitlines()) <= 50
    assert "p 0.01, Holm 0.02" in text  # the smallest come first
    words = " ".join(text.split())
    assert "and 3 more: " in words
    assert "and 30 more with no smaller p: " in words
    assert "laws: power_law" in words
    assert "x · x · coverage minus" in words
