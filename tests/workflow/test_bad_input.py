"""What is wrong with a study is said in one line, before any job exists."""

import pytest
from typer.testing import CliRunner
from workspace import changed

from itscale.cli import app

WRONG = [
    ("models.toy.plugin", "simulatd", "did you mean 'simulated'?"),
    ("models.toy.sucess", 0.5, "did you mean 'success'?"),
    ("strategies.repeated_sampling.completions", 0, "greater than or equal to 1"),
    ("strategies.repeated_sampling.temperature", "hot", "temperature"),
    ("tasks.sums.file", "absent.jsonl", "absent.jsonl"),
    ("tasks.sums.problems", 99, "expected at most the 12"),
    ("curves.budgets", [1, 64], "expected at most the 16"),
    ("sed", 1, "did you mean 'seed'?"),
]


@pytest.mark.parametrize(("key", "value", "said"), WRONG, ids=[case[0] for case in WRONG])
@pytest.mark.parametrize("command", ["check", "run"])
def test_one_line_and_no_job(workspace, monkeypatch, command, key, value, said):
    monkeypatch.chdir(workspace.folder)
    name = workspace.write(changed(key, value))
    done = CliRunner().invoke(app, [command, name])
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
    assert not workspace.files("results", "reports", "logs")


def test_plain_snakemake_says_it_too(workspace):
    name = workspace.write(changed("models.toy.plugin", "simulatd"))
    done = workspace.snakemake("--configfile", name)
    assert done.returncode == 1
    assert "did you mean 'simulated'?" in done.stderr
    assert "Traceback" not in done.stderr
    assert not workspace.files("results", "reports")


def test_a_missing_study_names_its_neighbour(workspace, monkeypatch):
    monkeypatch.chdir(workspace.folder)
    done = CliRunner().invoke(app, ["check", "studdy.yaml"])
    assert done.exit_code == 1
    assert "study.yaml" in done.stderr


def test_check_counts_without_starting_anything(workspace, monkeypatch):
    monkeypatch.chdir(workspace.folder)
    done = CliRunner().invoke(app, ["check", "study.yaml"])
    assert done.exit_code == 0, done.stderr
    assert "49,152" in done.stdout  # 96 completions of at most 512 tokens
    assert "11 jobs: 1 problems, 2 sample" in done.stdout
    assert not workspace.files("results", "reports", "logs")
