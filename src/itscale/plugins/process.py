"""State that all plugins of a process share, put back where one of them has changed it.

A selector that leaves the working directory would have the next stage look for its files elsewhere; one that
seeds NumPy would do so for whoever draws after it.
"""

from __future__ import annotations

import locale
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = ["EVERYTHING", "LASTING", "SETTINGS", "Part", "ProcessState", "seed_global_generators"]

HANDLED = tuple(
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGCHLD", "SIGPIPE")
    if hasattr(signal, name)
)


@dataclass(frozen=True)
class Part:
    """Something that a process has one of: how messages call it, what it is now, and how it is set."""

    name: str
    now: Callable[[], Any]
    set: Callable[[Any], object]


def _folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - Path.cwd() is no quicker way to the same text
    except OSError:  # somebody removed it
        return os.devnull  # which is no folder to go back to


def _mask() -> int:
    mask = os.umask(0o077)  # there is no reading it but by setting it
    os.umask(mask)
    return mask


def _environment() -> dict[Any, Any]:
    return dict(vars(os.environ)["_data"])  # as it is kept: decoding each name takes a hundred times longer


def _set_environment(encoded: dict[Any, Any]) -> None:
    values = {os.fsdecode(name): os.fsdecode(value) for name, value in encoded.items()}
    for name in os.environ.keys() - values.keys():
        del os.environ[name]
    os.environ.update(values)


def _set_handlers(handlers: Sequence[Any]) -> None:
    for number, handler in zip(HANDLED, handlers, strict=True):
        if handler is not None and signal.getsignal(number) != handler:  # None: not set from Python
            signal.signal(number, handler)


def _numpy_state() -> tuple[Any, ...]:
    name, keys, *rest = np.random.get_state(legacy=True)  # noqa: NPY002 - the one that is shared
    return (name, np.asarray(keys).tobytes(), *rest)


def _set_numpy_state(state: tuple[Any, ...]) -> None:
    name, keys, *rest = state
    np.random.set_state((name, np.frombuffer(keys, dtype=np.uint32), *rest))  # noqa: NPY002


LASTING = (
    Part("the working directory", _folder, os.chdir),
    Part("sys.stdout", lambda: sys.stdout, lambda stream: setattr(sys, "stdout", stream)),
    Part("sys.stderr", lambda: sys.stderr, lambda stream: setattr(sys, "stderr", stream)),
    Part(
        "the locale",
        lambda: locale.setlocale(locale.LC_ALL),
        lambda name: locale.setlocale(locale.LC_ALL, name),
    ),
    Part(
        "the handlers of signals",
        lambda: tuple(map(signal.getsignal, HANDLED)),
        _set_handlers,
    ),
    Part("the mask of permissions (umask)", _mask, os.umask),
    Part("the limit on recursion", sys.getrecursionlimit, sys.setrecursionlimit),
)
"""What no library has reason to change: not when it is imported, nor in a task that others interrupt."""

SETTINGS = (
    *LASTING,
    Part("the environment variables", _environment, _set_environment),
    Part("sys.path", lambda: list(sys.path), lambda path: sys.path.__setitem__(slice(None), path)),
    Part(
        "the filters of warnings",
        lambda: list(warnings.filters),
        lambda filters: setattr(warnings, "filters", filters),
    ),
    Part("NumPy's handling of errors", np.geterr, lambda how: np.seterr(**how)),
)
"""What else one call may change for the next."""

EVERYTHING = (
    *SETTINGS,
    Part("the state of Python's random numbers", random.getstate, random.setstate),
    Part("the state of NumPy's random numbers", _numpy_state, _set_numpy_state),
)


@dataclass(frozen=True)
class ProcessState:
    """What some parts of the process were at a time."""

    kept: tuple[tuple[Part, Any], ...]

    @classmethod
    def now(cls, parts: Sequence[Part] = EVERYTHING) -> ProcessState:
        """Return what they are now."""
        return cls(tuple((part, part.now()) for part in parts))

    def put_back(self) -> list[str]:
        """Set what is another now to what it was; return how messages call it."""
        changed = [(part, before) for part, before in self.kept if part.now() != before]
        for part, before in changed:
            with suppress(OSError, ValueError):  # a folder that is gone; handlers, but in the main thread
                part.set(before)
        return [part.name for part, _ in changed]


def seed_global_generators(rng: np.random.Generator) -> None:
    """Let what draws from the generators of the process, and not from its own, draw the same in every run."""
    seed = int(rng.bit_generator.seed_seq.generate_state(1)[0])
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
