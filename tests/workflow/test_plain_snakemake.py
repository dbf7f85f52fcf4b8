"""Plain Snakemake refuses what `itscale run` refuses, before a job starts, and only where it would run."""

import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from snakemake.cli import get_argument_parser
from workspace import CHECKOUT, changed, installed

from itscale.running.invocation import RUN_NO_JOB, models_are_elsewhere

FAR = ("--executor", "faraway", "--jobs", "1")


@pytest.fixture
def elsewhere(workspace, tmp_path_factory, monkeypatch):
    """A workspace where engines are registered that cannot run here, and an executor of another machine."""
    folder = tmp_path_factory.mktemp("installed")
    installed("absent", folder)
    executor = folder / "snakemake_executor_plugin_faraway"
    executor.mkdir()
    shutil.copy(Path(__file__).with_name("faraway.py"), executor / "__init__.py")
    monkeypatch.setenv("PYTHONPATH", str(folder))
    study = changed("models", {"lacking": {"plugin": "absent"}, "reluctant": {}})
    study["tasks"]["sums"]["problems"] = 99
    workspace.write(study, "wrong.yaml")
    study["tasks"]["sums"]["problems"] = 2
    workspace.write(study)
    return workspace


@pytest.mark.parametrize("dry_run", [(), ("--dry-run",)], ids=["run", "dry run"])
def test_what_a_model_needs_is_looked_at_with_all_the_rest(elsewhere, dry_run):
    done = elsewhere.snakemake("--configfile", "wrong.yaml", *dry_run)
    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert "models.lacking: engines/absent needs no_such_module, not installed here" in said
    assert "models.reluctant: no accelerator here" in said
    assert "tasks.sums.problems: found 99, expected at most the 12" in said
    assert "Traceback" not in said
    assert not elsewhere.files("results", "reports", "logs")
    ours = elsewhere.itscale("run", "wrong.yaml").stderr.splitlines()
    assert all(line.removeprefix("itscale: ") in said for line in ours[:-1])


@pytest.mark.slow
def test_a_model_may_lack_what_it_needs_where_it_does_not_run(elsewhere):
    linted = elsewhere.snakemake("--configfile", "study.yaml", "--lint")
    assert linted.returncode == 0, linted.stdout + linted.stderr
    planned = elsewhere.snakemake("--configfile", "study.yaml", *FAR, "--dry-run")
    assert planned.returncode == 0, planned.stdout + planned.stderr
    sent = elsewhere.snakemake("--configfile", "study.yaml", *FAR)
    assert "sent far away" in sent.stdout + sent.stderr
    assert "not installed" not in sent.stdout + sent.stderr


CALLS = [
    (("--cores", "1"), False),
    (("-nq",), False),
    (("--cores", "1", "--report", "r.html", "--report-after-run"), False),
    (("--report", "r.html"), True),
    (("--summary",), True),
    (("--rulegraph",), True),
    (("--list-rules",), True),
    (("--lint",), True),
    (("--unlock",), True),
]


@pytest.mark.parametrize(("arguments", "expected"), CALLS, ids=[" ".join(call) for call, _ in CALLS])
def test_the_command_line_says_whether_models_run_here(monkeypatch, arguments, expected):
    monkeypatch.setattr(
        sys, "argv", ["bin/snakemake", "--snakefile", str(CHECKOUT / "Snakefile"), *arguments]
    )
    workflow = SimpleNamespace(deployment_settings=SimpleNamespace(deployment_method=set()))
    assert models_are_elsewhere(workflow) is expected


def test_a_program_that_calls_snakemake_leaves_it_to_the_start(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["somebody.py", "--cores", "1"])
    workflow = SimpleNamespace(deployment_settings=SimpleNamespace(deployment_method=set()))
    assert models_are_elsewhere(workflow) is None
    workflow.deployment_settings.deployment_method.add("conda")
    assert models_are_elsewhere(workflow) is True


def test_snakemake_still_has_the_options_that_run_no_job():
    known = {action.dest for action in get_argument_parser()._actions}
    assert set(RUN_NO_JOB) <= known
