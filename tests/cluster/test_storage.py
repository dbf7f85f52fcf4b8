"""Results with a storage provider: what Snakemake's storage plugins keep is what a local run makes."""

import json
import signal
import subprocess
from pathlib import Path

import pytest
from workspace import Workspace, changed, environment, identities, itscale, new_workspace, wait_for

STORE, SCRATCH = "store", "scratch"


@pytest.fixture
def stored(tmp_path: Path) -> Workspace:
    pytest.importorskip("snakemake_storage_plugin_fs")
    return new_workspace(tmp_path)


def arguments(workspace: Workspace) -> list[str]:
    kept, copies = workspace.folder / STORE, workspace.folder / SCRATCH
    kept.mkdir(exist_ok=True)
    provider = ["--default-storage-provider", "fs", "--default-storage-prefix", str(kept)]
    return ["run", "study.yaml", "--cores", "2", *provider, "--local-storage-prefix", str(copies)]


def hashes(workspace: Workspace) -> dict[str, str]:
    return Workspace(workspace.folder / STORE).hashes() | workspace.hashes()


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    workspace = new_workspace(tmp_path_factory.mktemp("expected"))
    done = workspace.itscale("run", "study.yaml", "--cores", "2")
    assert done.returncode == 0, done.stderr
    return workspace


def test_results_are_in_the_store_and_what_a_reader_wants_is_here(stored, expected):
    done = stored.itscale(*arguments(stored))
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.rstrip().endswith("report: reports/tiny/report.html")
    assert "pass@1" in done.stdout
    assert not (stored.folder / "results").exists()
    assert hashes(stored) == expected.hashes()
    names = [
        json.loads((each.folder / "reports/tiny/manifest.json").read_text())["artifacts"].keys()
        for each in (stored, expected)
    ]
    assert names[0] == names[1]
    assert stored.itscale(*arguments(stored)).stdout.startswith("tiny: nothing to do")

    stored.write(changed("strategies.repeated_sampling.completions", 24))
    more = stored.itscale(*arguments(stored))
    assert more.returncode == 0, more.stderr
    assert "48 completions in 1 blocks" in more.stdout  # the other two are not sampled again
    stored.write(changed("strategies.repeated_sampling.completions", 24) | {"laws": ["beta_binomial"]})
    law = stored.itscale(*arguments(stored), "--dry-run").stdout
    assert "1 fits" in law
    assert not {"sampling", "verification", "outcomes", "curves"} & set(law.replace(",", " ").split())


def test_a_killed_run_goes_on_where_its_results_are_in_a_store(stored, expected):
    run = subprocess.Popen(
        itscale(*arguments(stored)), cwd=stored.folder, env=environment(), stdout=subprocess.DEVNULL
    )
    wait_for(lambda: any((stored.folder / SCRATCH).rglob(".*.journal")))
    run.send_signal(signal.SIGKILL)
    run.wait()
    done = stored.itscale(*arguments(stored))
    assert done.returncode == 0, done.stderr
    assert hashes(stored) == expected.hashes()
    assert identities(Workspace(stored.folder / STORE)).is_unique().all()
