"""Snakemake's private files in a working directory: nothing but this module knows where they are.

No interface of Snakemake's names them; each is right for the versions that `pyproject.toml` allows.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from pathlib import Path

__all__ = ["FOLDER", "is_locked_by_snakemake", "snakemake_record"]

FOLDER = ".snakemake"
"""Where Snakemake keeps what is its own, below the working directory."""

LONGEST = 254
"""Characters of a file's name that hold a path, before its next piece goes into a folder."""


def is_locked_by_snakemake(directory: Path) -> bool:
    """Return whether Snakemake's own locks lie there: if nobody holds the directory, a killed run's."""
    return any((directory / FOLDER / "locks").glob("*.lock"))


def snakemake_record(directory: Path, made: Path) -> Path:
    """Return where Snakemake keeps how it made a file of a directory: code, parameters, inputs."""
    name = urlsafe_b64encode(made.as_posix().encode()).decode()
    pieces = [name[start : start + LONGEST] for start in range(0, len(name), LONGEST)]
    return directory.joinpath(FOLDER, "metadata", *(f"@{piece}" for piece in pieces[:-1]), pieces[-1])
