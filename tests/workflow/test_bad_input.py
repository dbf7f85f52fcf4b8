"""What is wrong with a study is said in one line, before any job exists."""

from importlib.util import find_spec

import pytest
from typer.testing import CliRunner
from workspace import changed

from itscale.cli import app

WRONG = [
    ("models.toy.plugin", "simulatd", "did you mean 'simulated'?"),
    ("models.toy.sucess", 0.5, "did you mean 'success'?"),
    ("strategies.repeated_sampling.completions", 0, "expected at least 1"),
    ("strategies.repeated_sampling.temperature", "hot", "temperature"),
    ("tasks.sums.file", "absent.jsonl", "absent.jsonl"),
    ("tasks.sums.problems", 99, "expected at most the 12"),
    ("curves.budgets", [1, 64], "expected at most the 16"),
    ("curves.clusters", "group", "found 'group', which matches no id of a problem ('0', '1', '2' ...)"),
    (
        "tasks.sums.prompt",
        "{prompt} {x",
        "expected {column} for a column, {{ and }} for braces: expected '}'",
    ),
    ("tasks.sums.file", ".", ".: found a folder, expected a file of JSON lines"),
    ("sandbox", "none", "found 'none', expected 'bubblewrap', 'landlock' or 'process'"),
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


def test_plain_snakemake_reads_a_study_as_strictly_as_we_do(workspace):
    text = (workspace.folder / "study.yaml").read_text()
    loose = text.replace("seed: 1\n", "seed: 010\nblock: {minutes: 1:30}\n")
    (workspace.folder / "loose.yaml").write_text(loose)
    done = workspace.snakemake("--configfile", "loose.yaml", "--dry-run")
    assert done.returncode == 1
    assert "seed: found 010, which YAML reads as 8" in done.stdout
    assert "block: stands twice, in lines 1 and " in done.stdout
    assert "block.minutes: found 1:30, which YAML reads as 90" in done.stdout
    assert "Traceback" not in done.stdout


def test_what_snakemake_is_told_on_its_command_line_still_counts(workspace):
    overridden = ("--configfile", "study.yaml", "--dry-run", "--config")
    done = workspace.snakemake(*overridden, "seed=3", "curves={budgets: [1, 2], resamples: 100}")
    assert done.returncode == 0, done.stdout
    done = workspace.snakemake(*overridden, "seed=x", "curves={budgets: [4, 4]}")
    assert done.returncode == 1
    assert "seed: found 'x', expected a whole number" in done.stdout
    assert "curves.budgets: found 4 twice" in done.stdout


def test_six_mistakes_are_seven_readable_lines(workspace, monkeypatch):
    monkeypatch.chdir(workspace.folder)
    study = changed("models.toy.plugin", "simulatd")
    study |= {"seed": -1, "laws": ["power_lwa"], "figures": ["law_fits", "difference_curves"]}
    study["tasks"]["sums"]["problems"] = 99
    study["strategies"]["repeated_sampling"]["temprature"] = 1
    done = CliRunner().invoke(app, ["check", workspace.write(study)])
    assert done.exit_code == 1
    lines = done.stderr.splitlines()
    assert len(lines) == 7
    assert all(line.startswith("itscale: study.yaml:") for line in lines[:-1])
    assert lines[-1] == "itscale: 6 mistakes, nothing was started"
    places = [int(line.split(":")[2]) for line in lines[:-1]]
    assert places == sorted(places)


@pytest.mark.parametrize("key", ["yes", "7"])
def test_a_key_that_is_no_text_is_one_mistake(workspace, monkeypatch, key):
    monkeypatch.chdir(workspace.folder)
    text = (workspace.folder / "study.yaml").read_text()
    (workspace.folder / "odd.yaml").write_text(text.replace("  toy:", f"  {key}:"))
    done = CliRunner().invoke(app, ["check", "odd.yaml"])
    (line,) = done.stderr.splitlines()
    assert f"models.{key}: the key '{key}' is no text to YAML, expected a name; put it in quotes" in line


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
    assert "14 jobs: 1 problems, 2 sampling" in done.stdout
    assert not workspace.files("results", "reports", "logs")


ROWS = '{"prompt": "1 + 1?", "reference": "2", "name": "a"}\n'
DAMAGED = [
    ("", {}, "found no problems"),
    (ROWS + ROWS, {"id": "name"}, "expected every problem id once"),
    ('{"prompt": "1 + 1?", "reference": null}\n', {}, "reference"),
    (ROWS + "{]\n", {}, "line 2"),
    (ROWS, {"reference": "referense"}, "did you mean 'reference'?"),
]


@pytest.mark.parametrize(
    ("content", "options", "said"),
    DAMAGED,
    ids=["empty task", "duplicate ids", "reference of None", "not JSON", "column"],
)
def test_problems_that_cannot_be_used_are_refused_before_anything_runs(
    workspace, monkeypatch, content, options, said
):
    monkeypatch.chdir(workspace.folder)
    (workspace.folder / "damaged.jsonl").write_text(content)
    task = {"plugin": "jsonl", "file": "damaged.jsonl", **options}
    name = workspace.write(changed("tasks.sums", task))
    done = CliRunner().invoke(app, ["run", name])
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert said in done.stderr
    assert "damaged.jsonl" in done.stderr or "tasks.sums" in done.stderr
    assert not workspace.files("results", "reports", "logs")


def test_an_engine_that_is_not_installed_says_what_to_install(workspace, monkeypatch):
    monkeypatch.chdir(workspace.folder)
    monkeypatch.setattr(
        "itscale.plugins.modules.find_spec", lambda module: None if module == "vllm" else find_spec(module)
    )
    name = workspace.write(changed("models.toy", {"plugin": "vllm", "model": "some/model"}))
    done = CliRunner().invoke(app, ["run", name])
    assert done.exit_code == 1
    assert len(done.stderr.splitlines()) == 1
    assert "itscale[" in done.stderr
    assert not workspace.files("results", "reports", "logs")
