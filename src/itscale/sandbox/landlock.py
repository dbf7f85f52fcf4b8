"""Landlock: a process gives up every file but those named, and every TCP port (Linux 5.13, 6.7)."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from itscale.sandbox.kernel import syscall

__all__ = ["Ruleset", "version"]

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
"""Numbers of the system calls, the same on every machine."""
VERSION, PATH_BENEATH = 1, 1
EXECUTE, READ_FILE, READ_DIRECTORY = 1 << 0, 1 << 2, 1 << 3
FILE_RIGHTS_BY_VERSION = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights on files each version of the interface knows."""
TCP_RIGHTS = 0b11
SCOPES = 0b11
"""Abstract sockets of, and signals to, processes outside."""


def version() -> int:
    """Return the version of the interface that the kernel offers, 0 if none."""
    try:
        return syscall(CREATE_RULESET, 0, 0, VERSION)
    except OSError:
        return 0


class Ruleset:
    """What stays allowed: reading (and mapping) the files below some paths.

    Raises
    ------
    OSError
        If the kernel has no Landlock.
    """

    def __init__(self, readable: Iterable[Path]) -> None:
        offered = version()
        known = max(
            (rights for since, rights in FILE_RIGHTS_BY_VERSION.items() if since <= offered), default=0
        )
        handled = [(1 << known) - 1]
        handled += [TCP_RIGHTS] if offered >= 4 else []
        handled += [SCOPES] if offered >= 6 else []
        attributes = struct.pack(f"={len(handled)}Q", *handled)
        self._descriptor = syscall(CREATE_RULESET, _buffer(attributes), len(attributes), 0)
        for path in readable:
            self._allow(path)

    def _allow(self, path: Path) -> None:
        rights = READ_FILE | EXECUTE | (READ_DIRECTORY if path.is_dir() else 0)
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rule = struct.pack("=Qi", rights, parent)
            syscall(ADD_RULE, self._descriptor, PATH_BENEATH, _buffer(rule), 0)
        finally:
            os.close(parent)

    def enter(self) -> None:
        """Give up the rest, for good; the process must have given up new privileges before."""
        syscall(RESTRICT_SELF, self._descriptor, 0)


def _buffer(content: bytes) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(content, len(content))
