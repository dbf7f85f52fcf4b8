"""The tiny study, run through real Snakemake and looked at by many tests."""

import signal
import subprocess
from pathlib import Path

import pytest
from workspace import PLACE, Workspace, environment, itscale, new_workspace, processes_in, wait_for


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep tests that share a run of the study on one worker, where there are several."""
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            if {"finished", "resumed"} & set(getattr(item, "fixturenames", ())):
                item.add_marker(pytest.mark.xdist_group("study"))


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace in which nothing has run."""
    return new_workspace(tmp_path)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """The study, run by plain `snakemake`. Nobody writes here: copy it first."""
    workspace = new_workspace(tmp_path_factory.mktemp("finished"))
    done = workspace.snakemake("--configfile", "study.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    return workspace


@pytest.fixture(scope="session")
def resumed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, str]:
    """The study, run by `itscale run`, killed while it sampled, run again; and what that said."""
    workspace = new_workspace(tmp_path_factory.mktemp("resumed"))
    command = itscale("run", "study.yaml", "--cores", "2")
    run = subprocess.Popen(command, cwd=workspace.folder, env=environment(), stdout=subprocess.DEVNULL)
    sampling = workspace.folder / "logs/tiny/sampling" / PLACE
    wait_for(lambda: any(sampling.glob("*.json")))
    run.send_signal(signal.SIGKILL)
    run.wait()
    wait_for(lambda: not processes_in(workspace.folder))  # Snakemake and its jobs end by themselves
    assert any((workspace.folder / ".snakemake/locks").glob("*"))
    assert not workspace.files("results/tiny/verdicts")
    again = workspace.itscale("run", "study.yaml", "--cores", "2")
    assert again.returncode == 0, again.stdout + again.stderr
    return workspace, again.stdout
