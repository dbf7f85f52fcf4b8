"""Kill a simulated study again and again, then see that nothing was lost, done twice or changed.

    python benchmarks/chaos.py [--kills 50] [--blocks 200] [--seed 0] [--cores 2]

Each kill is a SIGKILL, at a random moment, of a job's process, of Snakemake, or of `itscale run`; the study
is then run again, and so on until it is finished. Prints every kill, what was sampled again because of it
(completions of a begun block that its journal does not hold, in blocks' worth), and whether the results are
those of an undisturbed run; exit status 1 if they are not, or if a kill cost more blocks than jobs ran.
"""

from __future__ import annotations

import argparse
import random
import signal
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import psutil
import studies

from itscale.running.events import Event, events_of, read_events
from itscale.store.schemas import COMPLETION_KEY

VICTIMS = ("job", "snakemake", "itscale run")
COMPLETIONS = "results/many/completions/sums/toy/repeated_sampling"
UNITS = 4
"""Lines of the journal of a block that is all sampled: one per problem."""


@dataclass
class Run:
    """What one run did until it ended or was ended."""

    victim: str
    seconds: float
    said: str
    started: Counter[str] = field(default_factory=Counter)
    blocks: list[str] = field(default_factory=list)
    left: dict[str, int] = field(default_factory=dict)


def processes(folder: Path) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def find(folder: Path, victim: str, run: subprocess.Popen[str]) -> psutil.Process | None:
    """Return the process to kill, None if there is none at the moment."""
    if victim == "itscale run":
        return psutil.Process(run.pid)
    part = ".snakemake/scripts" if victim == "job" else "snakemake"
    for process in processes(folder):
        try:
            command = process.cmdline()
        except psutil.NoSuchProcess:
            continue
        if victim == "snakemake" and command[2:4] == ["-m", part] and "--dry-run" not in command:
            return process
        if victim == "job" and len(command) > 1 and part in command[-1]:
            return process
    return None


def begun_jobs(events: Path) -> list[Event]:
    """Return what Snakemake announced of each job that began."""
    return [event for event in read_events(events) if event.kind == "job_info"]


def run_once(folder: Path, cores: int, victim: str, rng: random.Random) -> Run:
    """Run the study; kill the victim (if one is named) a while after the first job began."""
    events = events_of(folder / "logs" / "many" / "run.log")
    events.unlink(missing_ok=True)
    begun = time.perf_counter()
    with subprocess.Popen(
        studies.itscale("run", "study.yaml", "--cores", str(cores)),
        cwd=folder,
        env=studies.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as run:
        if victim:
            while run.poll() is None and all(job.rule != "sampling" for job in begun_jobs(events)):
                time.sleep(0.05)
            time.sleep(rng.uniform(0, 5))
            while run.poll() is None:
                process = find(folder, victim, run)
                if process is not None:
                    process.send_signal(signal.SIGKILL)
                    break
                time.sleep(0.01)
        said = run.communicate()[1].strip()
    seconds = time.perf_counter() - begun
    while victim and processes(folder):  # what is left of it ends by itself
        time.sleep(0.05)
    jobs = begun_jobs(events)
    blocks = [job.wildcards["block"] for job in jobs if job.rule == "sampling"]
    return Run(victim, seconds, said, Counter(job.rule for job in jobs), blocks, units_left(folder))


def units_left(folder: Path) -> dict[str, int]:
    """Return how many units of each block that was begun would have to be sampled again if it began anew.

    Of a finished block these are all: that happens if the kill came before Snakemake noted that it is done.
    """
    left = {path.stem: UNITS for path in (folder / COMPLETIONS).glob("p*.parquet")}
    for path in (folder / COMPLETIONS).glob(".p*.journal"):
        whole = path.read_bytes().count(b"\n") - 1  # without the header
        left[path.stem.removeprefix(".")] = UNITS - max(whole, 0)
    return left


def torment(folder: Path, kills: int, cores: int, rng: random.Random) -> list[Run]:
    runs: list[Run] = []
    for number in range(kills):
        run = run_once(folder, cores, rng.choice(VICTIMS), rng)
        runs.append(run)
        done = len(list(folder.glob("results/many/completions/*/*/*/*.parquet")))
        line = f"kill {number + 1:3}  {run.victim:11}  after {run.seconds:5.1f} s  {done:4} blocks done"
        print(line, run.said, sep="  ", flush=True)
    runs.append(run_once(folder, cores, "", rng))
    return runs


def redone(runs: list[Run]) -> pl.DataFrame:
    """Return what each kill cost: blocks begun again, and how much of them (1 is a block) no journal held."""
    rows = []
    for number, run in enumerate(runs[:-1], start=1):
        later = {block for other in runs[number:] for block in other.blocks}
        left = [run.left.get(block, 0) / UNITS for block in run.blocks if block in later]
        rows.append((run.victim, len(left), sum(left)))
    return pl.DataFrame(rows, schema=["killed", "begun", "sampled"], orient="row")


def print_redone(costs: pl.DataFrame) -> None:
    """Print how many blocks were begun and sampled again, by what was killed."""
    means = (pl.mean(name).round(2).alias(f"{name} again, mean") for name in ("begun", "sampled"))
    most = (pl.max(name).alias(f"{name} again, most") for name in ("begun", "sampled"))
    with pl.Config(tbl_formatting="NOTHING", tbl_hide_column_data_types=True, tbl_hide_dataframe_shape=True):
        print(
            f"blocks\n{costs.group_by('killed').agg(pl.len().alias('kills'), *means, *most).sort('killed')}"
        )
    print(f"blocks sampled again for {costs.height} kills: {costs['sampled'].sum():.2f}")


def lost_or_double(folder: Path, expected: int) -> tuple[int, int]:
    """Return how many completions are missing, and how many are there more than once."""
    blocks = folder.glob("results/many/completions/*/*/*/*.parquet")
    rows = pl.concat([pl.read_parquet(path, columns=list(COMPLETION_KEY)) for path in blocks])
    distinct = rows.unique().height
    return expected - distinct, rows.height - distinct


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--blocks", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cores", type=int, default=2)
    arguments = parser.parse_args()
    study = studies.blocks_study(arguments.blocks, seconds_per_token=0.01, verifiers=False)
    rng = random.Random(arguments.seed)
    with tempfile.TemporaryDirectory() as scratch:
        calm = studies.new_directory(Path(scratch).resolve() / "calm", study)
        undisturbed = run_once(calm, arguments.cores, "", rng)
        folder = studies.new_directory(Path(scratch).resolve() / "chaos", study)
        runs = torment(folder, arguments.kills, arguments.cores, rng)
        different = dict(studies.hashes(folder).items() ^ studies.hashes(calm).items())
        lost, double = lost_or_double(folder, 32 * arguments.blocks)
    wall = sum(run.seconds for run in runs)
    started, needed = sum((run.started for run in runs), Counter()), undisturbed.started
    costs = redone(runs)
    print_redone(costs)
    again = {rule: started[rule] - count for rule, count in needed.items() if started[rule] > count}
    print(f"jobs begun again: {again}")
    print(f"undisturbed {undisturbed.seconds:.0f} s, with {arguments.kills} kills {wall:.0f} s")
    jobs = sum(needed.values())
    print(f"redone: {sum(again.values())} of {jobs} jobs ({sum(again.values()) / jobs:.1%})")
    print(f"results identical: {not different}; completions lost: {lost}, double: {double}")
    for name in sorted(different):
        print(f"different, or there once only: {name}")
    bounded = (costs["begun"] <= arguments.cores).all()
    return 0 if bounded and not different and not lost and not double else 1


if __name__ == "__main__":
    raise SystemExit(main())
