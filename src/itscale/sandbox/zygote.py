"""The warm parent of confined children: it imports, warms up, and forks; it never reads what a model wrote.

Started by `itscale.sandbox.pool` with its control socket as standard input. For each message on it, which
carries the descriptors of one child, a child is forked; its pidfd and, when it has ended, its wait status go
back, and whether it had shut itself in before. If the host is gone, so is everything here.
"""

from __future__ import annotations

import gc
import json
import logging
import mmap
import os
import random
import select
import socket
import struct
import sys
import warnings
from collections.abc import Callable
from importlib import import_module
from typing import Any

from itscale.sandbox import kernel
from itscale.sandbox.confine import CHANNEL, Confinement
from itscale.sandbox.frames import read_frame, write_frame
from itscale.sandbox.settings import Settings

__all__ = ["READY", "STATUS", "main"]

READY = b"r"
SHUT_IN = b"s"
LONGEST_DETAIL = 200
STATUS = struct.Struct(f"!i?{LONGEST_DETAIL + 1}p")
"""Wait status of a child, whether it was shut in, and what kept it from that."""
MOST_DESCRIPTORS = 16


def main(settings: Settings) -> None:
    """Serve until the host closes the control socket."""
    control = socket.socket(fileno=os.dup(0))
    function = _load(settings.target)
    for module in settings.preload:
        import_module(module)
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    for arguments in settings.warm:
        function(*arguments)
    confinement = Confinement(settings)
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    gc.collect()
    gc.freeze()
    control.send(READY)
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, MOST_DESCRIPTORS)
        if not message:
            return
        with mmap.mmap(-1, mmap.PAGESIZE) as note:  # shared with the child, until it is shut in
            pid = confinement.fork()
            if pid == 0:
                _live(confinement, function, descriptors, note)
            for descriptor in descriptors:
                os.close(descriptor)
            if not _watch(pid, control, note):
                return


def _load(target: str) -> Callable[..., Any]:
    module, _, name = target.partition(":")
    function: Callable[..., Any] = getattr(import_module(module), name)
    return function


def _watch(pid: int, control: socket.socket, note: mmap.mmap) -> bool:
    """Tell the host of a child's beginning and end; False if there is no host any more."""
    child = os.pidfd_open(pid)
    try:
        socket.send_fds(control, [READY], [child])
        poll = select.poll()
        poll.register(child, select.POLLIN)
        poll.register(control, select.POLLIN)
        if child not in [descriptor for descriptor, _ in poll.poll()]:
            # The host says nothing while a child lives: it has gone.
            os.kill(pid, 9)
            return False
        status = os.waitpid(pid, 0)[1]
        control.send(STATUS.pack(status, note[:1] == SHUT_IN, note[1 : LONGEST_DETAIL + 1].rstrip(b"\0")))
    except OSError:
        return False
    finally:
        os.close(child)
    return True


def _live(
    confinement: Confinement, function: Callable[..., Any], descriptors: list[int], note: mmap.mmap
) -> None:
    """Be a child: shut in first, then answer calls until the host has no more.

    The note says that it is shut in. It is out of reach before a byte of a call is read: nothing that a model
    wrote can pretend that the machine was at fault.
    """
    code = 1
    try:
        try:
            confinement.enter(descriptors)
        except BaseException as fault:
            note.write(b"\0" + _said(fault).encode(errors="replace")[:LONGEST_DETAIL])
            raise
        note.write(SHUT_IN)
        note.close()
        _serve(function)
        code = 0
    finally:
        os._exit(code)


def _serve(function: Callable[..., Any]) -> None:
    while (request := read_frame(CHANNEL)) is not None:
        random.seed(0)  # what is drawn in a call is the same in every run, whichever calls came before
        write_frame(CHANNEL, _answer(function, request))


def _answer(function: Callable[..., Any], request: bytes) -> bytes:
    try:
        return json.dumps(["done", function(*json.loads(request)), ""]).encode()
    except BaseException as error:
        return json.dumps(["error", None, _said(error)]).encode()


def _said(error: BaseException) -> str:
    name = type(error).__name__
    try:
        said = " ".join(str(error).split())
    except BaseException:
        said = ""
    return f"{name}: {said}"[:LONGEST_DETAIL]


if __name__ == "__main__":
    main(Settings.from_json(sys.argv[1]))
