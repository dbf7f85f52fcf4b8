"""`itscale tree`: one problem's tree in the terminal, whatever a model wrote into it."""

import polars as pl
import pytest
from typer.testing import CliRunner

from itscale.cli import app
from itscale.store.parquet import write_table
from itscale.store.schemas import OUTCOMES, TREES

HOSTILE = "[bold red]no markup[/] \x1b[2J\x1b]0;title\x07 :smile:\nof two lines"
STEP = {"kind": "drawn", "by": "toy", "generated_tokens": 5, "status": "done"}


def rows(problem="sum-1"):
    """The problem's chat, two steps, of which the better is continued twice."""
    blank = dict.fromkeys(TREES) | {"problem_id": problem, "budget": 4, "replicate": 0, "status": "done"}
    blank |= {"reads": [], "children": 0, "completions": [], "weights": [], "generated_tokens": 0}
    nodes = [
        {"node": 0, "kind": "chat"},
        {"node": 1, "parent": 0, "score": 0.9, "text": "first", "characters": 5, **STEP},
        {"node": 2, "parent": 0, "score": 0.1, "text": HOSTILE, "characters": 99, **STEP},
        {"node": 3, "parent": 1, "score": 0.8, "completions": [0], "finish_reason": "eos", **STEP},
        {"node": 4, "parent": 1, "score": 0.2, "completions": [1], "finish_reason": "length", **STEP},
        {"node": 5, "parent": 2, "status": "cancelled", "kind": "drawn", "by": "toy", "generated_tokens": 1},
    ]
    return pl.DataFrame([blank | node for node in nodes], schema=dict(TREES))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text("study: s\nstrategies: {a_plugin_that_is_gone: {}}\n")
    for strategy in ("beam", "debate"):
        write_table(rows(), tmp_path / f"results/s/trees/t/toy/{strategy}/p0-1.c0-1.parquet", {})
    return tmp_path


def say(*arguments, width=100):
    return CliRunner().invoke(app, ["tree", "s.yaml", *arguments], env={"COLUMNS": str(width)})


def outcomes(folder):
    blank = dict.fromkeys(OUTCOMES) | {"problem_id": "sum-1", "budget": 4, "replicate": 0}
    judged = [blank | {"index": 0, "correct": True}, blank | {"index": 1, "correct": False}]
    table = pl.DataFrame(judged, schema=dict(OUTCOMES))
    write_table(table, folder / "results/s/outcomes/t/toy/beam.parquet", {})


def test_a_tree_is_printed_with_scores_models_and_ends_and_no_text_is_obeyed(folder):
    outcomes(folder)
    done = say("sum-1", "--strategy", "beam")
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "t/toy/beam, problem sum-1, budget 4, replicate 0: 6 nodes, 21 generated tokens, "
        "2 completions (1 correct)",
        "chat",
        "├── 0.900 · toy · 5 tokens  first",
        "│   ├── 0.800 · toy · 5 tokens · eos · completion 0 correct · chosen",
        "│   └── 0.200 · toy · 5 tokens · length · completion 1 wrong",
        "└── 0.100 · toy · 5 tokens  [bold red]no markup[/] :smile: of two lines...",
        "    toy · 1 token · cancelled",
    ]


def test_a_run_that_is_going_on_is_shown_without_verdicts(folder):
    said = say("sum-1", "--strategy", "debate").stdout
    assert "(not judged yet)" in said
    assert "completion 0 · chosen" in said


def test_depth_and_nodes_limit_it_and_say_what_is_left_out(folder):
    shallow = say("sum-1", "--strategy", "beam", "--depth", "1", "--text", "3").stdout
    assert "fir..." in shallow
    assert "completion 1" not in shallow
    assert "... 1 more" in shallow
    few = say("sum-1", "--strategy", "beam", "--nodes", "3").stdout.splitlines()
    assert [line.strip(" │├└─") for line in few[1:]] == [
        "chat",
        "0.900 · toy · 5 tokens  first",
        "0.800 · toy · 5 tokens · eos · completion 0 · chosen",
        "... 1 more",
        "... 2 more",
    ]


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (("sum-1",), "choose with --strategy"),
        (("sun-1", "--strategy", "beam"), "did you mean 'sum-1'?"),
        (("sun-1",), "did you mean 'sum-1'?"),
        (("sum-1", "--strategy", "beem"), "did you mean 'beam'?"),
        (("sum-1", "--task", "x"), "known: t"),
        (("sum-1", "--strategy", "beam", "--budget", "8"), "budgets are [4]"),
    ],
)
def test_what_is_not_there_is_one_line_with_the_nearest(folder, arguments, hint):
    done = say(*arguments)
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert hint in done.stderr
