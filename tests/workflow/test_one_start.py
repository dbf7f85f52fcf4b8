"""One start of a model serves all blocks that wait for it, each of which stays a job of its own."""

import pytest
from starting import REQUESTS, STARTS
from workspace import installed, new_workspace

MODEL = {"plugin": "starting", "success": 0.4}
STUDY = {
    "study": "shared",
    "tasks": {"sums": {"plugin": "jsonl", "file": "problems.jsonl", "problems": 4}},
    "models": {"sim": MODEL},
    "strategies": {
        name: {"plugin": "repeated_sampling", "completions": 4, "temperature": temperature}
        for name, temperature in {"cold": 0.2, "warm": 0.7}.items()
    },
    "selectors": ["oracle"],
    "block": {"problems": 4, "completions": 4},
}


@pytest.fixture
def shared(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(installed("starting", tmp_path / "site")))
    return new_workspace(tmp_path)


def run(place, **changes):
    """Sample the study, with some of its sections changed; return for what models were started."""
    (place.folder / STARTS).unlink(missing_ok=True)
    done = sample(place, **changes)
    assert done.returncode == 0, done.stdout + done.stderr
    return starts(place)


def sample(place, **changes):
    place.write(STUDY | changes)
    return place.snakemake("--configfile", "study.yaml", "--rerun-incomplete", "--until", "sampling")


def starts(place):
    file = place.folder / STARTS
    return file.read_text().split() if file.exists() else []


def requests(place):
    return (place.folder / REQUESTS).read_text().splitlines()


def blocks(place):
    """Return when the completions of each strategy were written."""
    files = (place.folder / "results").rglob("completions/**/p*.parquet")
    return {path.parent.name: path.stat().st_mtime_ns for path in files}


def test_two_strategies_start_their_model_once_and_a_third_or_a_changed_one_costs_no_block(shared):
    assert run(shared) == ["0.4"]
    assert len(requests(shared)) == 2 * 4
    done, hashes = blocks(shared), shared.hashes()
    hot = {"plugin": "repeated_sampling", "completions": 4, "temperature": 1.1}
    assert run(shared, strategies=STUDY["strategies"] | {"hot": hot}) == ["0.4"]
    assert {name: written for name, written in blocks(shared).items() if name != "hot"} == done
    changed = STUDY["strategies"] | {"cold": hot | {"temperature": 0.3}, "hot": hot}
    assert run(shared, strategies=changed) == ["0.4"]
    assert blocks(shared)["warm"] == done["warm"]
    assert blocks(shared)["cold"] > done["cold"]
    assert len(requests(shared)) == 4 * 4
    # Blocks that may take no time are sampled one by one, and hold the same completions.
    (shared.folder / "alone").mkdir()
    alone = new_workspace(shared.folder / "alone")
    assert run(alone, block=STUDY["block"] | {"minutes": 1e-6}) == ["0.4", "0.4"]
    assert alone.hashes() == hashes


@pytest.mark.slow
def test_a_kill_costs_the_block_that_was_under_way_and_no_other(shared, monkeypatch):
    tasks = dict.fromkeys(("first", "second", "third"), STUDY["tasks"]["sums"])
    monkeypatch.setenv("KILLED_AT", str(3 * 4 + 2))
    assert sample(shared, tasks=tasks).returncode == 1
    assert starts(shared) == ["0.4"]
    assert blocks(shared) == {}
    monkeypatch.delenv("KILLED_AT")
    assert run(shared, tasks=tasks) == ["0.4"]
    assert 6 * 4 <= len(requests(shared)) <= 6 * 4 + 4


@pytest.mark.slow
def test_each_of_two_models_starts_once(shared):
    models = {"sim": MODEL, "other": MODEL | {"success": 0.6}}
    assert sorted(run(shared, models=models)) == ["0.4", "0.6"]


@pytest.mark.slow
def test_a_run_of_one_block_samples_no_other(shared):
    shared.write(STUDY)
    wanted = "results/shared/completions/sums/sim/warm/p00000-00004_c00000-00004.parquet"
    done = shared.snakemake(wanted, "--configfile", "study.yaml")
    assert done.returncode == 0, done.stderr
    assert list(blocks(shared)) == ["warm"]
    assert len(requests(shared)) == 4
    assert not list((shared.folder / "results").rglob(".*.journal"))
