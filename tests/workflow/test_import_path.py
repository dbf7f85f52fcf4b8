"""What lies in the working directory is data: no process of ours imports it."""

import subprocess
import sys
from pathlib import Path

import pytest
from workspace import CHECKOUT, environment

TEMPTING = (
    "random",
    "types",
    "numpy",
    "polars",
    "yaml",
    "sitecustomize",
    "token",
    "itscale_builtin",
    "psutil",
)
TRAP = (
    "open('imported', 'a').write(__name__ + '\\n'); raise SystemExit('imported from the working directory')\n"
)


@pytest.mark.slow
def test_modules_in_the_working_directory_are_not_imported(workspace):
    for name in TEMPTING:
        (workspace.folder / f"{name}.py").write_text(TRAP)
    programs = Path(sys.executable).parent
    for command in (
        [programs / "itscale", "run", "study.yaml", "--cores", "2", "--until", "sampling"],
        [
            programs / "snakemake",
            "-s",
            CHECKOUT / "Snakefile",
            "--configfile",
            "study.yaml",
            "--cores",
            "2",
            "problems",
        ],
    ):
        done = subprocess.run(
            command, cwd=workspace.folder, env=environment(), capture_output=True, text=True, check=False
        )
        assert not (workspace.folder / "imported").exists(), done.stdout + done.stderr
    assert workspace.files("results/tiny/completions")
