"""The system calls of a confined process, as a seccomp filter that allows what judging needs and no more.

What is not listed in `itscale.sandbox.system_calls` is refused, and so is a call that a later kernel adds. Of
calls that do many things (`ioctl`, `fcntl`, `prctl`, sockets) a few are allowed by their arguments.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from itscale.sandbox.kernel import prctl
from itscale.sandbox.system_calls import (
    ABSENT,
    CHANGES,
    CHECKED,
    HARMLESS,
    LAST_KNOWN,
    TOO_NEW,
    WITHOUT_ATTRIBUTES,
)

__all__ = ["SUPPORTED", "Filter", "filter_for"]

# Operations of classic BPF, and offsets in `struct seccomp_data`.
LOAD, JUMP, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x05, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
FARTHEST = 255
"""Most instructions that a comparison can skip."""
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
PR_SET_SECCOMP, MODE_FILTER = 22, 2

SOME_PROCESS = 0x7EADBEEF
"""Stands for the process until it is there: larger than any process's number."""
X32 = 0x40000000

CLONE_THREAD = 0x00010000
WRITING = 0o1 | 0o2 | 0o100 | 0o1000
"""Flags of opening: for writing, for reading and writing, to create, to empty."""
CLOCKS = tuple(range(12))
"""The clocks of the machine and of the caller; the others are those of processes, by number."""
AF_UNIX = 1
SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC = 1, 0o4000, 0o2000000
STREAMS = tuple(SOCK_STREAM | flag | more for flag in (0, SOCK_NONBLOCK) for more in (0, SOCK_CLOEXEC))
"""A stream between two ends has no other addressee; a datagram could name one."""
SOCKET_OPTIONS = (3, 4, 38, 39)
"""Type, error, protocol and domain; others give hold of the process at the other end."""
COMMANDS = (0, 1, 2, 3, 4, 1030)
"""Of `fcntl`: duplicates and flags; no locks, leases, notices, owners or signals."""
REQUESTS = (0x5401, 0x802C542A, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)
"""Of `ioctl`: is it a terminal (asked in two ways), how wide; bytes waiting; blocking; inheritance."""
PR_SET_NAME, PR_GET_NAME, PR_SET_VMA = 15, 16, 0x53564D41

ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""By name of a machine: its column in the tables of calls and the kernel's constant for it."""


@dataclass(frozen=True)
class _Check:
    """What a half of an argument must be: one of `values`, or without a `bit`, or with it."""

    argument: int
    values: tuple[int, ...] = ()
    without: int = 0
    having: int = 0
    high: bool = False


CHECKS: dict[str, tuple[_Check, ...]] = {
    "open": (),
    "openat": (),
    "clone": (_Check(0, having=CLONE_THREAD),),
    "kill": (_Check(0, (SOME_PROCESS,)),),
    "tgkill": (_Check(0, (SOME_PROCESS,)),),
    "prlimit64": (_Check(0, (0, SOME_PROCESS)),),
    "sched_getaffinity": (_Check(0, (0, SOME_PROCESS)),),
    "getpgid": (_Check(0, (0, SOME_PROCESS)),),
    "getsid": (_Check(0, (0, SOME_PROCESS)),),
    "clock_gettime": (_Check(0, CLOCKS),),
    "clock_getres": (_Check(0, CLOCKS),),
    "clock_nanosleep": (_Check(0, CLOCKS),),
    "socketpair": (_Check(0, (AF_UNIX,)), _Check(1, STREAMS)),
    "sendto": (_Check(4, (0,)), _Check(4, (0,), high=True)),  # no address
    "getsockopt": (_Check(2, SOCKET_OPTIONS),),
    "fcntl": (_Check(1, COMMANDS),),
    "ioctl": (_Check(1, REQUESTS),),
    "prctl": (_Check(0, (PR_SET_NAME, PR_GET_NAME, PR_SET_VMA)),),
}
IN_SIGHT: dict[str, tuple[_Check, ...]] = {
    "open": (_Check(1, without=WRITING),),
    "openat": (_Check(2, without=WRITING),),
}
"""What replaces them where files of others are in sight."""


def _machine() -> str:
    return os.uname().machine if hasattr(os, "uname") else ""


SUPPORTED = _machine() in ARCHITECTURES
"""Whether the numbers of this machine's system calls are known here."""

Instruction = tuple[int, int, int, int]
Program = tuple[Instruction, ...]


class Filter:
    """A filter as the kernel takes it: made once, where its process is known beforehand.

    Parameters
    ----------
    program
        What `filter_for` made.
    """

    def __init__(self, program: bytes) -> None:
        self._code = ctypes.create_string_buffer(program, len(program))
        header = struct.pack("@HP", len(program) // 8, ctypes.addressof(self._code))
        self._header = ctypes.create_string_buffer(header, len(header))

    def install(self) -> None:
        """Refuse the other system calls from now on, in this process and in every thread it starts.

        Raises
        ------
        OSError
            If the kernel takes no filter, or the process may still gain privileges.
        """
        prctl(PR_SET_SECCOMP, MODE_FILTER, self._header)


def filter_for(pid: int, *, files_in_sight: bool, machine: str | None = None) -> bytes:
    """Return the filter of a process, which may send signals to itself.

    Parameters
    ----------
    files_in_sight
        Whether the process sees files of others, which it must not change.
    machine
        For which machine, as `os.uname` names it; this one if left out.
    """
    template = _template(files_in_sight, machine or _machine())
    return template.replace(struct.pack("=I", SOME_PROCESS), struct.pack("=I", pid))


@cache
def _template(files_in_sight: bool, machine: str) -> bytes:
    column, architecture = ARCHITECTURES[machine]
    start = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
    ]
    program = (*start, *_search(list(_ranges(_fates(column, files_in_sight)))))
    return b"".join(struct.pack("=HBBI", *instruction) for instruction in program)


def _fates(column: int, files_in_sight: bool) -> dict[int, Program]:
    """Return what is done with each call that is not refused as not permitted, by its number."""
    checks = CHECKS | IN_SIGHT if files_in_sight else CHECKS
    fates = [
        *((numbers, _ending(ALLOW)) for numbers in HARMLESS.values()),
        *((numbers, _ending(ALLOW)) for numbers in CHANGES.values() if not files_in_sight),
        *((numbers, _checked(checks[name])) for name, numbers in CHECKED.items()),
        *((numbers, _ending(REFUSE | errno.ENOSYS)) for numbers in TOO_NEW.values()),
        *((numbers, _ending(REFUSE | errno.EOPNOTSUPP)) for numbers in WITHOUT_ATTRIBUTES.values()),
    ]
    return {numbers[column]: fate for numbers, fate in fates if numbers[column] != ABSENT}


def _ending(action: int) -> Program:
    return ((RETURN, 0, 0, action),)


def _checked(checks: tuple[_Check, ...]) -> Program:
    """Return the program that allows a call whose arguments pass all checks."""
    program: list[Instruction] = []
    for check in checks:
        program.append((LOAD, 0, 0, FIRST_ARGUMENT + 8 * check.argument + 4 * check.high))
        for place, value in enumerate(check.values):
            program.append((EQUAL, len(check.values) - place, 0, value))
        if check.without:
            program.append((ANY_BIT, 0, 1, check.without))
        if check.having:
            program.append((ANY_BIT, 1, 0, check.having))
        program += _ending(REFUSE | errno.EPERM)
    return (*program, *_ending(ALLOW))


def _ranges(fates: dict[int, Program]) -> Iterator[tuple[int, Program]]:
    """Yield the ranges of numbers that share a fate: where each begins, and its fate."""
    refused = _ending(REFUSE | errno.EPERM)
    last: Program = ()
    for number in range(LAST_KNOWN + 1):
        fate = fates.get(number, refused)
        if fate != last:
            yield number, fate
        last = fate
    yield LAST_KNOWN + 1, _ending(REFUSE | errno.ENOSYS)
    yield X32, _ending(KILL)  # calls of x32 have numbers of their own


def _search(ranges: list[tuple[int, Program]]) -> Program:
    """Return the program that finds a number's fate by halving: the kernel runs it once for every number."""
    if len(ranges) == 1:
        return ranges[0][1]
    middle = len(ranges) // 2
    below, above = _search(ranges[:middle]), _search(ranges[middle:])
    first = ranges[middle][0]
    if len(below) <= FARTHEST:
        return ((AT_LEAST, len(below), 0, first), *below, *above)
    return ((AT_LEAST, 0, 1, first), (JUMP, 0, 0, len(below)), *below, *above)
