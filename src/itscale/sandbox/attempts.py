"""Attempts to break out of a sandbox, made in it when it is first used: none may succeed."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

from itscale.sandbox import kernel

__all__ = ["escapes"]


def escapes(file: str, port: int) -> list[str]:
    """Return the names of the attempts that succeeded.

    Parameters
    ----------
    file
        A file outside that everybody may read and write.
    port
        A TCP port of this machine that somebody listens on.
    """
    attempts: dict[str, Callable[[], object]] = {
        "reading a file": lambda: Path(file).read_bytes(),
        "writing a file": lambda: Path(file).write_bytes(b"taken"),
        "reading the list of users": lambda: Path("/etc/passwd").read_bytes(),
        "connecting": lambda: socket.create_connection(("127.0.0.1", port), timeout=1),
        "starting a process": _fork,
        "starting a program": lambda: os.execv("/bin/true", ["true"]),
        "a signal to others": lambda: os.kill(-1, 0),
        "becoming root": lambda: os.setuid(0) if os.getuid() else os.setgroups([0]),
        "a user namespace": lambda: kernel.unshare(kernel.CLONE_NEWUSER),
        "mounting": lambda: kernel.mount("tmpfs", "/usr", 0, ""),
    }
    return [name for name, attempt in attempts.items() if _succeeds(attempt)]


def _succeeds(attempt: Callable[[], object]) -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)
