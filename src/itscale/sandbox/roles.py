"""Roles of confined processes with a program: run it, offer its function to a judge, judge it, or do both.

`play` is the target of the zygotes of `itscale.sandbox.programs`. A candidate and its judge are two
processes: only the judge knows the tests and answers the host, and nothing but plain data goes between them.
"""

from __future__ import annotations

import builtins
import os
import site
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

from itscale.sandbox.confine import CHANNEL
from itscale.sandbox.frames import read_frame, write_frame
from itscale.sandbox.plain import NotPlainError, pack, unpack

__all__ = ["play"]

STREAM, FEED = CHANNEL + 1, CHANNEL + 2
"""Of a program that is run: where its standard output goes, where its standard input comes from."""
BETWEEN = CHANNEL + 1
"""Between a candidate and its judge; a judge has one for each candidate, and the next ones follow."""
MOST_DATA = 16 << 20
LONGEST_MESSAGE = 200

ERRORS: dict[str, type[Exception]] = {
    name: kind
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, Exception) and not name.startswith("Unicode")
}
"""Exceptions that a program may let its judge see."""


def play(role: str, *arguments: Any) -> Any:
    """Play a role: `run`, `candidate`, `judge` or `both`."""
    roles: dict[str, Callable[..., Any]] = {
        "run": _run,
        "candidate": _candidate,
        "judge": _judge,
        "both": _both,
    }
    return roles[role](*arguments)


def _module(name: str) -> ModuleType:
    """Return a fresh module, known by its name as a program expects it to be."""
    site.setquit()
    module = ModuleType(name)
    sys.modules[name] = module
    sys.argv = [name]
    return module


def _execute(source: str, module: ModuleType) -> None:
    exec(compile(source, f"<{module.__name__}>", "exec"), module.__dict__)


def _run(source: str) -> int | str | None:
    """Run a program; return its exit status."""
    os.dup2(STREAM, 1)
    os.dup2(FEED, 0)
    sys.stdin = open(0, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
    try:
        _execute(source, _module("__main__"))
    except SystemExit as ending:
        return ending.code if isinstance(ending.code, int | str) else None
    finally:
        sys.stdout.flush()
    return None


def _candidate(source: str, entry_point: str) -> None:
    """Offer a program's function to the judge until it has no more calls."""
    try:
        module = _module("candidate")
        _execute(source, module)
        function = getattr(module, entry_point)
    except BaseException as error:
        write_frame(BETWEEN, _raised(error))
        return
    write_frame(BETWEEN, pack(["ready", None, None]))
    while (request := read_frame(BETWEEN)) is not None:
        arguments, named = unpack(request)
        try:
            value = function(*arguments, **named)
            reply = pack(["returned", value, arguments], lenient=True)
        except BaseException as error:
            reply = _raised(error)
        write_frame(BETWEEN, reply)


def _raised(error: BaseException) -> bytes:
    try:
        said = str(error)[:LONGEST_MESSAGE]
    except BaseException:
        said = ""
    return pack(["raised", type(error).__name__, said], lenient=True)


class _CandidateError(Exception):
    """The program raised something that is no exception of the language's own, or its process ended."""


class _Candidate:
    """The candidate as the judge sees it: calls go to the other process and come back as data."""

    def __init__(self, channel: int) -> None:
        self._channel = channel
        self.calls = 0
        self.broken = ""
        self.raised: BaseException | None = None
        kind, name, said = self._reply()
        if kind != "ready":
            self.broken = f"the program does not run: {name}: {said}"

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        request = pack([list(arguments), named])  # what has no plain form is refused before anything is sent
        if not self.broken:
            try:
                write_frame(self._channel, request)
            except OSError:
                self.broken = "the program's process ended"
        kind, value, rest = self._reply()
        if kind == "returned":
            self.calls += 1
            _update(arguments, rest)
            return value
        self.raised = ERRORS.get(str(value), _CandidateError)(str(rest))
        raise self.raised

    def _reply(self) -> tuple[str, Any, Any]:
        content = None if self.broken else read_frame(self._channel, MOST_DATA)
        if content is None:
            self.broken = self.broken or "the program's process ended"
            return "raised", "", self.broken
        try:
            match unpack(content):
                case [str(kind), value, rest]:
                    return kind, value, rest
        except (NotPlainError, MemoryError):
            pass
        self.broken = "the program's process sent what is no reply"
        return "raised", "", self.broken


def _update(arguments: tuple[Any, ...], rest: Any) -> None:
    """Let the judge's arguments become what the program made of them, as they would in one process."""
    if not isinstance(rest, list) or len(rest) != len(arguments):
        return
    for mine, left in zip(arguments, rest, strict=True):
        if type(mine) is not type(left):
            continue
        if isinstance(mine, list) and mine != left:
            mine[:] = left
        elif isinstance(mine, dict | set) and mine != left:
            mine.clear()
            mine.update(left)


def _judge(channel: int, entry_point: str, tests: str, context: str) -> dict[str, Any]:
    """Run the tests against a candidate; `apart` is false where they need the program itself at hand."""
    candidate = _Candidate(BETWEEN + channel)
    if candidate.broken:
        return _judged(candidate.broken)

    def proxy(*arguments: Any, **named: Any) -> Any:
        return candidate(*arguments, **named)

    proxy.__name__ = proxy.__qualname__ = entry_point
    module = _module("tests")
    if context:
        _execute(context, module)
    setattr(module, entry_point, proxy)
    module.__dict__["candidate"] = proxy
    try:
        _execute(tests, module)
    except BaseException as error:
        if error is not candidate.raised and isinstance(error, NameError | NotPlainError):
            return _judged(_described(error), apart=False)
        return _judged(candidate.broken or _described(error))
    if candidate.broken:
        return _judged(candidate.broken)
    return _judged("" if candidate.calls else "the tests never called the program")


def _judged(fault: str, *, apart: bool = True) -> dict[str, Any]:
    return {"passed": not fault, "fault": fault, "apart": apart}


def _described(error: BaseException) -> str:
    said = " ".join(str(error).split())[:LONGEST_MESSAGE]
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def _both(source: str, tests: str) -> dict[str, Any]:
    """Run program and tests in one process; what the program does there can forge any outcome."""
    module = _module("candidate")
    describe = _described  # the program can replace what it finds in modules
    try:
        _execute(source, module)
        _execute(tests, module)
    except BaseException as error:
        return {"passed": False, "fault": describe(error), "apart": False}
    return {"passed": True, "fault": "", "apart": False}
