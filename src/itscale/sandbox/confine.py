"""Confinement of a child of the zygote, before it reads a byte of what a model wrote."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
from collections.abc import Sequence
from pathlib import Path

from itscale.sandbox import kernel, seccomp
from itscale.sandbox.landlock import Ruleset
from itscale.sandbox.settings import Settings

__all__ = ["CHANNEL", "Confinement"]

CHANNEL = 3
"""Descriptor of the child's channel to the host; those it was given besides follow."""
FIRST = 1
"""Number of the first process of a pid namespace: every child where it has one of its own."""
MOST_PROCESSES = 64
"""Threads of a child, where they can be counted for it alone."""
DESCRIPTORS = 64


class Confinement:
    """The confinement of one rung; made once in the zygote, entered by each of its children."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._namespaces = settings.rung == "bubblewrap"
        paths = [Path(path) for path in settings.readable]
        self._files = Ruleset(paths) if settings.rung == "landlock" else None
        self._self = os.pidfd_open(os.getpid())
        self._filter = self._filter_of(FIRST) if seccomp.SUPPORTED else None

    def fork(self) -> int:
        """Fork a child, where possible as the first process of a pid namespace of its own."""
        if not self._namespaces:
            return kernel.fork()
        kernel.unshare(kernel.CLONE_NEWPID)
        pid = kernel.fork()
        if pid:
            # Children made from now on are born here again: the namespace is left as often as it is made.
            kernel.setns(self._self, kernel.CLONE_NEWPID)
        return pid

    def enter(self, descriptors: Sequence[int]) -> None:
        """Give up everything but the descriptors, which become `CHANNEL` and those after it."""
        nowhere = os.open(os.devnull, os.O_RDWR)  # its own: flags of a shared one would outlive the call
        os.setsid()  # in a new pid namespace the parent is 0, and a signal to 0 goes to the process group
        if self._namespaces:
            kernel.unshare(kernel.CLONE_NEWNS)
            flags = kernel.MS_NOSUID | kernel.MS_NODEV | kernel.MS_NOEXEC
            size = f"size={self._settings.file_size},nr_inodes=4096,mode=1777"
            kernel.mount("tmpfs", self._settings.scratch, flags, size)
            os.chdir(self._settings.scratch)
        else:
            os.chdir("/")
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        if self._files is not None:
            self._files.enter()
        _keep(descriptors, nowhere)
        self._limit()
        self._drop_privileges()
        if self._filter is not None:
            known = self._filter if self._namespaces else self._filter_of(os.getpid())
            known.install()

    def _filter_of(self, pid: int) -> seccomp.Filter:
        return seccomp.Filter(seccomp.filter_for(pid, files_in_sight=not self._namespaces))

    def _limit(self) -> None:
        settings = self._settings
        limits = {
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_FSIZE: settings.file_size if self._namespaces else 0,
            resource.RLIMIT_NOFILE: DESCRIPTORS,
            resource.RLIMIT_AS: settings.memory,
            resource.RLIMIT_CPU: settings.processor,
            resource.RLIMIT_MEMLOCK: 0,
        }
        if self._namespaces:  # elsewhere the user's other processes would count, too
            limits[resource.RLIMIT_NPROC] = MOST_PROCESSES
        for what, most in limits.items():
            _, hard = resource.getrlimit(what)
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(what, (most, most))

    def _drop_privileges(self) -> None:
        if self._settings.uid is not None:
            os.setgroups([])
            os.setresgid(self._settings.uid, self._settings.uid, self._settings.uid)
            os.setresuid(self._settings.uid, self._settings.uid, self._settings.uid)
        kernel.drop_capabilities()
        kernel.prctl(kernel.PR_SET_PDEATHSIG, int(signal.SIGKILL))


def _keep(descriptors: Sequence[int], nowhere: int) -> None:
    """Close all but some descriptors, and let the standard streams lead nowhere."""
    # Moved out of the way first: none may be closed by another's arrival at its place.
    beyond = CHANNEL + len(descriptors)
    parked = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, beyond) for descriptor in descriptors]
    for stream in range(CHANNEL):
        os.dup2(nowhere, stream)
    for place, descriptor in enumerate(parked):
        os.dup2(descriptor, CHANNEL + place)
    kernel.close_from(beyond)
