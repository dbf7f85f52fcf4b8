"""One run at a time in a working directory; a run that was killed leaves no lock behind."""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

from itscale.errors import UserError
from itscale.store.snakemake import FOLDER

__all__ = [
    "HELD",
    "DirectoryBusyError",
    "hold",
    "keep_off_import_path",
]

HELD = "ITSCALE_DIRECTORY_HELD"
"""Environment variable naming the directory that a parent process holds for its children."""

_held: dict[Path, int] = {}


class DirectoryBusyError(UserError):
    """Another run works in the directory."""


def hold(directory: Path) -> int:
    """Hold a directory until the process ends, however it ends, and return the lock's descriptor.

    A child that inherits the descriptor holds the directory as long as it lives.

    Raises
    ------
    DirectoryBusyError
        If another process holds it.
    """
    directory = directory.resolve()
    if directory in _held:
        return _held[directory]
    if os.environ.get(HELD) == str(directory):
        return -1
    folder = directory / FOLDER
    folder.mkdir(exist_ok=True)
    descriptor = os.open(folder / "itscale.lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
        os.close(descriptor)
        raise DirectoryBusyError(
            f"{directory}: another run (process {owner or 'unknown'}) works here; wait for it or stop it"
        ) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    _held[directory] = descriptor
    return descriptor


def keep_off_import_path() -> None:
    """Import nothing from the working directory, where a `random.py` may lie; nor let children do so."""
    if not sys.flags.safe_path and sys.path[:1] in ([""], [str(Path.cwd())]):
        del sys.path[0]
    os.environ["PYTHONSAFEPATH"] = "1"
