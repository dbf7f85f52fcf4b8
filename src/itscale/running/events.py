"""Events of a run of Snakemake: what its logger plugin `itscale` writes, and how the file is read.

Some things no event holds as a value: which signal ended a job, which of its files it left out, and, with the
executor for Slurm, of which rule a job is that begins. They are read from the texts that go with the events.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

__all__ = ["Event", "EventFile", "events_of", "read_events", "with_events"]

LOGGER = "itscale"
"""Snakemake's name for our plugin: of its package, what follows `snakemake_logger_plugin_`."""


class Event(BaseModel):
    """One event, or a plain message.

    Attributes
    ----------
    kind
        A `LogEvent` of Snakemake's interface for loggers; empty for a plain message.
    message
        The text of a plain message or of an error; of a job that failed, what its executor says.
    thread
        In which thread of Snakemake it came about: what follows it there belongs to it.
    jobs
        Identifiers of the jobs; the next try of a job keeps them.
    rule, wildcards, output, logs
        Of the job.
    exception
        Name of the class, where there was one.
    done
        How many jobs have ended, the target itself included.
    counts
        Jobs to do by rule, with their `total`.
    external_job
        The job's name where it ran, as Slurm knows it.
    """

    model_config = ConfigDict(frozen=True)

    kind: str = ""
    message: str = ""
    thread: int = 0
    jobs: list[str] = []
    rule: str = ""
    wildcards: dict[str, str] = {}
    output: list[str] = []
    logs: list[str] = []
    exception: str = ""
    done: int = 0
    counts: dict[str, int] = {}
    external_job: str = ""

    def line(self) -> str:
        """Return it as a line of JSON, without what is empty."""
        return self.model_dump_json(exclude_defaults=True)


@dataclass
class EventFile:
    """A file of events that may still grow."""

    path: Path
    _read: int = 0

    def news(self) -> Iterator[Event]:
        """Yield the events since the last call; none where there is no file."""
        try:
            with self.path.open("rb") as file:
                file.seek(self._read)
                text = file.read()
        except OSError:
            return
        whole = text[: text.rfind(b"\n") + 1]  # a line may be half written
        self._read += len(whole)
        for line in whole.splitlines():
            with suppress(ValidationError):  # a full disk cuts lines short
                yield Event.model_validate_json(line)


def read_events(path: Path) -> list[Event]:
    """Return all events of a file; none where there is no file."""
    return list(EventFile(path).news())


def events_of(log: Path) -> Path:
    """Return where the events stand of a call of Snakemake whose output goes to a log."""
    return log.with_suffix(".events.jsonl")


def with_events(arguments: Sequence[str], events: Path) -> list[str]:
    """Return a command line of Snakemake's by which it writes its events, too.

    A logger that is named there already stays: of the option `--logger`, Snakemake heeds the last only.
    """
    found = list(arguments)
    for place, argument in enumerate(found):
        if argument == "--logger":
            found.insert(place + 1, LOGGER)
        elif argument.startswith("--logger="):
            found[place : place + 1] = ["--logger", LOGGER, argument.partition("=")[2]]
    first = found.index("snakemake") + 1
    own = [] if "--logger" in found else ["--logger", LOGGER]
    return [*found[:first], *own, "--logger-itscale-file", str(events), *found[first:]]
