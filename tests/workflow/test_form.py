"""The form of the workflow: linted, formatted, short, and usable as a module."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from workspace import CHECKOUT, STUDY

WORKFLOW = CHECKOUT / "workflow"


def test_lint_is_clean(workspace):
    done = workspace.snakemake("--configfile", "study.yaml", "--lint")
    assert done.returncode == 0, done.stdout + done.stderr


def test_format_is_clean():
    snakefmt = shutil.which("snakefmt", path=str(Path(sys.executable).parent)) or shutil.which("snakefmt")
    if snakefmt is None:
        pytest.skip("snakefmt is not installed")
    done = subprocess.run([snakefmt, "--check", "Snakefile", "workflow"], cwd=CHECKOUT, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("pattern", "most"),
    [("Snakefile", 50), ("rules/*.smk", 100), ("scripts/*.py", 13)],
    ids=lambda value: str(value),
)
def test_the_workflow_holds_no_logic(pattern, most):
    found = sorted(WORKFLOW.glob(pattern))
    assert found
    assert {path.name: lines for path in found if (lines := len(path.read_text().splitlines())) > most} == {}


def test_it_can_be_a_module_of_another_workflow(workspace):
    (workspace.folder / "Snakefile").write_text(
        f"""
module its:
    snakefile: "{WORKFLOW / "Snakefile"}"
    config: config["its"]
    pathvars:
        results="results/theirs",

use rule * from its as its_*

rule everything:
    default_target: True
    input: rules.its_all.input
"""
    )
    name = workspace.write({"its": STUDY})
    done = workspace.call(
        sys.executable, "-m", "snakemake", "--cores", "2", "--configfile", name, "--dry-run", "--nocolor"
    )
    assert done.returncode == 0, done.stderr
    assert "rule its_sampling:" in done.stdout
    assert "results/theirs/completions/sums/toy/repeated_sampling" in done.stdout


def test_without_a_study_named_it_takes_the_one_in_config(workspace):
    (workspace.folder / "config").mkdir()
    (workspace.folder / "study.yaml").rename(workspace.folder / "config/study.yaml")
    done = workspace.snakemake("--dry-run")
    assert done.returncode == 0, done.stderr
    assert "results/tiny/completions/sums/toy/repeated_sampling" in done.stdout
