"""A confined child as the host sees it: its channel, its clocks, its end.

The child is believed in nothing. Its processor time is read from the kernel's clock of the process, and the
time it spent waiting for a processor is taken off the wall clock, so that a busy machine changes no verdict.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from itscale.sandbox.frames import HEADER, framed, readable

__all__ = ["Child", "Limits", "Outcome", "converse"]

SHORTEST_WAIT = 0.002
CHUNK = 1 << 18
UNHURRIED = 10
"""Factor on the limit of idleness where the kernel does not say how long a process waited for a processor."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one call may use: seconds of processor time, and bytes of reply."""

    seconds: float
    output: int

    @property
    def patience(self) -> float:
        """Seconds that may pass, those spent waiting for a processor left out."""
        return self.seconds + 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a call ended: by a `reply`, the child's end (`gone`), or a limit that was overrun."""

    kind: Literal["reply", "gone", "processor", "idle", "output"]
    reply: bytes = b""
    stream: bytes = b""


class Child:
    """A child: `channel` leads to it, a pidfd stands for it, `fresh` until its first call."""

    def __init__(self, pidfd: int, channel: socket.socket) -> None:
        self.channel = channel
        self.fresh = True
        self._pidfd = pidfd
        self._pid = _pid_here(pidfd)
        channel.setblocking(False)

    def processor_time(self) -> float:
        """Return the seconds of processor time used so far, by all its threads."""
        if self._pid <= 0:  # it had ended before it was looked for
            return 0.0
        try:
            return time.clock_gettime((~self._pid << 3) | 2)  # the kernel's number for a process's clock
        except OSError:
            return 0.0  # it has ended

    def waited(self) -> float | None:
        """Return the seconds spent waiting for a processor, None if the kernel does not say."""
        if self.fresh:  # next to nothing: looking it up costs more
            return 0.0
        try:
            return int(Path(f"/proc/{self._pid}/schedstat").read_text().split()[1]) / 1e9
        except (OSError, IndexError, ValueError):
            return None

    def ended(self, *, within: float) -> bool:
        """Return whether it ends within some seconds."""
        return readable(self._pidfd, within=within)

    def kill(self) -> None:
        """End it, and with it all of its pid namespace."""
        with contextlib.suppress(OSError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        self.channel.close()

    def forget(self) -> None:
        """Close what stands for it, once it has ended."""
        os.close(self._pidfd)


def _pid_here(pidfd: int) -> int:
    """Return the number of a pidfd's process as this process sees it, -1 if it has ended."""
    for line in Path(f"/proc/self/fdinfo/{pidfd}").read_text().splitlines():
        if line.startswith("Pid:"):
            return int(line.split()[1])
    raise OSError("the kernel does not say which process a pidfd stands for")


class _Meter:
    """How much of an allowance some children have left, from now on."""

    def __init__(self, children: Sequence[Child], allowance: Limits) -> None:
        self._children = children
        self._allowance = allowance
        self._begun = time.monotonic()
        self._processor = [child.processor_time() for child in children]
        self._waited = self._waiting()
        for child in children:
            child.fresh = False

    def _waiting(self) -> float | None:
        times = [child.waited() for child in self._children]
        return None if None in times else sum(spent for spent in times if spent is not None)

    def left(self) -> tuple[float, Literal["processor", "idle"]]:
        """Return the seconds until a limit can be overrun at the earliest, and which."""
        used = [
            child.processor_time() - before
            for child, before in zip(self._children, self._processor, strict=True)
        ]
        processor = self._allowance.seconds - max(used)
        idle = self._allowance.patience - (time.monotonic() - self._begun)
        if idle <= 0:
            waited = self._waiting()
            if waited is None or self._waited is None:
                idle += self._allowance.patience * (UNHURRIED - 1)
            else:
                idle += waited - self._waited
        return (processor, "processor") if processor <= idle else (idle, "idle")


def converse(
    children: Sequence[Child],
    requests: Sequence[bytes],
    allowance: Limits,
    stream: int | None = None,
    feed: tuple[socket.socket, bytes] | None = None,
) -> Outcome:
    """Send each child its request and wait for the last one's reply, or for a limit.

    Parameters
    ----------
    stream
        A descriptor to read besides, until the reply; with the reply it may have `allowance.output` bytes.
    feed
        A socket to write to besides, and what; it is closed for writing then.
    """
    return _Conversation(children, requests, allowance, stream, feed).outcome()


class _Conversation:
    def __init__(
        self,
        children: Sequence[Child],
        requests: Sequence[bytes],
        allowance: Limits,
        stream: int | None,
        feed: tuple[socket.socket, bytes] | None,
    ) -> None:
        self._meter = _Meter(children, allowance)
        self._most = allowance.output
        self._answering = children[-1].channel
        self._unsent = {
            child.channel.fileno(): (child.channel, memoryview(framed(request)))
            for child, request in zip(children, requests, strict=True)
        }
        if feed is not None:
            feed[0].setblocking(False)
            self._unsent[feed[0].fileno()] = (feed[0], memoryview(feed[1]))
        self._feed = feed[0] if feed else None
        self._stream = stream
        self._reply = bytearray()
        self._streamed = bytearray()
        self._poll = select.poll()
        for descriptor, (channel, _) in self._unsent.items():
            reading = select.POLLIN if channel is self._answering else 0
            self._poll.register(descriptor, select.POLLOUT | reading)
        if stream is not None:
            os.set_blocking(stream, False)
            self._poll.register(stream, select.POLLIN)

    def outcome(self) -> Outcome:
        while True:
            left, limit = self._meter.left()
            if left <= 0:
                return self._ended(limit)
            for descriptor, event in self._poll.poll(max(left, SHORTEST_WAIT) * 1000):
                if ended := self._turn(descriptor, event):
                    return ended

    def _turn(self, descriptor: int, event: int) -> Outcome | None:
        if descriptor == self._stream:
            self._read_stream()
        elif descriptor == self._answering.fileno() and event & (select.POLLIN | select.POLLHUP):
            if not self._read_reply():
                return self._ended("gone")
        elif event & select.POLLOUT:
            self._send(descriptor)
        else:
            self._poll.unregister(descriptor)  # one whose answer nobody waits for has ended
        if (
            len(self._reply) - HEADER.size + len(self._streamed) > self._most
            or self._announced() > self._most
        ):
            return self._ended("output")
        if len(self._reply) >= HEADER.size and len(self._reply) - HEADER.size >= self._announced():
            return self._ended("reply")
        return None

    def _announced(self) -> int:
        if len(self._reply) < HEADER.size:
            return 0
        (length,) = HEADER.unpack(self._reply[: HEADER.size])
        return int(length)

    def _read_reply(self) -> bool:
        try:
            piece = self._answering.recv(CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._reply += piece
        return bool(piece)

    def _read_stream(self) -> None:
        assert self._stream is not None
        piece = b""
        with contextlib.suppress(BlockingIOError):
            piece = os.read(self._stream, CHUNK)
            if not piece:
                self._poll.unregister(self._stream)
        self._streamed += piece

    def _send(self, descriptor: int) -> None:
        channel, left = self._unsent[descriptor]
        try:
            left = left[channel.send(left[:CHUNK]) :]
        except BlockingIOError:
            return
        except OSError:
            left = left[:0]  # it has ended: the reply, or its absence, will say so
        self._unsent[descriptor] = (channel, left)
        if not left:
            if channel is self._answering:
                self._poll.modify(descriptor, select.POLLIN)
            else:
                self._poll.unregister(descriptor)
            if channel is self._feed:
                with contextlib.suppress(OSError):
                    channel.shutdown(socket.SHUT_WR)

    def _ended(self, kind: Literal["reply", "gone", "processor", "idle", "output"]) -> Outcome:
        if self._stream is not None and kind in ("reply", "gone"):
            self._drain()
            if len(self._streamed) > self._most:
                kind = "output"
        return Outcome(kind, bytes(self._reply[HEADER.size :]), bytes(self._streamed[: self._most]))

    def _drain(self) -> None:
        """Read what stands in the stream already: written before the end."""
        assert self._stream is not None
        with contextlib.suppress(BlockingIOError):
            while len(self._streamed) <= self._most and (piece := os.read(self._stream, CHUNK)):
                self._streamed += piece
