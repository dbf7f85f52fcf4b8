"""Tokens per second of the sampling stage against plain `vllm.LLM.generate`.

    python benchmarks/sampling.py --model DIRECTORY [--problems 16] [--completions 16] [--rounds 3]

Same prompts, same settings (those our engine chooses), same machine, loading apart, one engine alive at a
time, in turns: A B, B A ... Prints each round and the ratio of the medians; the target is at least 0.95.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import polars as pl

from itscale.plugins import registry
from itscale.sampling.blocks import Block
from itscale.stages.problems import read_problems, write_problems
from itscale.stages.sampling import sample_block
from itscale.store.parquet import read_metadata
from itscale.study import Study, resolve
from itscale_builtin.engines.vllm import engine_arguments

TASK, MODEL, STRATEGY = "gcd", "vllm", "repeated_sampling"


def study_of(arguments: argparse.Namespace) -> Study:
    sampling = {"completions": arguments.completions, "temperature": 0.8, "max_tokens": arguments.tokens}
    return resolve(
        {
            "study": "sampling",
            "tasks": {TASK: {"plugin": "reasoning_gym", "dataset": "gcd", "problems": arguments.problems}},
            "models": {MODEL: {"model": str(arguments.model), "logprobs": not arguments.no_logprobs}},
            "strategies": {STRATEGY: sampling},
        },
        registry(),
    )


def ours(study: Study, block: Block, problems: Path) -> tuple[int, float]:
    """Run the stage; return tokens and the seconds from its first request to the end of its last."""
    with tempfile.TemporaryDirectory() as scratch:
        completions = Path(scratch) / "completions.parquet"
        ledger = Path(scratch) / "ledger.parquet"
        sample_block(
            study, TASK, MODEL, STRATEGY, block,
            problems=problems, model_directories={}, completions=completions, ledger=ledger,
            trees=Path(scratch) / "trees.parquet",
        )  # fmt: skip
        tokens = pl.read_parquet(completions)["generated_tokens"].sum()
        return int(tokens), float(read_metadata(completions)["timing"]["seconds"])


def plain(study: Study, block: Block, problems: Path) -> tuple[int, float]:
    """Give the same prompts to `LLM.generate` in one call; return tokens and its seconds."""
    from vllm import LLM, SamplingParams

    options: Any = study.models[MODEL].options
    sampling: Any = study.strategies[STRATEGY].options
    llm = LLM(**engine_arguments(options, model=str(options.model), seed=0))
    try:
        chats = [[dict(message) for message in problem.messages] for problem in read_problems(problems)]
        template: Any = llm.get_tokenizer().apply_chat_template
        prompts = [
            {"prompt_token_ids": list(template(chat, add_generation_prompt=True, return_dict=False))}
            for chat in chats
        ]
        params = SamplingParams(
            n=block.stop - block.start,
            temperature=sampling.temperature,
            max_tokens=sampling.max_tokens,
            logprobs=0 if options.logprobs else None,
        )
        start = time.perf_counter()
        outputs = llm.generate(prompts, params, use_tqdm=False)
        seconds = time.perf_counter() - start
    finally:
        llm.llm_engine.engine_core.shutdown()
    return sum(len(found.token_ids) for output in outputs for found in output.outputs), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--problems", type=int, default=16)
    parser.add_argument("--completions", type=int, default=16)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--no-logprobs", action="store_true")
    arguments = parser.parse_args()
    study = study_of(arguments)
    block = Block(0, 0, arguments.problems, 0, arguments.completions)
    rates: dict[str, list[float]] = {"itscale": [], "LLM.generate": []}
    with tempfile.TemporaryDirectory() as scratch:
        problems = Path(scratch) / "problems.parquet"
        write_problems(study, TASK, problems)
        for turn in range(arguments.rounds):
            pair = [("itscale", ours), ("LLM.generate", plain)]
            for name, run in pair if turn % 2 == 0 else reversed(pair):
                tokens, seconds = run(study, block, problems)
                rates[name].append(tokens / seconds)
                rate = tokens / seconds
                print(f"{turn}  {name:12}  {tokens:7} tokens  {seconds:6.1f} s  {rate:7.1f}/s", flush=True)
    medians = {name: statistics.median(found) for name, found in rates.items()}
    print(f"itscale / LLM.generate: {medians['itscale'] / medians['LLM.generate']:.3f}")


if __name__ == "__main__":
    main()
