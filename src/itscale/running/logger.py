"""Snakemake's logger plugin `itscale`: every event of a run as a line of JSON, beside Snakemake's own log.

Snakemake loads it with every call, whether or not it is asked for: it imports nothing heavy. In processes of
jobs Snakemake starts no plugins: what those say of themselves stands in their logs.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from logging import LogRecord
from pathlib import Path
from typing import Any, TextIO

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase

from itscale.running.events import Event

__all__ = ["LogHandler", "LogHandlerSettings", "event_of"]


@dataclass
class LogHandlerSettings(LogHandlerSettingsBase):
    """Options of the plugin; on the command line, `--logger-itscale-file`."""

    file: Path | None = field(
        default=None,
        metadata={
            "help": "File that events are written to, as lines of JSON",
            "type": Path,
            "required": True,
        },
    )


class LogHandler(LogHandlerBase):
    """Writes events to a file, each as soon as it is there."""

    writes_to_stream = False
    writes_to_file = False  # or Snakemake would name the file beside its own log, for people to read
    has_filter = True  # --quiet hides nothing from it
    has_formatter = True
    needs_rulegraph = False

    def __post_init__(self) -> None:
        """Begin the file anew."""
        self.file: TextIO | None = None
        if isinstance(self.settings, LogHandlerSettings) and self.settings.file is not None:
            self.settings.file.parent.mkdir(parents=True, exist_ok=True)
            self.file = self.settings.file.open("w", encoding="utf-8")

    def emit(self, record: LogRecord) -> None:
        """Write an event."""
        if self.file is not None:
            with suppress(OSError):  # a full disk ends jobs, and they say so
                self.file.write(f"{event_of(record).line()}\n")
                self.file.flush()

    def close(self) -> None:
        """Close the file."""
        if self.file is not None:
            with suppress(OSError):
                self.file.close()
        super().close()


def event_of(record: LogRecord) -> Event:
    """Return what a record of Snakemake's says, in the same words whatever kind of event it is."""
    told: dict[str, Any] = vars(record)
    kind = str(told.get("event") or "")
    message = ""  # that of most events is made of what stands in the event, for people
    if not kind or kind == LogEvent.ERROR:
        message = record.getMessage()
    elif kind == LogEvent.JOB_ERROR:
        message = str(told.get("rule_msg") or "")  # of the executor
    jobs = told.get("jobs") if kind == LogEvent.JOB_STARTED else [told.get("jobid", told.get("job_id"))]
    return Event(
        kind=kind,
        message=message,
        thread=record.thread or 0,
        jobs=[str(job) for job in jobs or () if job is not None],
        rule=str(told.get("rule_name") or ""),
        wildcards={str(name): str(value) for name, value in dict(told.get("wildcards") or {}).items()},
        output=[str(path) for path in told.get("output") or ()],
        logs=[str(path) for path in told.get("log") or ()],
        exception=str(told.get("exception") or ""),
        done=int(told.get("done") or 0),
        counts={str(rule): int(count) for rule, count in (told.get("stats") or {}).items()},
        external_job=str((told.get("aux") or {}).get("external_jobid") or ""),
    )
