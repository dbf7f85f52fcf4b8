"""Stepwise search on a real model: is the engine kept full, and does the ledger equal what it generated?

    python benchmarks/search.py --model DIRECTORY [--problems 16] [--budget 16]

Runs `particle_filter` and `beam_search` through the sampling stage, all problems at once, on a model
directory under vLLM, and prints for each: sequences under way (mean over the run, and the share of what the
unfinished problems allow), tokens in the ledger and tokens counted at the engine.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import polars as pl

from itscale.blocks import Block
from itscale.stages import sampling
from itscale.stages.problems import write_problems
from itscale.store import read_metadata
from itscale.study import resolve
from itscale.types import Generation, GenerationRequest

SEARCH = {
    "scorer": "logprob",
    "temperature": 0.8,
    "delimiter": "\n",
    "step_tokens": 48,
    "max_tokens": 160,
}


def study_of(arguments: argparse.Namespace) -> Any:
    budget = arguments.budget
    return resolve(
        {
            "study": "search",
            "tasks": {
                "gcd": {"plugin": "reasoning_gym", "dataset": "gcd", "problems": arguments.problems},
            },
            "models": {"model": {"plugin": "vllm", "model": str(arguments.model)}},
            "strategies": {
                "particle_filter": {"budgets": [budget], **SEARCH},
                "beam_search": {"budgets": [budget], **SEARCH},
            },
            "verifiers": ["logprob"],
        }
    )


class Counting(sampling.MeteredEngine):
    """Counts at the engine what the ledger should say."""

    tokens = 0

    async def generate(self, request: GenerationRequest) -> list[Generation]:
        made = await super().generate(request)
        Counting.tokens += sum(one.tokens for one in made)
        return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--problems", type=int, default=16)
    parser.add_argument("--budget", type=int, default=16)
    arguments = parser.parse_args()
    arguments.model = arguments.model.resolve()
    sampling.MeteredEngine = Counting  # type: ignore[misc]
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        study = study_of(arguments)
        problems = Path("problems.parquet")
        write_problems(study, "gcd", problems)
        for strategy in study.strategies:
            Counting.tokens = 0
            completions, ledger = Path(f"{strategy}.parquet"), Path(f"{strategy}.ledger.parquet")
            block = Block(arguments.budget, 0, arguments.problems, 0, 1)
            sampling.sample_block(
                study,
                "gcd",
                "model",
                strategy,
                block,
                problems=problems,
                model_directory=None,
                completions=completions,
                ledger=ledger,
            )
            spent = pl.read_parquet(ledger).filter(pl.col("call") == "generate")["generated_tokens"].sum()
            timing = read_metadata(completions)["timing"]
            share = timing["mean_running"] / timing["mean_possible"]
            print(
                f"{strategy}: {timing['seconds']:.1f} s, {timing['mean_running']:.1f} sequences under way "
                f"of {timing['mean_possible']:.1f} possible ({share:.0%}), peak {timing['peak_running']}; "
                f"tokens: ledger {spent}, engine {Counting.tokens}; {spent / timing['seconds']:.0f} tokens/s"
            )


if __name__ == "__main__":
    main()
