"""MATH500: 500 competition problems of the MATH test split (Hendrycks et al. 2021; Lightman et al. 2023)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from itscale.plugins import Options, TaskEntry
from itscale.types import Problem
from itscale_builtin.tasks.rows import local_file, problem, rows_of

PROMPT = "{problem}\n\nPlease reason step by step, and put your final answer within \\boxed{{}}."
"""The chain-of-thought instruction of Qwen2.5-Math (Yang et al. 2024), put after the problem."""


class Math500Options(Options):
    """Options of MATH500."""

    file: Path | None = None
    """A local copy of test.jsonl (problem, answer, subject, level, unique_id); from the hub if left out."""
    prompt: str = PROMPT
    """What is put to the model; `{problem}` stands for the problem, `{{` and `}}` for braces."""
    revision: str = "main"
    """Branch, tag or commit of HuggingFaceH4/MATH-500 on the hub."""


def make(options: Math500Options) -> Iterator[Problem]:
    """Yield the problems in the order of the file; their ids are its `unique_id`."""
    rows = rows_of(options.file, "HuggingFaceH4/MATH-500", None, options.revision)
    return (
        problem(
            row,
            row.text("unique_id"),
            options.prompt,
            row.text("answer"),
            subject=row.value("subject"),
            level=row.value("level"),
        )
        for row in rows
    )


entry = TaskEntry(
    name="math500",
    aliases=("math_500",),
    factory=make,
    options=Math500Options,
    oracle="math",
    files=local_file,
    summary="Competition mathematics with an expression for an answer (500).",
    reference="Lightman et al. 2023, Let's Verify Step by Step, arXiv:2305.20050",
)
