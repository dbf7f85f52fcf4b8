"""A zygote and the one child it has at a time, from the host's side."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from functools import cache, partial
from pathlib import Path
from queue import SimpleQueue
from typing import IO, Any

from itscale.errors import SandboxError
from itscale.sandbox.children import Child
from itscale.sandbox.frames import readable
from itscale.sandbox.launch import child_uid, command, environment
from itscale.sandbox.places import DEVICES, LOADER, SYSTEM, places
from itscale.sandbox.settings import Rung, Settings
from itscale.sandbox.zygote import READY, STATUS

__all__ = ["Slot"]

START_SECONDS = 300.0
"""How long a zygote may take to import what it needs: a cold network file system is slow."""
END_SECONDS = 300.0
"""How long it may take to fork a child, or to end one that was killed: a machine may be very busy."""
MOMENT = 0.5
CLOSE_SECONDS = 3.0
"""How long a zygote may take to notice that nobody needs it."""
FILE_SIZE = 16 << 20
LAST_OF_STDERR = 2000


class Slot:
    """One zygote, started when it is first needed and again after it has gone.

    Raises
    ------
    SandboxError
        When a child is asked for and the zygote does not start.
    """

    def __init__(
        self,
        target: str,
        *,
        rung: Rung,
        preload: Sequence[str] = (),
        warm: Sequence[Sequence[Any]] = (),
        memory: int = 2 << 30,
        processor: int,
        number: int = 0,
    ) -> None:
        self._places = places([target.partition(":")[0], *preload])
        self._settings = Settings(
            target=target,
            preload=tuple(preload),
            warm=tuple(map(tuple, warm)),
            rung=rung,
            path=self._places.path,
            readable=self._readable() if rung == "landlock" else (),
            scratch=self._places.scratch,
            uid=child_uid(self._places, number) if rung == "bubblewrap" else None,
            memory=memory,
            processor=processor,
            file_size=FILE_SIZE,
        )
        self._home: tempfile.TemporaryDirectory[str] | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._errors: IO[bytes] | None = None
        self._child: Child | None = None
        self._calls = 0
        self._unconfined: str | None = None

    def _readable(self) -> tuple[str, ...]:
        shown = [*SYSTEM, *LOADER, *DEVICES, *map(str, self._places.shown)]
        return tuple(place for place in shown if Path(place).exists())

    def child(self, together: int = 1, *, besides: Sequence[int] = ()) -> Child:
        """Return the child for the next call: the last one's if it has calls left, else a fresh one.

        Parameters
        ----------
        together
            How many calls a child answers.
        besides
            Descriptors a fresh child gets beside its channel.
        """
        if besides or not self.lasts(together):
            self.discard()
        if self._child is None:
            self._child, self._calls = self._fresh(besides), 0
        self._calls += 1
        return self._child

    def lasts(self, together: int) -> bool:
        """Return whether the last call's child is there for one more."""
        return self._child is not None and self._calls < together and not self._child.ended(within=0)

    def discard(self, *, ending: bool = False) -> int | None:
        """End the child, if there is one; return its wait status where the zygote tells it.

        One that is `ending` by itself is given a moment, so that the status says how.
        """
        child, self._child = self._child, None
        if child is None:
            return None
        self._unconfined = None
        if ending:
            child.ended(within=MOMENT)
        child.kill()
        try:
            return self._status()
        finally:
            child.forget()

    def require_confined(self) -> None:
        """Refuse to blame a call for the end of a child, the last that was discarded, that was not shut in.

        Raises
        ------
        SandboxError
            If it could not shut itself in, or was ended before it had: it has read nothing of the call.
        """
        if self._unconfined is not None:
            raise SandboxError(
                f"a call to {self._settings.target} could not be confined: "
                f"{self._unconfined or 'its process was ended before it was'}"
            )

    def close(self) -> None:
        """End zygote and child."""
        if self._child is not None:
            self._child.kill()
            self._child.forget()
            self._child = None
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is not None:
            try:
                self._process.wait(CLOSE_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if self._errors is not None:
            self._errors.close()
            self._errors = None
        if self._home is not None:
            self._home.cleanup()
            self._home = None

    def _fresh(self, besides: Sequence[int]) -> Child:
        # A zygote may have been ended from outside since the last call: one more is started, not two.
        for _ in range(2):
            control = self._control or self._start()
            try:
                if child := _born(control, besides):
                    return child
            except BaseException:  # what it still sends would be taken for the next child's
                self.close()
                raise
            fault = _last(self._errors)
            self.close()
        raise SandboxError(f"the sandbox of {self._settings.target} does not start its calls: {fault}")

    def _status(self) -> int | None:
        assert self._control is not None
        with contextlib.suppress(OSError):
            if readable(self._control.fileno(), within=END_SECONDS):
                message = self._control.recv(STATUS.size)
                if len(message) == STATUS.size:
                    status, confined, fault = STATUS.unpack(message)
                    self._unconfined = None if confined else fault.decode(errors="replace")
                    return int(status)
        self.close()
        return None

    def _start(self) -> socket.socket:
        try:
            self._control, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with its:
                self._errors = os.fdopen(os.memfd_create("errors"), "w+b", buffering=0)
                started: Future[subprocess.Popen[bytes]] = Future()
                _starter().put((started, partial(self._spawn, its, self._errors)))
                self._process = started.result()
            if readable(self._control.fileno(), within=START_SECONDS) and self._control.recv(1) == READY:
                return self._control
            fault = _last(self._errors)
        except (OSError, RuntimeError) as error:  # no descriptors, no memory, no thread to be had
            fault = str(error)
        except BaseException:
            self.close()
            raise
        self.close()
        raise SandboxError(f"the sandbox of {self._settings.target} does not start: {fault}")

    def _spawn(self, control: socket.socket, errors: IO[bytes]) -> subprocess.Popen[bytes]:
        variables = environment(self._places)
        if self._settings.rung != "bubblewrap":  # which has a /tmp of its own
            self._home = tempfile.TemporaryDirectory(prefix="itscale-sandbox-")
            variables |= {"HOME": self._home.name, "TMPDIR": self._home.name}
        return subprocess.Popen(
            command(self._settings, self._places),
            stdin=control.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd="/",
            env=variables,
            start_new_session=True,
        )


Task = tuple[Future[subprocess.Popen[bytes]], Callable[[], subprocess.Popen[bytes]]]


@cache
def _starter() -> SimpleQueue[Task]:
    """Return the queue of the thread that starts zygotes: the kernel ends them when that thread ends."""
    tasks: SimpleQueue[Task] = SimpleQueue()

    def start() -> None:
        while True:
            started, task = tasks.get()
            try:
                started.set_result(task())
            except BaseException as fault:
                started.set_exception(fault)

    threading.Thread(target=start, name="itscale-sandbox", daemon=True).start()
    return tasks


os.register_at_fork(after_in_child=_starter.cache_clear)  # a fork has none of its parent's threads


def _born(control: socket.socket, besides: Sequence[int]) -> Child | None:
    """Let a zygote fork a child; None if it has ended instead."""
    mine, its = socket.socketpair()
    try:
        with its:
            socket.send_fds(control, [READY], [its.fileno(), *besides])
            if readable(control.fileno(), within=END_SECONDS):
                message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
                if message and descriptors:
                    return Child(descriptors[0], mine)
    except OSError:
        pass
    except BaseException:
        mine.close()
        raise
    mine.close()
    return None


def _last(errors: IO[bytes] | None) -> str:
    """Return the last line that a zygote said."""
    if errors is None:
        return "no reason is known"
    errors.seek(0, os.SEEK_END)
    errors.seek(max(0, errors.tell() - LAST_OF_STDERR))
    lines = errors.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "it ended without a word"
