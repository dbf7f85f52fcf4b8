"""A tiny study on the simulated engine, and a directory to run it in."""

from __future__ import annotations

import copy
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import yaml

from itscale.running.events import read_events
from itscale.running.snakemake import DryRun, planned
from itscale.store.parquet import payload_hash

CHECKOUT = Path(__file__).resolve().parents[2]

STUDY: dict[str, Any] = {
    "study": "tiny",
    "seed": 1,
    "tasks": {"sums": {"plugin": "jsonl", "file": "problems.jsonl", "problems": 6}},
    "models": {"toy": {"plugin": "simulated", "success": 0.4, "seconds_per_token": 0.02}},
    "strategies": {"repeated_sampling": {"completions": 16, "temperature": 0.8}},
    "selectors": ["oracle", "majority_vote"],
    "laws": ["power_law"],
    "figures": ["law_fits"],
    "block": {"problems": 6, "completions": 8},
    "curves": {"resamples": 100},
    "fits": {"refits": 20},
}
PLACE = "sums/toy/repeated_sampling"


def changed(key: str, value: Any) -> dict[str, Any]:
    """Return the study with one value changed, at a dotted key."""
    study = copy.deepcopy(STUDY)
    *above, last = key.split(".")
    here = study
    for part in above:
        here = here[part]
    here[last] = value
    return study


@dataclass
class Workspace:
    """A directory in which the study runs."""

    folder: Path

    def write(self, study: dict[str, Any], name: str = "study.yaml") -> str:
        (self.folder / name).write_text(yaml.safe_dump(study), encoding="utf-8")
        return name

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def itscale(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.call(*itscale(*arguments))

    def snakemake(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.call(*snakemake(*arguments))

    def dry_run(self, study: dict[str, Any]) -> DryRun:
        name = self.write(study, "changed.yaml")
        logger = ("--logger", "itscale", "--logger-itscale-file", "events.jsonl")
        done = self.snakemake("--configfile", name, "--dry-run", *logger)
        assert done.returncode == 0, done.stderr
        return planned(read_events(self.folder / "events.jsonl"))

    def files(self, *folders: str) -> dict[str, Path]:
        found = (path for folder in folders for path in sorted((self.folder / folder).rglob("*")))
        return {path.relative_to(self.folder).as_posix(): path for path in found if path.is_file()}

    def hashes(self) -> dict[str, str]:
        """Return the hash of every result: of parquet files without what versions and time put there.

        Of ledgers it is that of what completions cost: a run that was killed spent more, for nothing.
        """
        files = self.files("results", "reports")
        skip = ("manifest.json", "report.html")
        return {name: hash_of(path) for name, path in files.items() if path.name not in skip}

    def copy(self, folder: Path) -> Workspace:
        shutil.copytree(self.folder, folder, dirs_exist_ok=True)
        return Workspace(folder)


def hash_of(path: Path) -> str:
    if path.suffix != ".parquet" or "failed" not in pl.read_parquet_schema(path):
        return payload_hash(path)
    paid = pl.read_parquet(path).filter(~pl.col("failed"))
    return sha256(paid.write_csv().encode()).hexdigest()


def environment() -> dict[str, str]:
    """Return an environment in which Python keeps what it compiles: a run is many processes."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def itscale(*arguments: str) -> list[str]:
    return [sys.executable, "-c", "from itscale.cli import app; app()", *arguments]


def snakemake(*arguments: str) -> list[str]:
    fixed = ["--snakefile", str(CHECKOUT / "Snakefile"), "--cores", "2", "--scheduler", "greedy", "--nocolor"]
    return [sys.executable, "-m", "snakemake", *fixed, *arguments]


def new_workspace(folder: Path) -> Workspace:
    """Return a workspace with problems and the study, in which nothing has run."""
    rows = [{"prompt": f"What is {n} + {n}?", "reference": str(2 * n)} for n in range(1, 13)]
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (folder / "problems.jsonl").write_text(text, encoding="utf-8")
    workspace = Workspace(folder)
    workspace.write(STUDY)
    return workspace


def installed(module: str, folder: Path) -> Path:
    """Lay a plugin of the tests into a folder as a distribution: on PYTHONPATH, it is installed."""
    about = folder / f"{module}-1.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1\n")
    (about / "entry_points.txt").write_text(f"[itscale]\n{module} = {module}\n")
    here = Path(__file__).parent
    sources = (one / f"{module}.py" for one in (here, here.with_name("probes")))
    shutil.copy(next(source for source in sources if source.is_file()), folder)
    return folder


def identities(workspace: Workspace) -> pl.DataFrame:
    """Return what names each completion of a study."""
    files = (workspace.folder / "results").rglob("completions/**/p*.parquet")
    names = ["problem_id", "budget", "replicate", "index"]
    return pl.concat([pl.read_parquet(path, columns=names) for path in files])


def processes_in(folder: Path) -> list[psutil.Process]:
    """Return the processes whose working directory it is."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder):
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, psutil.ZombieProcess):
            continue
    return found


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
