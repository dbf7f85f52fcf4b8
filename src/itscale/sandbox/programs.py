"""Programs that a model wrote: run on an input, or judged by unit tests.

The expected output of a run is compared outside. Where tests call the program's function on plain data, the
program and its tests are two processes, and the program can neither read the tests nor forge their outcome.
Where they cannot be kept apart, they share one process, and the judgement says so: `forgeable`.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from itscale.sandbox.children import Child, Limits, Outcome, converse
from itscale.sandbox.contained import Contained
from itscale.sandbox.replies import Reply, Status, ending, overrun, understood
from itscale.sandbox.settings import Rung
from itscale.sandbox.slots import Slot

__all__ = ["STANDARD", "Assignment", "Judgement", "Programs", "Run"]

TARGET = "itscale.sandbox.roles:play"
STANDARD = (
    *("array", "base64", "bisect", "cmath", "collections", "copy", "dataclasses", "datetime", "decimal"),
    *("enum", "fractions", "functools", "hashlib", "heapq", "inspect", "io", "itertools", "json", "math"),
    *("numbers", "operator", "queue", "random", "re", "statistics", "string", "textwrap", "threading"),
    *("time", "traceback", "types", "typing", "unicodedata", "uuid"),
)
"""Modules of the standard library that programs import: imported beforehand, once for all."""

REHEARSAL = ("both", "def add(a, b):\n    return a + b\n", "assert add(2, 3) == 5\n")
"""A judgement made beforehand: what the interpreter learns from it, each child need not learn."""
REHEARSALS = 10
JUDGEMENTS = 8
"""Programs that one judge judges at most, all by the same tests."""


@dataclass(frozen=True, slots=True)
class Run:
    """What came of running a program: its standard output, and why it did not end well if it did not."""

    status: Status
    stdout: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Judgement:
    """Whether a program passed its tests.

    Attributes
    ----------
    passed
        Whether all tests passed.
    status
        `done` if the tests came to an end, passed or not; `timeout`, or `error` if the process ended early.
    detail
        What the first test that failed said, or what went wrong.
    forgeable
        Whether program and tests shared a process, so that the program could have forged the outcome.
    rung
        How it was contained.
    """

    passed: bool
    status: Status
    detail: str
    forgeable: bool
    rung: Rung


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """A program and what it is judged by.

    Attributes
    ----------
    source
        The program.
    tests
        Code that raises an exception if the program is wrong. It finds the program's function under its own
        name and as `candidate`.
    entry_point
        Name of the function that the tests call; None if they need more of the program than that.
    context
        Code that the tests need besides: helpers that were given to the model.
    """

    source: str
    tests: str
    entry_point: str | None = None
    context: str = ""


class _Desk:
    """Where one program at a time is judged: a zygote for it and one for its judge.

    A judge stays for the next program if that has the same tests. It holds nothing that a program could leave
    there, only the plain data of its replies; and tests that were written to deceive decide their own outcome
    anyway. A channel to a program is used for that program alone: it could be spoilt for the next.
    """

    def __init__(self, make: Callable[[int, int], Slot], number: int) -> None:
        self.program = make(2 * number, 1)
        self.judge = make(2 * number + 1, JUDGEMENTS)
        self._tests: tuple[str, ...] = ()
        self._free: list[socket.socket] = []

    def seat(self, tests: tuple[str, ...]) -> tuple[Child, Child, int]:
        """Return a child for a program, the judge for its tests, and which of its channels they share."""
        if tests == self._tests and self._free and self.judge.lasts(JUDGEMENTS):
            judge = self.judge.child(JUDGEMENTS)
        else:
            judge = self._appoint(tests)
        channel = JUDGEMENTS - len(self._free)
        with self._free.pop(0) as its:
            return self.program.child(besides=[its.fileno()]), judge, channel

    def discard(self) -> None:
        self.program.discard()
        self._dismiss()

    def close(self) -> None:
        self._dismiss()
        self.program.close()
        self.judge.close()

    def _appoint(self, tests: tuple[str, ...]) -> Child:
        self._dismiss()
        self._tests = tests
        with ExitStack() as handed:
            judges = []
            for _ in range(JUDGEMENTS):
                its, judges_end = socket.socketpair()
                self._free.append(its)
                judges.append(handed.enter_context(judges_end).fileno())
            return self.judge.child(JUDGEMENTS, besides=judges)

    def _dismiss(self) -> None:
        self.judge.discard()
        for its in self._free:
            its.close()
        self._free = []


class Programs(Contained[_Desk]):
    """Runs and judges programs in the sandbox.

    Parameters
    ----------
    seconds
        Most processor time of a program, and of its judge; see `Sandbox`.
    preload
        Modules that programs import, besides the standard library's: imported beforehand.
    memory
        Most address space, in bytes.
    output
        Most bytes of standard output, or of a reply.
    weakest
        The weakest rung that will do; what the study says (`sandbox`) if left out.

    Raises
    ------
    SandboxError
        At the first program, if there is no sandbox that will do.
    """

    def __init__(
        self,
        *,
        seconds: float = 3.0,
        preload: Sequence[str] = (),
        memory: int = 1 << 30,
        output: int = 1 << 20,
        weakest: Rung | None = None,
    ) -> None:
        super().__init__(
            TARGET,
            allowance=Limits(seconds, output),
            preload=(*STANDARD, *preload),
            warm=[REHEARSAL] * REHEARSALS,
            memory=memory,
            weakest=weakest,
            workplace=lambda number: _Desk(self._slot, number),
        )

    def run(self, source: str, stdin: str = "") -> Run:
        """Run a program on an input."""
        return self.run_all([(source, stdin)])[0]

    def run_all(self, programs: Iterable[tuple[str, str]]) -> list[Run]:
        """Run programs on their inputs, on all processors; runs come in order."""
        return self._pool.map(self._run, programs)

    def judge(self, source: str, tests: str, entry_point: str | None = None, context: str = "") -> Judgement:
        """Judge a program; see `Assignment`."""
        return self.judge_all(
            [Assignment(source=source, tests=tests, entry_point=entry_point, context=context)]
        )[0]

    def judge_all(self, assignments: Iterable[Assignment]) -> list[Judgement]:
        """Judge programs, on all processors; judgements come in order."""
        return self._pool.map(self._judge, assignments)

    def _run(self, desk: _Desk, program: tuple[str, str]) -> Run:
        source, stdin = program
        mine, its = socket.socketpair()
        with mine, its:
            reading, writing = os.pipe()
            try:
                try:
                    child = desk.program.child(besides=[writing, its.fileno()])
                finally:
                    os.close(writing)  # the child's alone from here on: its end is the stream's
                its.close()
                feed = (mine, stdin.encode(errors="surrogatepass"))
                outcome = converse([child], [_request("run", source)], self._allowance, reading, feed)
            finally:
                os.close(reading)
        status = desk.program.discard(ending=outcome.kind == "gone")
        desk.program.require_confined()
        return self._ran(outcome, status)

    def _ran(self, outcome: Outcome, status: int | None) -> Run:
        stdout = outcome.stream.decode(errors="replace")
        if outcome.kind == "gone":
            left = status is not None and os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0
            return Run("done", stdout) if left else Run("error", stdout, f"the program {ending(status)}")
        reply = understood(outcome.reply) if outcome.kind == "reply" else overrun(outcome, self._allowance)
        if reply.status == "done" and reply.value not in (None, 0):
            return Run("error", stdout, f"exit status {str(reply.value)[:100]}")
        return Run(reply.status, stdout, reply.detail)

    def _judge(self, desk: _Desk, assignment: Assignment) -> Judgement:
        if assignment.entry_point is not None:
            judgement = self._apart(desk, assignment, assignment.entry_point)
            if judgement is not None:
                return judgement
        child = desk.program.child()
        request = _request("both", assignment.source, assignment.tests)
        reply = self._reply(converse([child], [request], self._allowance), desk.program)
        desk.program.discard()
        return self._judged(reply, forgeable=True)

    def _apart(self, desk: _Desk, assignment: Assignment, entry_point: str) -> Judgement | None:
        """Judge a program from another process; None if its tests say that they need it at hand."""
        tests = (entry_point, assignment.tests, assignment.context)
        program, judge, channel = desk.seat(tests)
        requests = [
            _request("candidate", assignment.source, entry_point),
            _request("judge", channel, *tests),
        ]
        reply = self._reply(converse([program, judge], requests, self._allowance), desk.judge)
        desk.program.discard()
        desk.program.require_confined()  # or its judge would say that the program's process had ended
        if reply.status != "done":
            desk.discard()
        elif isinstance(reply.value, dict) and reply.value.get("apart") is False:
            return None
        return self._judged(reply, forgeable=False)

    def _judged(self, reply: Reply, *, forgeable: bool) -> Judgement:
        if reply.status != "done":
            return Judgement(False, reply.status, reply.detail, forgeable, self.rung)
        match reply.value:
            case {"passed": bool(passed), "fault": str(fault)}:
                return Judgement(passed, "done", fault[:200], forgeable, self.rung)
        return Judgement(False, "error", "a reply that is none", forgeable, self.rung)


def _request(*arguments: Any) -> bytes:
    return json.dumps(arguments).encode()
