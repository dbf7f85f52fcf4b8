"""Problems from a file of JSON lines: any data set, by naming its columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from string import Formatter

from pydantic import field_validator

from itscale.plugins import Options, TaskEntry
from itscale.types import Problem
from itscale_builtin.tasks.rows import Row, chat, jsonl_rows, local_file


class JsonlOptions(Options):
    """Options of the jsonl task."""

    file: Path
    """The file, relative to the working directory; one JSON object a line, `.gz` is unpacked."""
    prompt: str = "{prompt}"
    """What is put to the model; `{column}` stands for the row's value of that column."""
    reference: str = "reference"
    """Column of the right answer."""
    id: str | None = None
    """Column of the problem's id; the row's number, from 0, if left out."""
    system: str | None = None
    """System message before the prompt."""
    metadata: tuple[str, ...] = ()
    """Further columns that the verifier needs."""
    material: tuple[str, ...] = ()
    """Further columns that strategies may work with: documents, hints."""

    @field_validator("prompt")
    @classmethod
    def _has_a_column(cls, prompt: str) -> str:
        """Refuse a template that puts the same text to the model for every row."""
        try:
            columns = [column for _, column, _, _ in Formatter().parse(prompt) if column]
        except ValueError as error:
            expected = f"{{column}} for a column, {{{{ and }}}} for braces: {error}"
            raise ValueError(f"found {prompt!r}, expected {expected}") from None
        if not columns:
            raise ValueError(f"found {prompt!r}, expected at least one {{column}}")
        return prompt


def make(options: JsonlOptions) -> Iterator[Problem]:
    """Yield the problems in the order of the file's rows."""
    return (_problem(row, options) for row in jsonl_rows(options.file))


def _problem(row: Row, options: JsonlOptions) -> Problem:
    asked = [column for _, column, _, _ in Formatter().parse(options.prompt) if column]
    row.require(
        [*asked, options.reference, *filter(None, [options.id]), *options.metadata, *options.material]
    )
    return Problem(
        problem_id=str(row.number) if options.id is None else row.text(options.id),
        messages=chat(row.fill(options.prompt), options.system),
        reference=row.text(options.reference),
        metadata={column: row.value(column) for column in options.metadata},
        material={column: row.value(column) for column in options.material},
    )


entry = TaskEntry(
    name="jsonl",
    aliases=("json_lines",),
    factory=make,
    options=JsonlOptions,
    oracle="exact_match",
    files=local_file,
    summary="Problems from a file of JSON lines, columns and prompt by option.",
)
