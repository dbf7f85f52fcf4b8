"""Snakemake's cache between workflows: studies that share sampling share its blocks, and only those."""

import copy
import subprocess

import pytest
from workspace import STUDY, Workspace, environment, new_workspace, snakemake

from itscale.store.parquet import payload_hash

# Two of whatever a wildcard of `sampling` stands for.
TWO_OF_EACH = {
    "tasks": {
        "sums": {"plugin": "jsonl", "file": "problems.jsonl", "problems": 2},
        "twin": {"plugin": "jsonl", "file": "problems.jsonl", "problems": 2},
    },
    "models": {
        "toy": {"plugin": "simulated", "success": 0.4},
        "twin": {"plugin": "simulated", "success": 0.6},
    },
    "strategies": {
        "repeated_sampling": {"completions": 4},
        "twin": {"plugin": "repeated_sampling", "completions": 2, "temperature": 0.5},
    },
    "block": {"problems": 2, "completions": 2},
}


def sample(workspace: Workspace, cache, **changes) -> dict[str, str]:
    """Run sampling of a study with the cache; return the hash of every block."""
    workspace.write(copy.deepcopy(STUDY) | TWO_OF_EACH | changes)
    done = subprocess.run(
        snakemake("--configfile", "study.yaml", "--until", "sampling", "--cache"),
        cwd=workspace.folder,
        env=environment() | {"SNAKEMAKE_OUTPUT_CACHE": str(cache)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = workspace.files(f"results/{changes.get('study', 'tiny')}/completions")
    return {"/".join(path.parts[-4:]): payload_hash(path) for path in found.values()}


@pytest.mark.slow
def test_two_studies_share_blocks_and_no_two_blocks_collide(tmp_path):
    cache = tmp_path / "cache"
    cache.mkdir()
    folders = [tmp_path / name for name in ("one", "two", "three")]
    for folder in folders:
        folder.mkdir()
    one, two, three = map(new_workspace, folders)
    first = sample(one, cache)
    assert len(set(first.values())) == len(first) == 12
    entries = sorted(path.name for path in cache.iterdir())
    assert len(entries) == 3 * 12
    second = sample(two, cache, study="other", laws=["exponentiated_power_law"])
    assert second == first
    assert sorted(path.name for path in cache.iterdir()) == entries  # nothing was sampled
    less = {key: dict([next(iter(TWO_OF_EACH[key].items()))]) for key in ("tasks", "models", "strategies")}
    assert set(sample(three, cache, **less, seed=2).values()).isdisjoint(first.values())
    assert sorted(path.name for path in cache.iterdir()) != entries
