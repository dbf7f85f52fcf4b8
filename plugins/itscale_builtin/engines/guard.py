"""Processes of an engine: they do not run the script that starts them, and do not outlive it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator

__all__ = ["Guard", "children", "script_hidden"]

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


@contextlib.contextmanager
def script_hidden() -> Iterator[None]:
    """Keep processes that are spawned meanwhile from running this process's script.

    `multiprocessing` imports the script of a parent in every process it spawns. A script without the usual
    guard, such as every script of a workflow, would start the engine again there, and again.
    """
    main = vars(sys.modules["__main__"])
    hidden: dict[str, object] = {name: main.pop(name) for name in ("__file__", "__spec__") if name in main}
    main["__spec__"] = None
    try:
        yield
    finally:
        main.update(hidden)
