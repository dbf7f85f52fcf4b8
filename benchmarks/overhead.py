"""What the workflow costs beside its stages, next to a plain loop and to Snakemake's own floor.

    python benchmarks/overhead.py [--jobs 500] [--cores 1]

For the default study (the simulated engine in place of its language model) and for a study of some 500 jobs:
wall-clock of the whole workflow, of the same stages called in a plain Python loop in one process, and the
seconds that jobs spent inside their stages, as their logs say; then as many jobs of an empty `shell:` rule,
of an empty `script:` rule, and of one that only imports what every job needs to read a study and a table;
then the finished study once more, where nothing is to do.
One core by default: with several, seconds of jobs side by side do not add up to wall-clock.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import studies

EMPTY = """
rule all:
    input: expand("done/{{n}}", n=range({jobs}))
rule empty:
    output: touch("done/{{n}}")
    log: "logs/{{n}}.log"
    {action}
"""
SCRIPTS = {"empty": "", "libraries": "import numpy, polars, pydantic"}
ACTIONS = {"shell": 'shell: ":"'} | {name: f'script: "{name}.py"' for name in SCRIPTS}
LOOP = """
import sys, time
begun = time.perf_counter()
from pathlib import Path
from studies import Stages
for _, stage in Stages(Path("study.yaml")).calls:
    stage()
print(time.perf_counter() - begun)
"""


def floor(folder: Path, jobs: int, kind: str, cores: int) -> float:
    """Return the seconds Snakemake takes for so many jobs of a kind that do nothing."""
    folder.mkdir()
    for name, text in SCRIPTS.items():
        (folder / f"{name}.py").write_text(text)
    (folder / "Snakefile").write_text(EMPTY.format(jobs=jobs, action=ACTIONS[kind]))
    command = [sys.executable, "-m", "snakemake", "--cores", str(cores), "--scheduler", "greedy"]
    return studies.timed(command, folder)


def plain(folder: Path) -> float:
    """Return the seconds the stages take in a plain loop in one fresh process."""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", LOOP],
        cwd=folder,
        env=studies.environment() | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return float(done.stdout)


def measure(name: str, study: dict[str, Any], scratch: Path, cores: int) -> dict[str, Any]:
    """Measure one study in every way."""
    folder = studies.new_directory(scratch / name, study)
    wall = studies.snakemake(folder, cores)
    inside = studies.seconds_inside(folder)
    jobs = len(inside)
    loop = studies.new_directory(scratch / f"{name}-loop", study)
    looped = plain(loop)
    if studies.hashes(folder) != studies.hashes(loop):
        raise SystemExit(f"{name}: the loop gives other results than the workflow")
    floors = {kind: floor(scratch / f"{name}-{kind}", jobs, kind, cores) / jobs for kind in ACTIONS}
    begun = time.perf_counter()
    studies.timed(studies.itscale("run", "study.yaml", "--cores", str(cores)), folder)  # builds the report
    first = time.perf_counter() - begun
    return {
        "study": name,
        "jobs": jobs,
        "wall": wall,
        "in stages": sum(inside.values()),
        "plain loop": looped,
        "overhead": wall - sum(inside.values()),
        "per job": (wall - sum(inside.values())) / jobs,
        "beyond loop": wall - looped,
        "per empty shell": floors["shell"],
        "per empty script": floors["empty"],
        "per import script": floors["libraries"],
        "no-op snakemake": studies.snakemake(folder, cores),
        "report": first,
        "no-op itscale run": studies.timed(
            studies.itscale("run", "study.yaml", "--cores", str(cores)), folder
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=500)
    parser.add_argument("--cores", type=int, default=1)
    arguments = parser.parse_args()
    wanted = {
        "default": studies.default_study(),
        f"{arguments.jobs} jobs": studies.blocks_study(arguments.jobs // 3),
    }
    with tempfile.TemporaryDirectory() as scratch:
        rows = []
        for name, study in wanted.items():
            rows.append(measure(name, study, Path(scratch), arguments.cores))
    for key in rows[0]:
        cells = (value if isinstance(value := row[key], str) else f"{value:.3f}" for row in rows)
        print(f"{key:18}", *(f"{cell:>12}" for cell in cells))


if __name__ == "__main__":
    main()
