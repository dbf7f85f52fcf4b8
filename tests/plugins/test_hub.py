"""Loading from the hub is real code: here it reads a cache folder of the hub's client, without a network."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("datasets", reason="the extra `hub` is not installed")
pytestmark = pytest.mark.hub

COMMIT = "0" * 40
LOAD = """
import sys
from itscale.stages.problems import load_problems
from itscale.study import resolve
study = resolve({
    "study": "hub",
    "tasks": {sys.argv[1]: {"problems": 2}},
    "models": ["simulated"],
    "strategies": {"repeated_sampling": {"completions": 1}},
})
for problem in load_problems(study.tasks[sys.argv[1]], 2):
    print(problem.reference)
"""


def cached(folder: Path, name: str, subset: str, rows: list[dict[str, str]]) -> None:
    """Lay a data set down as the hub's client keeps it."""
    import datasets

    place = folder / name.replace("/", "___") / subset / "0.0.0" / COMMIT
    place.mkdir(parents=True)
    data = datasets.Dataset.from_list(rows)
    short = name.rpartition("/")[2]
    writer = datasets.arrow_writer.ArrowWriter(path=str(place / f"{short.lower()}-test.arrow"))
    for row in rows:
        writer.write(row)
    writer.finalize()
    split = {"name": "test", "num_bytes": 1, "num_examples": len(rows), "dataset_name": short.lower()}
    info = {
        "builder_name": "parquet",
        "dataset_name": short.lower(),
        "config_name": subset,
        "version": {"version_str": "0.0.0", "major": 0, "minor": 0, "patch": 0},
        "splits": {"test": split},
        "features": data.features.to_dict(),
    }
    (place / "dataset_info.json").write_text(json.dumps(info))


def load(task: str, cache: Path) -> subprocess.CompletedProcess[str]:
    environment = {
        "HF_DATASETS_CACHE": str(cache),
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(cache / "home"),
        "PATH": "/usr/bin:/bin",
    }
    return subprocess.run(
        [sys.executable, "-c", LOAD, task], env=environment, capture_output=True, text=True, check=False
    )


def test_gsm8k_comes_from_the_clients_cache(tmp_path):
    rows = [{"question": f"{n} + 1?", "answer": f"Easy.\n#### {n + 1}"} for n in range(3)]
    cached(tmp_path, "openai/gsm8k", "main", rows)
    done = load("gsm8k", tmp_path)
    assert done.stdout.split() == ["1", "2"], done.stderr[-2000:]


def test_without_cache_or_network_it_is_one_line(tmp_path):
    done = load("gsm8k", tmp_path)
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "DataError" in last
    assert "openai/gsm8k" in last
