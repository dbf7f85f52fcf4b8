"""Messages between the host and a confined process: a length, then that many bytes."""

from __future__ import annotations

import os
import select
import struct

__all__ = ["HEADER", "framed", "read_frame", "readable", "write_frame"]

HEADER = struct.Struct("!I")


def framed(content: bytes) -> bytes:
    """Return a message with its length in front."""
    return HEADER.pack(len(content)) + content


def write_frame(descriptor: int, content: bytes) -> None:
    """Write a message whole."""
    left = memoryview(framed(content))
    while left:
        left = left[os.write(descriptor, left) :]


def read_frame(descriptor: int, most: int = (1 << 32) - 1) -> bytes | None:
    """Read one message and nothing after it; None if the other side is gone or says more than `most`."""
    header = _read(descriptor, HEADER.size)
    if header is None:
        return None
    (length,) = HEADER.unpack(header)
    return None if length > most else _read(descriptor, length)


def readable(descriptor: int, *, within: float) -> bool:
    """Return whether something can be read, or the other side is gone, within some seconds."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(within * 1000))


def _read(descriptor: int, count: int) -> bytes | None:
    pieces = bytearray()
    while len(pieces) < count:
        piece = os.read(descriptor, min(count - len(pieces), 1 << 20))
        if not piece:
            return None
        pieces += piece
    return bytes(pieces)
