"""The filter of system calls, run here as the kernel would run it, also for processors that are not here."""

from __future__ import annotations

import errno
import re
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from itscale.sandbox import seccomp, system_calls
from itscale.sandbox.seccomp import ALLOW, ARCHITECTURES, KILL, REFUSE

PID = 4711
EPERM, ENOSYS = REFUSE | errno.EPERM, REFUSE | errno.ENOSYS
ANYTHING = {
    name: numbers
    for table in (system_calls.HARMLESS, system_calls.CHANGES, system_calls.CHECKED)
    for name, numbers in table.items()
}
NEVER = (
    *("fork", "vfork", "execve", "execveat", "clone3", "ptrace", "process_vm_readv", "process_vm_writev"),
    *("socket", "bind", "listen", "connect", "accept", "accept4", "sendmsg", "sendmmsg", "setsockopt"),
    *("unshare", "setns", "mount", "umount2", "open_tree", "move_mount", "fsopen", "mount_setattr", "chroot"),
    *("setxattr", "lsetxattr", "fsetxattr", "removexattr", "setxattrat", "removexattrat", "file_setattr"),
    *("semget", "semop", "semctl", "semtimedop", "msgget", "msgsnd", "msgrcv", "msgctl", "shmget", "shmat"),
    *("shmctl", "inotify_init", "inotify_init1", "inotify_add_watch", "fanotify_init", "listmount", "flock"),
    *(
        "memfd_create",
        "bpf",
        "io_uring_setup",
        "userfaultfd",
        "keyctl",
        "add_key",
        "perf_event_open",
        "seccomp",
    ),
    *("pidfd_open", "pidfd_getfd", "tkill", "rt_sigqueueinfo", "openat2", "name_to_handle_at", "mknodat"),
)


def fate(
    number: int, *arguments: int, machine: str = "x86_64", in_sight: bool = False, kind: int | None = None
) -> int:
    """Run the filter on one call; return the action it ends with."""
    data = struct.pack("<IIQ", number, ARCHITECTURES[machine][1] if kind is None else kind, 0)
    data += struct.pack("<6Q", *(argument % 2**64 for argument in (*arguments, *[0] * (6 - len(arguments)))))
    program = seccomp.filter_for(PID, files_in_sight=in_sight, machine=machine)
    steps = [struct.unpack_from("=HBBI", program, place) for place in range(0, len(program), 8)]
    here, loaded = 0, 0
    while True:
        code, true, false, value = steps[here]
        here += 1
        match code:
            case 0x20:
                (loaded,) = struct.unpack_from("<I", data, value)
            case 0x06:
                return value
            case 0x05:
                here += value
            case 0x15:
                here += true if loaded == value else false
            case 0x35:
                here += true if loaded >= value else false
            case 0x45:
                here += true if loaded & value else false
            case _:
                raise AssertionError(f"no operation of the filter's: {code:#x}")


def number(name: str, machine: str = "x86_64") -> int:
    return ANYTHING[name][ARCHITECTURES[machine][0]]


@pytest.mark.parametrize("in_sight", [False, True])
@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_what_is_not_listed_is_refused(machine: str, in_sight: bool) -> None:
    column = ARCHITECTURES[machine][0]
    listed = {numbers[column] for numbers in system_calls.HARMLESS.values()}
    changes = {numbers[column] for numbers in system_calls.CHANGES.values()}
    some = {numbers[column] for numbers in system_calls.CHECKED.values()}
    odd = {numbers[column] for numbers in system_calls.TOO_NEW.values()}
    without = {numbers[column] for numbers in system_calls.WITHOUT_ATTRIBUTES.values()}
    for call in range(1100):
        said = fate(call, machine=machine, in_sight=in_sight)
        if call in listed or (call in changes and not in_sight):
            assert said == ALLOW, call
        elif call in without:
            assert said == REFUSE | errno.EOPNOTSUPP, call
        elif call in odd or call > system_calls.LAST_KNOWN:
            assert said == ENOSYS, call
        elif call not in some:
            assert said == EPERM, call
    assert fate(0, machine=machine, kind=0x40000003) == KILL  # 32 bits
    assert fate(2**31, machine=machine) in (KILL, ENOSYS)
    assert fate(0x40000000, machine="x86_64") == KILL  # x32


@pytest.mark.parametrize("machine", ARCHITECTURES)
@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("kill", [(PID, 9)], [(0, 9), (-1, 9), (1, 9), (PID + 1, 9)]),
        ("tgkill", [(PID, PID, 9)], [(1, PID, 9)]),
        ("clone", [(0x3D0F00,)], [(17,), (0x10000000,)]),
        ("prlimit64", [(0, 7), (PID, 7)], [(1, 7)]),
        ("clock_gettime", [(0,), (3,), (11,)], [(12,), ((~1 << 3) | 2,)]),
        (
            "socketpair",
            [(1, 1), (1, 0o2000001), (1, 0o2004001)],
            [(1, 2), (1, 5), (1, 0o2000002), (2, 1), (16, 3)],
        ),
        ("sendto", [(3, 99, 1, 0, 0)], [(3, 99, 1, 0, 1), (3, 99, 1, 0, 1 << 32)]),
        ("getsockopt", [(3, 1, 3)], [(3, 1, 17), (3, 1, 77)]),
        (
            "fcntl",
            [(3, 0), (3, 4), (3, 1030)],
            [(3, c) for c in (5, 6, 7, 8, 10, 15, 37, 1024, 1026, 1031, 1033)],
        ),
        (
            "ioctl",
            [(3, 0x5401), (3, 0x5421)],
            [(3, r) for r in (0x5412, 0x8901, 0x8902, 0x40086602, 0x401C5820)],
        ),
        ("prctl", [(15,)], [(o,) for o in (1, 4, 22, 31, 36, 0x59616D61)]),
        ("openat", [(-100, 0, 0o2000000)], []),
    ],
)
def test_some_calls_are_allowed_by_their_arguments(
    machine: str, name: str, allowed: list[tuple[int, ...]], refused: list[tuple[int, ...]]
) -> None:
    for in_sight in (False, True):
        for arguments in allowed:
            assert fate(number(name, machine), *arguments, machine=machine, in_sight=in_sight) == ALLOW
        for arguments in refused:
            assert fate(number(name, machine), *arguments, machine=machine, in_sight=in_sight) == EPERM


@pytest.mark.parametrize("machine", ARCHITECTURES)
def test_files_in_sight_are_opened_for_reading_only(machine: str) -> None:
    for flags in (0o1, 0o2, 0o100, 0o1000, 0o1 | 0o2000, 0o2 | 0o20200000):
        call = number("openat", machine), -100, 0, flags
        assert fate(*call, machine=machine, in_sight=True) == EPERM
        assert fate(*call, machine=machine, in_sight=False) == ALLOW


def headers() -> Iterator[tuple[str, dict[str, int]]]:
    for machine, place in {
        "x86_64": "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
        "aarch64": "/usr/include/asm-generic/unistd.h",
    }.items():
        if Path(place).exists():
            found = re.findall(r"#define __NR(?:3264)?_(\w+) (\d+)", Path(place).read_text())
            yield machine, {name: int(value) for name, value in found}


@pytest.mark.skipif(not list(headers()), reason="takes the kernel's headers")
def test_the_numbers_are_the_kernels() -> None:
    """Listed calls have the numbers that the headers give them; those that never may be are refused."""
    for machine, known in headers():
        column = ARCHITECTURES[machine][0]
        known |= {"newfstatat": known.get("newfstatat", known.get("fstatat", -1))}
        for name, numbers in (ANYTHING | system_calls.TOO_NEW | system_calls.WITHOUT_ATTRIBUTES).items():
            assert numbers[column] in (known.get(name, numbers[column]), system_calls.ABSENT), (machine, name)
        for name in NEVER:
            if name in known:
                assert fate(known[name], machine=machine) in (EPERM, ENOSYS), (machine, name)
