"""Attempts to break out of a sandbox, made in it when it is first used: none may succeed."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import signal
import socket
from collections.abc import Callable
from functools import partial
from pathlib import Path

from itscale.sandbox import kernel

__all__ = ["READING", "escapes"]

READING = ("reading a file", "reading the list of users")
"""The attempts that the weakest rung does not contain, and says so."""

RECENT = (442, 457, 458, 463, 466, 467, 469, 600)
"""Calls that an older list of what is refused would miss: `mount_setattr`, `statmount`, `listmount`,
`setxattrat`, `removexattrat`, `open_tree_attr`, `file_setattr`, and one that there is not yet."""
F_SETSIG, FIOSETOWN, FS_IOC_SETFLAGS = 10, 0x8901, 0x40086602
CALLS: dict[str, tuple[str, *tuple[int, ...]]] = {
    "attributes of a file": ("setxattr",),
    "flags of a file": ("ioctl", -1, FS_IOC_SETFLAGS),
    "locking a file": ("flock", -1, fcntl.LOCK_SH),
    "watching a folder": ("inotify_init1", -1),
    "a datagram": ("socketpair", socket.AF_UNIX, socket.SOCK_DGRAM),
    "a message to an address": ("sendto", -1, 0, 0, 0, 1),
    "the owner of a descriptor": ("ioctl", -1, FIOSETOWN),
    "the signal of a descriptor": ("fcntl", -1, F_SETSIG, signal.SIGKILL),
    "semaphores": ("semctl", -1),
    "queues": ("msgctl", -1),
    "shared memory": ("shmctl", -1),
}
"""Functions of the C library, with what of their arguments a filter can look at."""


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
        READING[0]: lambda: Path(file).read_bytes(),
        "writing a file": lambda: Path(file).write_bytes(b"taken"),
        READING[1]: lambda: Path("/etc/passwd").read_bytes(),
        "connecting": lambda: socket.create_connection(("127.0.0.1", port), timeout=1),
        "starting a process": _fork,
        "starting a program": lambda: os.execv("/bin/true", ["true"]),
        "a signal to others": lambda: os.kill(-1, 0),
        "becoming root": lambda: os.setuid(0) if os.getuid() else os.setgroups([0]),
        "a user namespace": lambda: kernel.unshare(kernel.CLONE_NEWUSER),
        "mounting": lambda: kernel.mount("tmpfs", "/usr", 0, ""),
        **{name: partial(_reaches, *call) for name, call in CALLS.items()},
        **{f"system call {number}": partial(_reaches, "syscall", number, -1) for number in RECENT},
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


def _reaches(function: str, *arguments: int) -> None:
    """Call a function of the C library with arguments that make it fail, unless it is refused before that."""
    library = ctypes.CDLL(None, use_errno=True)
    values = [ctypes.c_long(argument) for argument in (*arguments, *[0] * (6 - len(arguments)))]
    if getattr(library, function)(*values) == -1 and ctypes.get_errno() in (errno.EPERM, errno.ENOSYS):
        raise PermissionError(function)
