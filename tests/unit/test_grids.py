"""Grids of strategies: what they stand for, where their mistakes are shown, and the table of tricks."""

import numpy as np
import polars as pl
import pytest
from test_differences import arm, compare, write_arm

from itscale.stages.declared import DIFFERENCES as COMPARED
from itscale.stages.tricks import write_tricks
from itscale.store.parquet import read_table, write_table
from itscale.store.schemas import ACCURACIES
from itscale.study import resolve
from itscale.study.resolution import examine

GRID = {"temperature": [0.7, 1.0], "prompt": {"none": "plain", "cot": "chain_of_thought"}}
LABELS = [
    f"s_temperature_{temperature}_prompt_{prompt}"
    for temperature in ("0_7", "1_0")
    for prompt in ("none", "cot")
]


def written(strategies, **more):
    return {
        "study": "g",
        "tasks": {"t": {"plugin": "jsonl", "file": "x.jsonl", "prompt": "{q}", "reference": "a"}},
        "models": {"m": {"plugin": "simulated"}},
        "strategies": strategies,
        "selectors": ["oracle"],
        "curves": {"resamples": 100, "budgets": [1, 4]},
        **more,
    }


def gridded(grid=None, **section):
    section = {"plugin": "repeated_sampling", "completions": 16, **section}
    return written({"s": {**section, "grid": GRID if grid is None else grid}})


def said(study):
    return [f"{'.'.join(map(str, one.place))}: {one.message}" for one in examine(study).mistakes]


def test_each_point_is_what_it_would_be_if_written_out():
    study = resolve(gridded(max_tokens=64))
    by_hand = {
        label: {
            "plugin": "repeated_sampling",
            "completions": 16,
            "max_tokens": 64,
            "temperature": temperature,
            "prompt": prompt,
        }
        for label, (temperature, prompt) in zip(
            LABELS,
            [(t, p) for t in (0.7, 1.0) for p in ("plain", "chain_of_thought")],
            strict=True,
        )
    }
    differences = {
        label: {"of": {"strategy": label}, "minus": {"strategy": LABELS[0]}, "trick": True}
        for label in LABELS[1:]
    }
    other = resolve(written(by_hand, differences=differences))
    assert list(study.strategies) == LABELS
    assert study.config == other.config
    for label in LABELS:
        assert study.sampling_fingerprint("m", label) == other.sampling_fingerprint("m", label)
    plain = study.strategies[LABELS[0]].fingerprint()
    assert "prompt" not in plain["options"]


def test_a_job_that_gets_the_study_as_it_is_written_expands_it_too():
    assert resolve(gridded()).config == resolve(gridded()).config
    dumped = resolve(gridded()).config.model_dump(mode="json", exclude_none=True)
    whole = {key: value for key, value in dumped.items() if value not in ({}, [])}
    assert resolve(whole).config == resolve(gridded()).config


def test_what_is_shown_as_a_trick_changes_no_difference():
    pair = {"of": {"selector": "a"}, "minus": {"selector": "b"}}
    one, other = (
        resolve(
            written(
                {"repeated_sampling": {"completions": 4}},
                selectors={"a": {"plugin": "oracle"}, "b": {"plugin": "majority_vote"}},
                differences={"d": {**pair, "trick": trick}},
            )
        )
        for trick in (False, True)
    )
    assert COMPARED.fingerprint(one, {}) == COMPARED.fingerprint(other, {})


@pytest.mark.parametrize(
    ("study", "mistake"),
    [
        (gridded({"temperature": [0.7, -1.0]}), "strategies.s.grid.temperature.1: found -1.0"),
        (gridded({"prompt": {"a": "plain", "b": "plian"}}), "strategies.s.grid.prompt.b: found 'plian'"),
        (gridded({"temprature": [0.7, 1.0]}), "strategies.s.grid.temprature: unknown key"),
        (gridded({"temperature": 0.7}), "strategies.s.grid.temperature: expected a list of values"),
        (gridded({"temperature": []}), "strategies.s.grid.temperature: expected a list of values"),
        (gridded({}), "strategies.s.grid: expected options"),
        (gridded("all"), "strategies.s.grid: expected options"),
        (gridded({"top_p": [1.0, 1.0]}), "strategies.s.grid: two points have the label"),
        (gridded({"top_p": [0.9, 1.0]}, top_p=1.0), "strategies.s.grid.top_p: stands beside the grid"),
        (gridded({"top_k": list(range(65))}), "strategies.s.grid: found 65 points, expected at most 64"),
        (gridded({"prompt": {"a" * 70: "plain"}}), "strategies.s.grid: the label"),
        (gridded(max_tokens=-1), "strategies.s.max_tokens: found -1"),
        (gridded(plugin="repeated_samplin"), "strategies.s: no plugin 'repeated_samplin'"),
    ],
)
def test_a_mistake_is_shown_once_where_the_user_wrote_it(study, mistake):
    found = said(study)
    assert len(found) == 1, found
    assert found[0].startswith(mistake)


def test_the_table_of_tricks_has_what_each_point_gains_at_the_budgets_that_are_named(tmp_path):
    study = resolve(gridded({"temperature": [0.7, 1.0, 1.3]}))
    labels = list(study.strategies)
    paths = []
    for at, label in enumerate(labels):
        path = write_arm(tmp_path, "m", arm(at + 1, shift=0.8 * at))
        table = read_table(path, ACCURACIES).filter(selector="oracle")
        paths.append(tmp_path / f"t/m/{label}.parquet")
        write_table(table, paths[-1], {"simulated": True})
    found, files = compare(tmp_path, study, paths)
    write_tricks(study, differences=files["output"], csv=tmp_path / "t.csv", tex=tmp_path / "t.tex")
    tricks = pl.read_csv(tmp_path / "t.csv")
    at_k = tricks.filter(pl.col("against") != "tokens")
    assert set(tricks["minus_strategy"]) == {labels[0]}
    assert at_k.filter(strategy=labels[2])["budget"].to_list() == [1, 4, 8]
    both = at_k.join(found, on=["difference", "selector", "against", "budget"], suffix="_other")
    assert both.height == at_k.height == 6
    assert np.allclose(both["low"], both["low_other"])
    assert (at_k.filter(strategy=labels[2])["low"] > 0).all()
    text = (tmp_path / "t.tex").read_text()
    assert "Simulated" in text
    assert "temperature\\_1\\_3" in text
