"""Stepwise search on a real model: is the engine kept full, and does the ledger equal what it generated?

    python benchmarks/search.py --model DIRECTORY [--problems 16] [--budget 16] [--delimiter TEXT]

Runs `particle_filter` and `beam_search` through the sampling stage, all problems at once, on a model
directory under vLLM, and prints for each: sequences under way (mean over the run, and the share of what the
unfinished trajectories allow), tokens in the ledger and tokens counted at the engine.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl

from itscale.sampling.blocks import Block
from itscale.stages import sampling
from itscale.stages.problems import write_problems
from itscale.store.parquet import read_metadata
from itscale.study import resolve
from itscale_builtin.engines import vllm
from itscale_builtin.engines.vllm import VllmEngine

SEARCH = {
    "scorer": "logprob",
    "temperature": 0.8,
    "delimiter": "\n",
    "step_tokens": 48,
    "max_tokens": 160,
}


def study_of(arguments: argparse.Namespace) -> Any:
    budget = arguments.budget
    search = {**SEARCH, "delimiter": arguments.delimiter}
    return resolve(
        {
            "study": "search",
            "tasks": {
                "gcd": {"plugin": "reasoning_gym", "dataset": "gcd", "problems": arguments.problems},
            },
            "models": {"model": {"plugin": "vllm", "model": str(arguments.model)}},
            "strategies": {
                "particle_filter": {"budgets": [budget], **search},
                "beam_search": {"budgets": [budget], **search},
            },
            "verifiers": ["logprob"],
        }
    )


class Counting(VllmEngine):
    """Counts, sequence by sequence, what vLLM runs and what it generates."""

    tokens = running = 0
    began = last = area = 0.0

    async def _run(self, prompt: list[int], params: Any, request: Any, place: int) -> Any:
        self.tick(1)
        output = await super()._run(prompt, params, request, place)
        self.tick(-1)
        Counting.tokens += len(output.token_ids)
        return output

    @staticmethod
    def tick(change: int) -> None:
        now = time.perf_counter()
        Counting.began = Counting.began or now
        Counting.area += Counting.running * (now - (Counting.last or now))
        Counting.last = now
        Counting.running += change

    @staticmethod
    def reset() -> None:
        Counting.tokens = Counting.running = 0
        Counting.began = Counting.last = Counting.area = 0.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--problems", type=int, default=16)
    parser.add_argument("--budget", type=int, default=16)
    parser.add_argument("--delimiter", default=SEARCH["delimiter"])
    arguments = parser.parse_args()
    arguments.model = arguments.model.resolve()
    vllm.VllmEngine = Counting  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        study = study_of(arguments)
        problems = Path("problems.parquet")
        write_problems(study, "gcd", problems)
        for strategy in study.strategies:
            Counting.reset()
            completions, ledger = Path(f"{strategy}.parquet"), Path(f"{strategy}.ledger.parquet")
            block = Block(arguments.budget, 0, arguments.problems, 0, 1)
            sampling.sample_block(
                study,
                "gcd",
                "model",
                strategy,
                block,
                problems=problems,
                model_directories={},
                completions=completions,
                ledger=ledger,
                trees=Path(f"{strategy}.trees.parquet"),
            )
            spent = pl.read_parquet(ledger).filter(pl.col("call") == "generate")["generated_tokens"].sum()
            timing = read_metadata(completions)["timing"]
            running = Counting.area / (Counting.last - Counting.began)
            print(
                f"{strategy}: {timing['seconds']:.1f} s, {running:.1f} sequences under way of "
                f"{timing['mean_possible']:.1f} possible ({running / timing['mean_possible']:.0%}); "
                f"tokens: ledger {spent}, engine {Counting.tokens}; {spent / timing['seconds']:.0f} tokens/s"
            )


if __name__ == "__main__":
    main()
