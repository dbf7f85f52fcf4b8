"""System calls that Python 3.11 has no names for: namespaces, mounts, capabilities, `prctl`.

Only what stands here talks to the C library; all of it raises OSError where the kernel refuses.
"""

from __future__ import annotations

import ctypes
import os
import threading
from functools import cache

__all__ = [
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWUSER",
    "MS_NODEV",
    "MS_NOEXEC",
    "MS_NOSUID",
    "PR_SET_DUMPABLE",
    "PR_SET_NO_NEW_PRIVS",
    "PR_SET_PDEATHSIG",
    "close_from",
    "drop_capabilities",
    "fork",
    "mount",
    "prctl",
    "setns",
    "syscall",
    "unshare",
]

CLONE_NEWNS = 0x00020000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
MS_NOSUID, MS_NODEV, MS_NOEXEC = 2, 4, 8
PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38

CAPABILITY_VERSION = 0x20080522
# Made here, and not by each child: making the type of an array writes to much of the interpreter's memory.
THIS_PROCESS = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
NO_CAPABILITIES = (ctypes.c_uint32 * 6)()
LAST_DESCRIPTOR = 0xFFFFFFFF


@cache
def _libc_in_one_thread() -> ctypes.PyDLL:
    """Return the C library, called without letting other threads run."""
    return ctypes.PyDLL(None, use_errno=True)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def syscall(number: int, *arguments: object) -> int:
    """Call the kernel by number; integers are passed as C longs."""
    values = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    function = _libc().syscall
    function.restype = ctypes.c_long
    return _checked(function(ctypes.c_long(number), *values), f"system call {number}")


def prctl(option: int, *arguments: object) -> None:
    """Change what the kernel grants this process."""
    values = [ctypes.c_ulong(value) if isinstance(value, int) else value for value in arguments]
    values += [ctypes.c_ulong(0)] * (4 - len(values))
    _checked(_libc().prctl(ctypes.c_int(option), *values), f"prctl {option}")


def fork() -> int:
    """Fork, where there is one thread without what Python does around it: it would copy 200 pages more."""
    if threading.active_count() > 1:
        return os.fork()
    return _checked(_libc_in_one_thread().fork(), "fork")


def unshare(flags: int) -> None:
    """Leave the namespaces that `flags` name for new ones."""
    _checked(_libc().unshare(ctypes.c_int(flags)), "unshare")


def setns(descriptor: int, flags: int) -> None:
    """Enter a namespace of the process that a pidfd stands for (Linux 5.8)."""
    _checked(_libc().setns(ctypes.c_int(descriptor), ctypes.c_int(flags)), "setns")


def mount(kind: str, target: str, flags: int, options: str) -> None:
    """Mount a file system that has no device."""
    name = kind.encode()
    _checked(
        _libc().mount(name, target.encode(), name, ctypes.c_ulong(flags), options.encode()),
        f"mount {target}",
    )


def close_from(first: int) -> None:
    """Close every descriptor from `first` on."""
    try:
        function = _libc().close_range
    except AttributeError:  # a C library older than 2.34
        os.closerange(first, os.sysconf("SC_OPEN_MAX"))
        return
    _checked(function(ctypes.c_uint(first), ctypes.c_uint(LAST_DESCRIPTOR), ctypes.c_int(0)), "close_range")


def drop_capabilities() -> None:
    """Give up every capability of this process, for good once it may gain no new privileges."""
    _checked(_libc().capset(THIS_PROCESS, NO_CAPABILITIES), "capset")
