"""Bytes on disk of completions of about 200 tokens, by kind of text, compression and size of row groups.

    python benchmarks/storage.py DATA [--completions 100000]

DATA is the folder of real completions. A corpus of new completions is made of them: sentences of one
problem's completions, drawn and shuffled, so that completions of a problem share phrases, as they do, and
none is a copy; text of other problems is never mixed. Beside it, each kind's real completions as they are,
and words drawn by frequency, which share nothing: no model writes so badly compressible. Prints bytes per
completion, all columns counted, and what a million of them take.
"""

from __future__ import annotations

import argparse
import gzip
import json
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl

from itscale.store.parquet import write_table
from itscale.store.schemas import COMPLETIONS

TOKENS = 200
CHARACTERS_PER_TOKEN = 3.6  # of English reasoning with mathematics; code has fewer
LEVELS = (1, 3, 6, 9)  # 15 and more: under 3 MB/s


def texts(value: object) -> Iterator[str]:
    """Yield every long text in a JSON value."""
    if isinstance(value, str):
        if len(value) >= 80:
            yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


def problems_of(folder: Path) -> list[list[str]]:
    """Return the real completions of a folder, one list for each problem (each record of its files)."""
    found = []
    for path in sorted(folder.rglob("*.json*")):
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rt", encoding="utf-8") as file:
            if ".jsonl" in path.name:
                records = [json.loads(line) for line in file if line.strip()]
            else:
                records = json.load(file)
        for record in records.values() if isinstance(records, dict) else records:
            long = list(texts(record))
            if len(long) >= 2:
                found.append(long)
    return found


def shuffled(problems: list[list[str]], completions: int, rng: np.random.Generator) -> list[list[str]]:
    """Make new completions of about 200 tokens of each problem from its own sentences."""
    pools = [re.split(r"(?<=[.!?\n])\s*", "\n".join(problem)) for problem in problems]
    pools = [[sentence for sentence in pool if sentence.strip()] for pool in pools]
    per_problem = -(-completions // len(pools))
    length = TOKENS * CHARACTERS_PER_TOKEN
    made = []
    for pool in pools:
        mean = sum(map(len, pool)) / len(pool)
        count = max(1, round(length / (mean + 1)))
        drawn = rng.integers(len(pool), size=(per_problem, count))
        made.append([" ".join(pool[place] for place in row) for row in drawn])
    return made


def words(problems: list[list[str]], completions: int, rng: np.random.Generator) -> list[list[str]]:
    """Make completions of words drawn by their frequency."""
    known, counts = np.unique(
        " ".join(text for problem in problems for text in problem).split(), return_counts=True
    )
    length = int(TOKENS * 0.75)
    drawn = rng.choice(known, size=(completions, length), p=counts / counts.sum())
    return [[" ".join(row) for row in drawn]]


def table(made: list[list[str]], rng: np.random.Generator) -> pl.DataFrame:
    """Return completions as the sampling stage writes them, with the columns of repeated sampling."""
    rows = [
        {
            "problem_id": f"problem-{place:05d}",
            "budget": 0,
            "replicate": 0,
            "index": index,
            "text": text,
            "finish_reason": "eos",
            "prompt_tokens": 0 if index else 80,
            "generated_tokens": len(text) // 4,
            "logprob": float(rng.normal(-60, 20)),
            "step_ends": [len(text)],
            "step_tokens": [len(text) // 4],
            "step_logprobs": [float(rng.normal(-60, 20))],
            "step_scores": None,
            "nodes": [index],
            "weight": None,
        }
        for place, completions in enumerate(made)
        for index, text in enumerate(completions)
    ]
    return pl.DataFrame(rows, schema=dict(COMPLETIONS))


def size(frame: pl.DataFrame, path: Path, **options: int) -> tuple[float, float]:
    """Return bytes per completion and megabytes written per second."""
    begun = time.perf_counter()
    frame.write_parquet(path, compression="zstd", **options)  # type: ignore[arg-type]
    seconds = time.perf_counter() - begun
    return path.stat().st_size / frame.height, frame.estimated_size("mb") / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--completions", type=int, default=100_000)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "completions.parquet"
        for folder in sorted(found for found in arguments.data.iterdir() if found.is_dir()):
            problems = problems_of(folder)
            if not problems:
                continue
            kinds = {
                "as they are": problems,
                "sentences shuffled": shuffled(problems, arguments.completions, rng),
                "words drawn": words(problems, min(arguments.completions, 20_000), rng),
            }
            for kind, made in kinds.items():
                frame = table(made, rng)
                characters = frame["text"].str.len_bytes().mean()
                name = f"{folder.name}, {kind}"
                print(f"\n{name}: {len(made)} problems, {frame.height} completions of {characters:.0f} bytes")
                write_table(frame, path, {})
                ours = path.stat().st_size / frame.height
                print(f"  as itscale writes it      {ours:7.1f} bytes each, {ours:6.0f} MB a million")
                for level in LEVELS:
                    each, speed = size(frame, path, compression_level=level)
                    print(f"  zstd level {level:2}             {each:7.1f} bytes each, {speed:6.0f} MB/s")
                for rows in (1000, 10_000, 100_000):
                    each, _ = size(frame, path, compression_level=3, row_group_size=rows)
                    print(f"  groups of {rows:7} rows    {each:7.1f} bytes each")


if __name__ == "__main__":
    main()
