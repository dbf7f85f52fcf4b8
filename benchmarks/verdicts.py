"""Verdicts of the math oracle beside math-verify: seconds for the same completions, errors on known pairs.

    python benchmarks/verdicts.py [--problems 100] [--completions 100] [--peer-completions 2000]

Completions are made from the references of MATH500 (`../shared/data`, or `--references FILE`): for each
problem a share of right ones, in several wordings, and wrong ones that come again and again, as those of a
model do. The peer is called once per completion, as its documentation shows; with `--peer-completions`, on
some of them only, and its time is scaled. Ours finds, judges and classifies distinct answers as studies do.
Seconds are those of the clock, after warming up. The pairs are those of tests/plugins/data/verdicts.tsv.

`sandbox` counts the answers that had to be evaluated by sympy.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from itscale.types import Problem
from itscale_builtin.verifiers.math import Math, MathOptions

ROOT = Path(__file__).resolve().parent.parent
REFERENCES = ROOT.parent / "shared" / "data" / "tasks" / "math500" / "test.jsonl"
PAIRS = ROOT / "tests" / "plugins" / "data" / "verdicts.tsv"
WORDINGS = (
    "We add up and get\n\\[\n\\boxed{{{}}}\n\\]",
    "Therefore, the final answer is $\\boxed{{{}}}$.",
    "So the result is $\\boxed{{{}}}$. I hope it is correct.",
    "The answer is ${}$.",
)


def problem(number: int, reference: str) -> Problem:
    """Return a problem with a reference."""
    return Problem(problem_id=str(number), messages=({"role": "user", "content": "?"},), reference=reference)


def completions(references: Sequence[str], each: int, seed: int = 0) -> list[tuple[Problem, list[str]]]:
    """Return problems with the texts of their completions: wrong answers repeat like harmonic numbers."""
    rng = random.Random(seed)
    made = []
    for number, reference in enumerate(references):
        ease = rng.betavariate(0.6, 0.9)
        wrong = rng.sample(list(references), k=12)
        weights = [1 / place for place in range(1, 13)]
        texts = [
            rng.choice(WORDINGS).format(reference if rng.random() < ease else rng.choices(wrong, weights)[0])
            for _ in range(each)
        ]
        made.append((problem(number, reference), texts))
    return made


def ours(oracle: Math, asked: Problem, texts: Sequence[str]) -> list[bool]:
    """Judge the completions of a problem as a study does: each distinct answer once, and classes of them."""
    found = [oracle.answer(asked, text) for text in texts]
    distinct = list(dict.fromkeys(answer for answer in found if answer is not None))
    verdicts = dict(zip(distinct, oracle.judge(asked, distinct), strict=True))
    oracle.classes(distinct)
    return [answer is not None and bool(verdicts[answer].correct) for answer in found]


def peer(reference: str, text: str) -> bool:
    """Judge one completion with math-verify."""
    from math_verify import parse, verify

    delimited = reference if "$" in reference else f"${reference}$"
    return bool(verify(parse(delimited), parse(text)))


def timed(work: Callable[[], list[bool]]) -> tuple[float, list[bool]]:
    """Return seconds and results."""
    begin = time.perf_counter()
    results = work()
    return time.perf_counter() - begin, results


def speed(args: argparse.Namespace) -> None:
    """Print seconds of both sides on the same completions."""
    references = [json.loads(line)["answer"] for line in args.references.read_text("utf-8").splitlines()]
    made = completions(references[: args.problems], args.completions)
    oracle = Math(MathOptions())
    ours(oracle, problem(0, "1/2"), [r"\boxed{\int_0^1 x dx}"])
    peer("1/2", r"\boxed{0.5}")
    seconds, results = timed(lambda: [said for asked, texts in made for said in ours(oracle, asked, texts)])
    flat = [(asked.reference, text) for asked, texts in made for text in texts]
    some = flat[:: max(1, len(flat) // (args.peer_completions or len(flat)))]
    peer_seconds, peer_results = timed(lambda: [peer(*pair) for pair in some])
    peer_seconds *= len(flat) / len(some)
    print(f"{len(flat)} completions of {len(made)} problems, {len(set(flat))} distinct texts")
    share, peer_share = (100 * sum(said) / len(said) for said in (results, peer_results))
    evaluated = len(oracle._evaluated) - 1
    print(f"ours         {seconds:8.2f} s   {share:5.1f} % right   sandbox {evaluated}")
    sample = "" if len(some) == len(flat) else f", from {len(some)} of them"
    ratio = peer_seconds / seconds
    print(f"math-verify  {peer_seconds:8.2f} s   {peer_share:5.1f} % right   {ratio:.0f} times ours{sample}")


def errors() -> None:
    """Print false positives and false negatives of both sides on the pairs whose value is known."""
    oracle = Math(MathOptions())
    lines = [line.split("\t") for line in PAIRS.read_text("utf-8").splitlines() if line[:1] not in {"", "#"}]
    pairs = [
        (right == "+", reference.replace("¶", "\n"), text.replace("¶", "\n"))
        for _, right, reference, text in lines
    ]
    sides = {
        "ours": lambda reference, text: ours(oracle, problem(0, reference), [text])[0],
        "math-verify": peer,
    }
    right = sum(value for value, *_ in pairs)
    print(f"\n{len(pairs)} pairs, {right} right and {len(pairs) - right} wrong")
    for name, judge in sides.items():
        said = [(value, judge(reference, text)) for value, reference, text in pairs]
        negatives = sum(value and not found for value, found in said)
        positives = sum(found and not value for value, found in said)
        print(f"{name:12} {negatives:4} false negatives   {positives:4} false positives")


def main() -> None:
    """Read the command line and print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=100)
    parser.add_argument("--completions", type=int, default=100)
    parser.add_argument("--peer-completions", type=int, default=0, help="0 for all")
    parser.add_argument("--references", type=Path, default=REFERENCES)
    args = parser.parse_args()
    speed(args)
    errors()


if __name__ == "__main__":
    main()
