"""Questions and answers of a file, one pair a line, as a third party would write a task."""

from collections.abc import Iterator
from pathlib import Path

from itscale import hookimpl
from itscale.plugins import Options, TaskEntry
from itscale.types import Problem


class TabSeparatedOptions(Options):
    """Options of the task."""

    file: Path
    """Lines of a question, a tab and its answer."""


def lines_of(options: TabSeparatedOptions) -> list[list[str]]:
    return [line.split("\t") for line in options.file.read_text(encoding="utf-8").splitlines()]


def tab_separated(options: TabSeparatedOptions) -> Iterator[Problem]:
    """Yield a problem for each line."""
    for number, (question, answer) in enumerate(lines_of(options), 1):
        chat = ({"role": "user", "content": question},)
        yield Problem(problem_id=str(number), messages=chat, reference=answer)


def check(options: TabSeparatedOptions) -> Iterator[str]:
    """Yield what is wrong with the file."""
    if not options.file.is_file():
        yield f"file: {options.file}: no such file"
        return
    for number, fields in enumerate(lines_of(options), 1):
        if len(fields) != 2:
            yield f"file: line {number}: found {len(fields)} fields, expected a question and its answer"


entry = TaskEntry(
    name="tab_separated",
    factory=tab_separated,
    options=TabSeparatedOptions,
    oracle="exact_match",
    files=lambda options: {"file": options.file},
    size=lambda options: len(lines_of(options)),
    check=check,
    summary="Questions and answers, one pair a line.",
)


@hookimpl
def itscale_register_tasks() -> list[TaskEntry]:
    """Return the task."""
    return [entry]
