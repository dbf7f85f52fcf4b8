"""Judging hostile text in a process that can be killed.

`Worker` starts this module as a program. The program imports the judging function once, then forks a child
that answers calls, one JSON line each. A child that overruns its limit is ended by the kernel, even inside
one long machine instruction of a library, and a fresh child is forked from the warm parent in milliseconds.

The limit is on processor time, so that a busy machine changes no verdict.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import resource
import signal
import subprocess
import sys
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import IO, Any, Literal

__all__ = ["Reply", "Worker"]

SLACK = 20
"""Wall-clock limit of a call as a multiple of its processor time, for one that waits instead of working."""
LINE = 1 << 16


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a call: its value, or why there is none."""

    status: Literal["done", "timeout", "error"]
    value: Any = None
    detail: str = ""


class Worker:
    """Calls one function in a process of its own.

    Parameters
    ----------
    target
        `package.module:function`; its arguments and its result are JSON values.
    seconds
        Most processor time of one call.
    preload
        Modules the function imports when it is called: imported beforehand, outside the limit.
    memory
        Most address space of the process, in bytes.
    """

    def __init__(
        self, target: str, *, seconds: float, preload: Sequence[str] = (), memory: int = 4 << 30
    ) -> None:
        start = f"from {__name__} import main; main({target!r}, {seconds!r}, {tuple(preload)!r}, {memory!r})"
        self._command = [sys.executable, "-P", "-W", "ignore", "-c", start]
        self._seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None

    def call(self, *arguments: Any) -> Reply:
        """Call the function. Whatever its arguments do to it, a reply comes back."""
        process = self._process or self._start()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(arguments).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except OSError:
            line = b""
        if not line:
            self.close()
            return Reply("error", detail="the judging process ended unexpectedly")
        status, value, detail = json.loads(line)
        if status == "timeout":
            detail = f"more than {self._seconds:g} s of processor time"
        return Reply(status, value, detail)

    def close(self) -> None:
        """End the process; the next call starts another."""
        if self._process is not None:
            _end(self._process)
            self._process = None

    def _start(self) -> subprocess.Popen[bytes]:
        # A fixed hash seed: sets of symbols are then walked in one order, and verdicts are repeatable.
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        weakref.finalize(self, _end, self._process)
        return self._process


def _end(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def main(target: str, seconds: float, preload: Sequence[str], memory: int) -> None:
    """Answer calls until standard input ends; started by `Worker`."""
    replies = os.fdopen(os.dup(1), "wb", buffering=0)
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    module, _, name = target.partition(":")
    function = getattr(import_module(module), name)
    for needed in preload:
        import_module(needed)
    logging.disable(logging.CRITICAL)
    while True:
        child = os.fork()
        if child == 0:
            _limit(memory)
            _serve(function, seconds, replies)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            return
        ended_by = os.WTERMSIG(status)
        if ended_by in (signal.SIGPROF, signal.SIGALRM):
            _reply(replies, "timeout")
        else:
            _reply(
                replies, "error", detail=f"the judging process was ended by {signal.Signals(ended_by).name}"
            )


def _limit(memory: int) -> None:
    """Take from a child what judging never needs: files to write, core dumps, endless memory."""
    for what, most in (
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, memory),
    ):
        with contextlib.suppress(ValueError, OSError):  # macOS has no limit on address space
            resource.setrlimit(what, (most, most))


def _serve(function: Callable[..., Any], seconds: float, replies: IO[bytes]) -> None:
    for line in iter(lambda: _line(0), b""):
        signal.setitimer(signal.ITIMER_PROF, seconds)
        signal.setitimer(signal.ITIMER_REAL, seconds * SLACK)
        try:
            value = function(*json.loads(line))
            reply = ("done", value, "")
        except (Exception, SystemExit) as error:
            reply = ("error", None, f"{type(error).__name__}: {' '.join(str(error).split())[:200]}")
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        _reply(replies, *reply)


def _line(source: int) -> bytes:
    """Read one line without reading ahead: what a child reads, its successor cannot."""
    pieces = []
    while piece := os.read(source, LINE):
        pieces.append(piece)
        if piece.endswith(b"\n"):  # JSON holds no other line break, and calls come one at a time
            break
    return b"".join(pieces)


def _reply(replies: IO[bytes], status: str, value: Any = None, detail: str = "") -> None:
    replies.write(json.dumps([status, value, detail]).encode() + b"\n")
