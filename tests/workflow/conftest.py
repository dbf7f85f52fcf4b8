"""The tiny study, run once through real Snakemake and looked at by many tests."""

from pathlib import Path

import pytest
from workspace import Workspace, new_workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace in which nothing has run."""
    return new_workspace(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The study, finished by `itscale run`. Nobody writes here: copy it first."""
    workspace = new_workspace(tmp_path_factory.mktemp("finished"))
    done = workspace.itscale("run", "study.yaml", "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    (workspace.folder / "said.txt").write_text(done.stdout, encoding="utf-8")
    return workspace
