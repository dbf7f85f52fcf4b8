"""How time and memory grow with completions: from judged completions to curves and fits, and an import.

Every number of completions and verdict here is synthetic, made in a temporary directory that is removed.
Each stage runs in a process of its own, as under Snakemake; the import is a whole `itscale run`.

    python benchmarks/scale.py
    python benchmarks/scale.py --millions 1 --import-millions 0
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import psutil

from itscale.sampling.blocks import Block, plan_blocks
from itscale.stages.curves import estimate_curves
from itscale.stages.fits import fit_law
from itscale.stages.outcomes import gather_outcomes
from itscale.stages.problems import write_problems
from itscale.store.parquet import write_table
from itscale.store.schemas import COMPLETIONS, LEDGER, VERDICTS
from itscale.study import Study, resolve

PLACE = ("synthetic", "none", "repeated_sampling")
PROBLEMS = 1000
BLOCK_PROBLEMS = 125
BLOCKS_ACROSS = 16
WRONG_ANSWERS = 20
CHARACTERS = 800  # of a completion of 200 tokens
FAR = 100  # millions that growth is projected to
LAW = "power_law"
IMPORTED_LAWS = ("power_law", "exponentiated_power_law", "beta_binomial")
IMPORTED_PROBLEMS = 900


def a_study() -> Study:
    """Return a study of the shape of the synthetic completions."""
    return resolve(
        {
            "study": "scale",
            "tasks": {"synthetic": {"plugin": "jsonl", "file": "problems.jsonl", "oracle": "exact_match"}},
            "models": {"none": {"plugin": "simulated"}},
            "strategies": {"repeated_sampling": {"completions": 1}},
            "laws": [LAW],
        }
    )


def make(millions: float, text: bool = True) -> None:
    """Write synthetic problems, completions with text, verdicts and ledgers into the working directory."""
    rng = np.random.default_rng(0)
    lines = (json.dumps({"prompt": f"synthetic {at}", "reference": "0"}) for at in range(PROBLEMS))
    Path("problems.jsonl").write_text("\n".join(lines) + "\n")
    write_problems(a_study(), "synthetic", Path("problems.parquet"))
    words = [
        "".join(rng.choice(list("abcdefghijklmnopqrstuvwxyz"), size)) for size in rng.integers(2, 9, 4000)
    ]
    corpus = " ".join(rng.choice(words, 400_000))
    rates = rng.beta(0.3, 2.0, PROBLEMS)
    units = int(millions * 1e6 / PROBLEMS)
    size = {"problems_per_block": BLOCK_PROBLEMS, "units_per_block": max(1, units // BLOCKS_ACROSS)}
    for block in plan_blocks(PROBLEMS, units, **size):
        write_block(
            block, rates, corpus if text else "", np.random.default_rng((1, block.problem_start, block.start))
        )


def write_block(block: Block, rates: np.ndarray, corpus: str, rng: np.random.Generator) -> None:
    """Write one block: completions, verdicts of the oracle, ledger."""
    problem = np.repeat(np.arange(block.problem_start, block.problem_stop), block.stop - block.start)
    index = np.tile(np.arange(block.start, block.stop), block.problem_stop - block.problem_start)
    correct = rng.random(len(problem)) < rates[problem]
    answer = np.where(correct, 0, np.minimum(rng.zipf(1.6, len(problem)), WRONG_ANSWERS))
    starts = rng.integers(0, max(1, len(corpus) - CHARACTERS), len(problem))
    identity = pl.DataFrame({"problem_id": problem, "budget": 0, "replicate": 0, "index": index})
    text = [corpus[start : start + CHARACTERS] for start in starts.tolist()]
    completions = identity.with_columns(
        text=pl.Series(text, dtype=pl.String),
        finish_reason=pl.lit("stop"),
        prompt_tokens=60,
        generated_tokens=200,
    )
    parsed = pl.Series(rng.random(len(problem)) > 0.03)
    verdicts = identity.with_columns(
        answer=pl.when(parsed).then(pl.Series(answer).cast(pl.String)),
        correct=parsed & pl.Series(correct),
        status=pl.when(parsed).then(pl.lit("judged")).otherwise(pl.lit("unparsable")),
    )
    calls = pl.DataFrame({"problem_id": np.unique(problem)}).with_columns(
        budget=0, replicate=0, start=block.start, call=pl.lit("generate"), by=pl.lit("none"), failed=False,
        calls=1,
        generated_tokens=200 * (block.stop - block.start),
    )  # fmt: skip
    for table, schema, folder in (
        (completions, COMPLETIONS, "completions"),
        (verdicts, VERDICTS, "verdicts"),
        (calls, LEDGER, "ledger"),
    ):
        absent = [pl.lit(None).alias(name) for name in schema if name not in table.columns]
        whole = table.with_columns(absent).select(pl.col(name).cast(kind) for name, kind in schema.items())
        write_table(whole, Path(folder, f"{block.name}.parquet"), {"simulated": True})


def gather() -> None:
    """Run the stage of outcomes."""
    files = {"completions": sorted(Path("completions").iterdir()), "problems": Path("problems.parquet")}
    verdicts = {"exact_match": sorted(Path("verdicts").iterdir())}
    gather_outcomes(a_study(), *PLACE, **files, verdicts=verdicts, output=Path("outcomes.parquet"))


def curves() -> None:
    """Run the stage of curves."""
    files = {"outcomes": Path("outcomes.parquet"), "output": Path("curves.parquet")}
    ledgers = sorted(Path("ledger").iterdir())
    estimate_curves(a_study(), *PLACE, **files, ledgers=ledgers, accuracies=Path("accuracies.parquet"))


def fit() -> None:
    """Run the stage of fits for one law."""
    made = {name: Path(f"{name}.parquet") for name in ("outcomes", "curves", "fits", "forecasts", "refits")}
    fit_law(a_study(), *PLACE, LAW, **made)


STAGES = {"gather": gather, "curves": curves, "fit": fit}


def measured(stage: str, folder: Path) -> tuple[float, float]:
    """Run a stage in a process of its own; return its seconds and peak memory (MB), imports included."""
    command = [sys.executable, str(Path(__file__).resolve()), "--stage", stage]
    started = time.perf_counter()
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    return time.perf_counter() - started, float(done.stdout.split()[-1])


def grow(millions: list[float], folder: Path) -> None:
    """Measure every stage at each size, and project to `FAR`."""
    print(
        f"synthetic texts of {CHARACTERS} characters; {PROBLEMS} problems, {WRONG_ANSWERS + 1} answers each"
    )
    print(
        f"{'million':>8} {'disk MB':>8}"
        + "".join(f" {name + ' s':>9} {'MB':>6}" for name in STAGES)
        + f" {'all s':>7}"
    )
    rows = []
    for size in millions:
        place = folder / f"{size:g}"
        place.mkdir()
        subprocess.run(
            [sys.executable, str(Path(__file__).resolve()), "--make", str(size)], cwd=place, check=True
        )
        disk = sum(path.stat().st_size for path in (place / "completions").iterdir()) / 1e6
        found = {stage: measured(stage, place) for stage in STAGES}
        rows.append((size, found))
        cells = "".join(f" {seconds:9.1f} {memory:6.0f}" for seconds, memory in found.values())
        print(
            f"{size:8g} {disk:8.0f}{cells} {sum(seconds for seconds, _ in found.values()):7.1f}", flush=True
        )
        subprocess.run(["rm", "-r", str(place)], check=True)
    if len(rows) > 1:
        print(f"{FAR:8g} {'':>8}" + "".join(project(rows, stage) for stage in STAGES) + "  (straight line)")


def project(rows: list[tuple[float, dict[str, tuple[float, float]]]], stage: str) -> str:
    """Continue seconds and memory of a stage as straight lines."""
    sizes = [size for size, _ in rows]
    lines = [np.polyfit(sizes, [found[stage][at] for _, found in rows], 1) for at in (0, 1)]
    return f" {np.polyval(lines[0], FAR):9.0f} {np.polyval(lines[1], FAR):6.0f}"


def imported(millions: float, folder: Path) -> None:
    """Import synthetic outcomes (problem, attempt, 0/1) and take them to curves and fits by `itscale run`."""
    attempts = int(millions * 1e6 / IMPORTED_PROBLEMS)
    rng = np.random.default_rng(0)
    rates = np.repeat(rng.beta(0.3, 2.0, IMPORTED_PROBLEMS), attempts)
    table = pl.DataFrame(
        {
            "problem": np.repeat(np.arange(IMPORTED_PROBLEMS), attempts),
            "attempt": np.tile(np.arange(attempts), IMPORTED_PROBLEMS),
            "correct": (rng.random(len(rates)) < rates).astype(np.int8),
        }
    )
    table.write_parquet(folder / "synthetic.parquet")
    outcomes = {"synthetic": {"path": "synthetic.parquet", "task": "synthetic"}}
    study = {"study": "imported", "outcomes": outcomes, "laws": list(IMPORTED_LAWS)}
    (folder / "study.yaml").write_text(json.dumps(study))
    del table, rates
    command = [str(Path(sys.executable).with_name("itscale")), "run", "study.yaml", "--cores", "2"]
    started, busy = time.perf_counter(), computed()
    process = psutil.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True)
    together, alone = peak_memory(process)
    said = process.stdout.read()
    process.wait()
    seconds, busy = time.perf_counter() - started, computed() - busy
    print(f"\n{millions:g} million synthetic outcomes ({IMPORTED_PROBLEMS} x {attempts:,}), by itscale run:")
    load = psutil.getloadavg()[0]
    print(f"{seconds:.1f} s ({busy:.1f} s of computing on {psutil.cpu_count()} cores, load {load:.1f})")
    print(f"peak memory {together:.0f} MB over all processes at once, {alone:.0f} MB in one")
    for log in sorted((folder / "logs").rglob("*.log")):
        last = log.read_text().strip().splitlines()[-1:]
        if last and last[0].startswith("done in"):
            print(f"  {log.relative_to(folder / 'logs' / 'imported')}: {last[0]}")
    if process.returncode:
        raise SystemExit(said)
    print("".join(f"  {line}\n" for line in said.splitlines() if line.startswith(IMPORTED_LAWS)))


def computed() -> float:
    """Return the processor seconds of all processes that were started here and have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def peak_memory(process: psutil.Popen) -> tuple[float, float]:
    """Watch a process and all it starts to the end; return peak MB of all at once and of one."""
    together = alone = 0.0
    while process.poll() is None:
        sizes = list(resident(process))
        together, alone = max(together, sum(sizes)), max(alone, *sizes, 0)
        time.sleep(0.1)
    return together, alone


def resident(process: psutil.Popen) -> Iterator[float]:
    """Yield the resident memory (MB) of a process and of all it started."""
    try:
        family: list[Any] = [process, *process.children(recursive=True)]
    except psutil.NoSuchProcess:
        return
    for member in family:
        try:
            yield member.memory_info().rss / 1e6
        except psutil.NoSuchProcess:
            continue


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--millions", type=float, nargs="*", default=[1, 3, 10], help="completions to stages")
    parser.add_argument("--import-millions", type=float, default=9, help="outcomes to import; 0: none")
    parser.add_argument("--stage", choices=STAGES, help=argparse.SUPPRESS)
    parser.add_argument("--make", type=float, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.stage:
        STAGES[options.stage]()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)
    elif options.make:
        make(options.make)
    else:
        with tempfile.TemporaryDirectory() as folder:
            if options.millions:
                grow(options.millions, Path(folder))
            if options.import_millions:
                imported(options.import_millions, Path(folder))


if __name__ == "__main__":
    main()
