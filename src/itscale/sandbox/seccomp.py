"""The system calls that a confined process may not make, as a seccomp filter.

The filter names what is refused: starting programs and processes, sockets, signals to others, tracing,
namespaces and mounts, shared memory that outlives a call, and the kernel's large interfaces that judging
never needs. Numbers are those of the kernel's tables `syscall_64.tbl` and `asm-generic/unistd.h`.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Sequence
from functools import cache

from itscale.sandbox.kernel import prctl

__all__ = ["SUPPORTED", "filter_for", "install"]

# Operations of classic BPF, and offsets in `struct seccomp_data`.
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
PR_SET_SECCOMP, MODE_FILTER = 22, 2

SOME_PROCESS = 0x7EADBEEF
"""Stands for the process until it is there: larger than any process's number."""
X32 = 0x40000000
CLONE_THREAD = 0x00010000
AF_UNIX = 1
F_SETOWN, F_SETOWN_EX = 8, 15
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_PTRACER = 1, 4, 0x59616D61

ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
"""By name of a machine: its column in `REFUSED` and the kernel's constant for it."""

ABSENT = -1
REFUSED: dict[str, tuple[int, int]] = {
    # programs and processes
    "fork": (57, ABSENT),
    "vfork": (58, ABSENT),
    "execve": (59, 221),
    "execveat": (322, 281),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "kcmp": (312, 272),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434),
    "pidfd_send_signal": (424, 424),
    "pidfd_getfd": (438, 438),
    "setpriority": (141, 140),
    "sched_setaffinity": (203, 122),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "sched_setattr": (314, 274),
    "ioprio_set": (251, 30),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # network
    "socket": (41, 198),
    "bind": (49, 200),
    "listen": (50, 201),
    "connect": (42, 203),
    # namespaces, mounts, file handles
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # memory that outlives or escapes a limit
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "semget": (64, 190),
    "semop": (65, 193),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    # large interfaces of the kernel
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "fanotify_init": (300, 262),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "personality": (135, 92),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "syslog": (103, 116),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "vhangup": (153, 58),
    "iopl": (172, ABSENT),
    "ioperm": (173, ABSENT),
    "modify_ldt": (154, ABSENT),
}
"""Refused with EPERM whatever the arguments: numbers on x86_64 and on aarch64."""

CHANGES: dict[str, tuple[int, int]] = {
    "chmod": (90, ABSENT),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, ABSENT),
    "lchown": (94, ABSENT),
    "fchown": (93, 55),
    "fchownat": (260, 54),
    "utime": (132, ABSENT),
    "utimes": (235, ABSENT),
    "futimesat": (261, ABSENT),
    "utimensat": (280, 88),
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "unlink": (87, ABSENT),
    "unlinkat": (263, 35),
    "rename": (82, ABSENT),
    "renameat": (264, 38),
    "renameat2": (316, 276),
    "link": (86, ABSENT),
    "linkat": (265, 37),
    "symlink": (88, ABSENT),
    "symlinkat": (266, 36),
    "mkdir": (83, ABSENT),
    "mkdirat": (258, 34),
    "rmdir": (84, ABSENT),
    "mknod": (133, ABSENT),
    "mknodat": (259, 33),
    "truncate": (76, 45),
    "creat": (85, ABSENT),
    "openat2": (437, 437),
}
"""Refused besides where the user's files are in sight; what changes modes and times Landlock lets pass."""

CLONE = (56, 220)
CLONE3 = (435, 435)
KILL_CALL = (62, 129)
TGKILL = (234, 131)
PRLIMIT = (302, 261)
FCNTL = (72, 25)
IOCTL = (16, 29)
OPEN = (2, ABSENT)
OPENAT = (257, 56)
WRITING = 0o1 | 0o2 | 0o100 | 0o1000
"""Flags of opening: for writing, for reading and writing, to create, to empty."""
PRCTL = (157, 167)
SOCKETPAIR = (53, 199)


def _machine() -> str:
    return os.uname().machine if hasattr(os, "uname") else ""


SUPPORTED = _machine() in ARCHITECTURES
"""Whether the numbers of this machine's system calls are known here."""

Instruction = tuple[int, int, int, int]


def install(program: bytes) -> None:
    """Refuse the system calls from now on, in this process and in every thread it starts.

    Parameters
    ----------
    program
        What `filter_for` made for this process.

    Raises
    ------
    OSError
        If the kernel takes no filter, or the process may still gain privileges.
    """
    code = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(code))
    prctl(PR_SET_SECCOMP, MODE_FILTER, ctypes.create_string_buffer(header, len(header)))


@cache
def _template(files_in_sight: bool) -> bytes:
    return b"".join(struct.pack("=HBBI", *one) for one in _program(SOME_PROCESS, files_in_sight))


def filter_for(pid: int, *, files_in_sight: bool) -> bytes:
    """Return the filter of a process, which may send signals to itself.

    Parameters
    ----------
    files_in_sight
        Whether the process sees files of others, which it must not change.
    """
    return _template(files_in_sight).replace(struct.pack("=I", SOME_PROCESS), struct.pack("=I", pid))


def _program(pid: int, files_in_sight: bool) -> list[Instruction]:
    column, architecture = ARCHITECTURES[_machine()]
    program: list[Instruction] = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 1, 0, architecture),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
    ]
    if column == 0:  # the x32 calls have numbers of their own
        program += [(AT_LEAST, 0, 1, X32), (RETURN, 0, 0, KILL)]
    refused = REFUSED | CHANGES if files_in_sight else REFUSED
    for numbers in refused.values():
        if numbers[column] != ABSENT:
            program += [(EQUAL, 0, 1, numbers[column]), (RETURN, 0, 0, REFUSE | errno.EPERM)]
    # The C library starts threads by `clone` where there is no `clone3`, whose flags no filter can read.
    program += [(EQUAL, 0, 1, CLONE3[column]), (RETURN, 0, 0, REFUSE | errno.ENOSYS)]
    program += _argument(CLONE[column], 0, ANY_BIT, [CLONE_THREAD], keep=True)
    program += _argument(KILL_CALL[column], 0, EQUAL, [pid], keep=True)
    program += _argument(TGKILL[column], 0, EQUAL, [pid], keep=True)
    program += _argument(PRLIMIT[column], 0, EQUAL, [0, pid], keep=True)
    program += _argument(SOCKETPAIR[column], 0, EQUAL, [AF_UNIX], keep=True)
    program += _argument(FCNTL[column], 1, EQUAL, [F_SETOWN, F_SETOWN_EX], keep=False)
    program += _argument(IOCTL[column], 1, EQUAL, [TIOCSTI, TIOCLINUX], keep=False)
    program += _argument(
        PRCTL[column], 0, EQUAL, [PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_PTRACER], keep=False
    )
    if files_in_sight:
        program += _argument(OPENAT[column], 2, ANY_BIT, [WRITING], keep=False)
        if OPEN[column] != ABSENT:
            program += _argument(OPEN[column], 1, ANY_BIT, [WRITING], keep=False)
    return [*program, (RETURN, 0, 0, ALLOW)]


def _argument(number: int, place: int, test: int, values: Sequence[int], *, keep: bool) -> list[Instruction]:
    """Allow a call only if (`keep`), or unless, the low half of one argument passes a test."""
    passed, failed = (ALLOW, REFUSE | errno.EPERM) if keep else (REFUSE | errno.EPERM, ALLOW)
    checks: list[Instruction] = [(LOAD, 0, 0, FIRST_ARGUMENT + 8 * place)]
    for value in values:
        checks += [(test, 0, 1, value), (RETURN, 0, 0, passed)]
    checks.append((RETURN, 0, 0, failed))
    return [(EQUAL, 0, len(checks), number), *checks]
