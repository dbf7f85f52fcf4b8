"""Processes that must not outlive the one that started them, even if that one is killed."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterable

__all__ = ["Guard", "children"]

SCRIPT = 'read -r _ || kill -KILL "$@" 2>/dev/null'
"""Waits for a line: the owner is done. End of file instead of a line: the owner is gone."""


class Guard:
    """A shell that kills processes if the owner of this object dies without releasing them.

    Parameters
    ----------
    processes
        Ids of the processes to kill.
    """

    def __init__(self, processes: Iterable[int]) -> None:
        command = ["sh", "-c", SCRIPT, "itscale-guard", *map(str, processes)]
        # In a session of its own, so that a Ctrl-C at the terminal does not take the guard away.
        self._shell = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)

    def release(self) -> None:
        """Let the processes go; they are not killed any more."""
        if self._shell.stdin is not None and not self._shell.stdin.closed:
            with contextlib.suppress(BrokenPipeError), self._shell.stdin as line:
                line.write(b"\n")
        self._shell.wait()


def children() -> set[int]:
    """Return the ids of this process's descendants."""
    import psutil

    return {child.pid for child in psutil.Process(os.getpid()).children(recursive=True)}
