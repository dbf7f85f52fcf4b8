"""The journal of a block: what is finished before the block is, kept so that a killed job redoes nothing."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from itscale.secrets import masked_words
from itscale.session import Unit
from itscale.types import Completion

__all__ = ["Journal"]

Entry = tuple[list[Completion], list[dict[str, Any]]]
"""Completions of a unit and its rows of the ledger."""


class Journal:
    """An append-only file, one line per finished unit, synced line by line.

    A first line says what the units belong to; a journal of anything else is started anew. A line torn by a
    kill, and all after it, is dropped.

    Parameters
    ----------
    path
        Where the journal is; it is not an output of the workflow, so nobody deletes it between two tries.
    identity
        JSON value: fingerprint and inputs of the block.
    """

    def __init__(self, path: Path, identity: Any) -> None:
        self.path = path
        self.finished: dict[Unit, Entry] = {}
        self._header = json.dumps({"block": identity}, sort_keys=True).encode() + b"\n"
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = self._read()
        self._file = path.open("r+b" if whole else "wb")
        self._file.truncate(whole)
        self._file.seek(whole)
        if not whole:
            self._append(self._header)

    def _read(self) -> int:
        """Take over the whole lines of a journal of this block; return their length in bytes."""
        if not self.path.exists():
            return 0
        lines = self.path.read_bytes().splitlines(keepends=True)
        if not lines or lines[0] != self._header:
            return 0
        length = len(lines[0])
        for line in lines[1:]:
            try:
                record = json.loads(line)
                unit = Unit(**record["unit"])
                entry = [Completion(**row) for row in record["completions"]], record["ledger"]
            except (ValueError, TypeError, KeyError):
                break
            if not line.endswith(b"\n"):
                break
            self.finished[unit] = entry
            length += len(line)
        return length

    def add(self, unit: Unit, completions: list[Completion], ledger: list[dict[str, Any]]) -> None:
        """Record a finished unit; it is on disk when this returns."""
        record = {"unit": asdict(unit), "completions": [asdict(row) for row in completions], "ledger": ledger}
        self._append(masked_words(json.dumps(record)).encode() + b"\n")
        self.finished[unit] = (completions, ledger)

    def _append(self, line: bytes) -> None:
        self._file.write(line)
        self._file.flush()
        os.fsync(self._file.fileno())

    def delete(self) -> None:
        """Remove the journal: its block is written."""
        self._file.close()
        self.path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()
