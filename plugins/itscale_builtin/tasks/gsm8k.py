"""GSM8K: grade-school word problems, the 1319 of the test split (Cobbe et al. 2021)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from itscale.errors import DataError
from itscale.plugins import Options, TaskEntry
from itscale.types import Problem
from itscale_builtin.tasks.rows import Row, local_file, problem, rows_of

PROMPT = (
    "Given the following problem, reason and give a final answer to the problem.\n"
    "Problem: {question}\n"
    'Your response should end with "The final answer is [answer]" where [answer] is the response to the '
    "problem."
)
"""The prompt of the Llama 3 evaluations on GSM8K (Grattafiori et al. 2024), without worked examples."""


class Gsm8kOptions(Options):
    """Options of GSM8K."""

    file: Path | None = None
    """A local copy of test.jsonl (question, answer); fetched from the hub if left out."""
    prompt: str = PROMPT
    """What is put to the model; `{question}` stands for the problem."""
    revision: str = "main"
    """Branch, tag or commit of openai/gsm8k on the hub."""


def make(options: Gsm8kOptions) -> Iterator[Problem]:
    """Yield the problems in the order of the test split; their ids are row numbers from 0."""
    rows = rows_of(options.file, "openai/gsm8k", "main", options.revision)
    return (problem(row, str(row.number), options.prompt, reference_of(row)) for row in rows)


def reference_of(row: Row) -> str:
    """Return what follows `####` in a worked solution, without thousands separators."""
    solution, marker, final = row.text("answer").rpartition("####")
    reference = final.strip().replace(",", "")
    if not marker or not reference:
        raise DataError(f"{row.where}: answer: found no '#### number' in {solution[-60:] or final[-60:]!r}")
    return reference


entry = TaskEntry(
    name="gsm8k",
    factory=make,
    options=Gsm8kOptions,
    oracle="math",
    files=local_file,
    summary="Grade-school word problems with a number for an answer (1319).",
    reference="Cobbe et al. 2021, Training Verifiers to Solve Math Word Problems, arXiv:2110.14168",
)
