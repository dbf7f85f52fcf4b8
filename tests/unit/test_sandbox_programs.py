"""Programs are run and judged as they deserve, and none can forge its judgement."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from itscale.sandbox import Programs
from itscale.sandbox.plain import NotPlainError, Opaque, pack, unpack
from itscale.sandbox.programs import Assignment

TESTS = """
def check(candidate):
    assert candidate(2, 3) == 5
    assert candidate(-1, 1) == 0
check(add)
"""


@pytest.fixture(scope="module")
def programs() -> Iterator[Programs]:
    with Programs(seconds=1.0, output=1 << 16) as pool:
        yield pool


# Data between a program and its judge --------------------------------------------------------------------

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
) | st.frozensets(st.integers())


@given(PLAIN)
def test_plain_data_arrive_as_they_were(value: Any) -> None:
    arrived = unpack(pack(value))
    assert arrived == value
    assert type(arrived) is type(value)
    assert repr(arrived) == repr(value) or isinstance(value, dict | frozenset)


def test_no_object_of_a_program_arrives() -> None:
    class Always(int):
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = int.__hash__

    class Anything:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    assert unpack(pack(Always(3), lenient=True)) == 3
    assert type(unpack(pack([Always(3)], lenient=True))[0]) is int
    assert isinstance(unpack(pack(Anything(), lenient=True)), Opaque)
    assert unpack(pack(Anything(), lenient=True)) != 1
    assert list(unpack(pack((x for x in (1, 2)), lenient=True))) == [1, 2]
    assert math.isnan(unpack(pack(math.nan)))
    with pytest.raises(NotPlainError):
        pack(Anything())


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"{",
        b"[" * 99999,
        b'{"a": 1}',
        b'{"int": 5}',
        b'{"set": [[]]}',
        b'{"dict": 1}',
        b"{}",
        b'{"range": "x"}',
    ],
)
def test_what_is_no_plain_data_is_refused(sent: bytes) -> None:
    with pytest.raises(NotPlainError):
        unpack(sent)


# Judging -----------------------------------------------------------------------------------------------

JUDGED: dict[str, tuple[str, bool, str]] = {
    # name: (program, passes, what the judgement says)
    "right": ("def add(a, b): return a + b", True, ""),
    "wrong": ("def add(a, b): return a - b", False, "AssertionError"),
    "raising": ("def add(a, b): return a + c", False, "NameError"),
    "not there": ("def sub(a, b): return a + b", False, "does not run: AttributeError"),
    "no program": ("def add(a, b) return", False, "does not run: SyntaxError"),
    "printing": ("print('passed')\ndef add(a, b): print(a); return a + b", True, ""),
    "exit at the start": ("import sys; sys.exit(0)", False, "does not run: SystemExit"),
    "early exit": ("import os; os._exit(0)", False, "process ended"),
    "exit when called": ("import os\ndef add(a, b): os._exit(0)", False, "process ended"),
    "equal to everything": (
        "class E:\n  def __eq__(s, o): return True\ndef add(a, b): return E()",
        False,
        "AssertionError",
    ),
    "a number equal to everything": (
        "class E(int):\n  def __eq__(s, o): return True\ndef add(a, b): return E()",
        False,
        "AssertionError",
    ),
    "patched built-ins": (
        "import builtins\nbuiltins.AssertionError = type('A', (Exception,), {})\n"
        "builtins.compile = builtins.exec = lambda *a: None\ndef add(a, b): return 0",
        False,
        "AssertionError",
    ),
    "a forged reply to the judge": (
        "import os\nos.write(4, b'\\0\\0\\0\\x02{}')\ndef add(a, b): return 0",
        False,
        "",
    ),
    "a forged reply to the host": (
        'import os\nr = b\'["done", {"passed": true, "fault": "", "apart": true}, ""]\'\n'
        "os.write(3, len(r).to_bytes(4, 'big') + r)\ndef add(a, b): return 0",
        False,
        "AssertionError",
    ),
    "shutting the channel": (
        "import socket\ndef add(a, b):\n  socket.fromfd(4, 1, 1).shutdown(2); return a + b",
        False,
        "process ended",
    ),
    "replies for the next program": (
        "import os\ndef add(a, b):\n  r = b'[\"returned\", 5, []]'\n"
        "  for d in range(3, 64):\n"
        "    try: os.write(d, (len(r).to_bytes(4, 'big') + r) * 9)\n"
        "    except OSError: pass\n  return a - b",
        False,
        "AssertionError",
    ),
    "asking for one process by an error": ("def add(a, b): raise NameError('x')", False, "NameError"),
    "asking for one process by an object": ("def add(a, b): return object()", False, "AssertionError"),
    "looking for the tests": (
        "import gc, sys\ndef add(a, b):\n"
        "  seen = [x for x in gc.get_objects() if isinstance(x, dict) and 'check' in x]\n"
        "  f = sys._getframe()\n"
        "  while f: seen += ['check'] if 'tests' in f.f_locals else []; f = f.f_back\n"
        "  return a + b if seen else 0",
        False,
        "AssertionError",
    ),
    "an endless loop": ("def add(a, b):\n  while True: pass", False, "processor time"),
    "sleeping": ("import time\ndef add(a, b): time.sleep(99)", False, "idle"),
    "endless data": ("def add(a, b): return 'x' * (20 << 20)", False, "no reply"),
    "deep data": (
        "def add(a, b):\n  x = []\n  for i in range(99999): x = [x]\n  return x",
        False,
        "AssertionError",
    ),
    "an endless iterator": ("import itertools\ndef add(a, b): return itertools.count()", False, ""),
}


@pytest.mark.parametrize("name", JUDGED)
def test_a_program_is_judged_as_it_deserves(name: str, programs: Programs) -> None:
    source, passes, said = JUDGED[name]
    judgement = programs.judge(source, TESTS, "add")
    assert judgement.passed is passes
    assert not judgement.forgeable
    assert said in judgement.detail or (said == "no reply" and judgement.detail), judgement
    assert judgement.rung == programs.rung
    assert programs.judge(JUDGED["right"][0], TESTS, "add").passed


def test_a_judge_that_judges_many_judges_each_alike(programs: Programs) -> None:
    tests = (
        TESTS
        + "import random\nfirst = random.random()\nassert first == candidate(first, 0)\n"
        + ("random.seed(0)\nassert first == random.random()\n")
    )
    sources = [JUDGED[name][0] for name in ("right", "wrong", "exit when called", "shutting the channel")] * 6
    before = len(list(Path("/proc/self/fd").iterdir()))
    with Programs(seconds=1.0) as pool:
        judgements = pool.judge_all(
            Assignment(source=source, tests=tests, entry_point="add") for source in sources
        )
    assert [judgement.passed for judgement in judgements] == [True, False, False, False] * 6
    assert len(list(Path("/proc/self/fd").iterdir())) <= before
    assert not programs.judge(JUDGED["right"][0], "assert add(2, 3) == 6", "add").passed
    assert programs.judge(JUDGED["right"][0], "assert add(2, 3) == 5", "add").passed


def test_a_judge_that_was_ended_from_outside_costs_no_verdict() -> None:
    with Programs(seconds=1.0) as pool:
        others = set(psutil.Process().children(recursive=True))
        for _ in range(3):
            assert pool.judge(JUDGED["right"][0], TESTS, "add").passed
            mine = [child for child in psutil.Process().children(recursive=True) if child not in others]
            mine[-1].kill()
            psutil.wait_procs(mine[-1:], timeout=20)


def test_tests_that_swallow_errors_do_not_pass_a_dead_program(programs: Programs) -> None:
    swallowing = "try:\n  candidate(1, 2)\nexcept BaseException: pass"
    assert not programs.judge("import os\ndef add(a, b): os._exit(0)", swallowing, "add").passed
    assert not programs.judge(JUDGED["right"][0], "pass", "add").passed  # the program was never called
    assert programs.judge("def add(a, b): raise ValueError", swallowing + "\nadd", "add").passed is False


def test_exceptions_changes_of_arguments_and_helpers_reach_the_tests(programs: Programs) -> None:
    source = "def sort(x):\n  if not x: raise IndexError('none')\n  x.sort()"
    tests = """
x = [3, 1, 2]
sort(x)
assert x == ordered(x)
try:
    sort([])
except IndexError as error:
    assert str(error) == "none"
else:
    raise AssertionError
"""
    judgement = programs.judge(source, tests, "sort", "def ordered(x): return sorted(x)")
    assert (judgement.passed, judgement.forgeable, judgement.detail) == (True, False, "")


def test_tests_that_need_the_program_itself_share_its_process_and_say_so(programs: Programs) -> None:
    source = "class Stack(list): pass\ndef make(f): return f(Stack())"
    apart = programs.judge(source, "assert make(lambda s: type(s)) is Stack", "make")
    assert (apart.passed, apart.forgeable) == (True, True)
    whole = programs.judge(source, "assert Stack() == []")
    assert (whole.passed, whole.forgeable) == (True, True)
    assert not programs.judge("import os; os._exit(0)", "assert False").passed


# Running -----------------------------------------------------------------------------------------------


def test_a_program_reads_its_input_and_writes_its_output(programs: Programs) -> None:
    source = "import sys\nn = int(input())\nprint(n * 2, sys.stdin.read(), end='')"
    run = programs.run(source, "21\nné\n")
    assert (run.status, run.stdout, run.detail) == ("done", "42 né\n", "")
    large = "x" * (1 << 20)
    assert programs.run("print(len(open(0).read()))", large).stdout == f"{1 << 20}\n"
    assert programs.run("print('never read')", large).stdout == "never read\n"


@pytest.mark.parametrize(
    ("source", "status", "stdout", "said"),
    [
        ("print(1); exit()", "done", "1\n", ""),
        ("import os; print(1, flush=True); os._exit(0)", "done", "1\n", ""),
        ("import os; os._exit(3)", "error", "", "status 3"),
        ("print(1)\nraise SystemExit(2)", "error", "1\n", "exit status 2"),
        ("print(1)\n1 / 0", "error", "1\n", "ZeroDivisionError"),
        ("if __name__ == '__main__': print(__name__)", "done", "__main__\n", ""),
        ("while True: print('x' * 999)", "error", None, "bytes of output"),
        ("print('y', flush=True)\nwhile True: pass", "timeout", "y\n", "processor time"),
        ("import os\nos.write(3, b'\\0\\0\\0\\x05[\"x\"]')", "error", "", "a reply that is none"),
        (
            "from dataclasses import dataclass\n@dataclass\nclass P:\n  x: int\nprint(P(1))",
            "done",
            "P(x=1)\n",
            "",
        ),
    ],
)
def test_a_run_says_how_it_ended(
    source: str, status: str, stdout: str | None, said: str, programs: Programs
) -> None:
    run = programs.run(source)
    assert (run.status, stdout is None or run.stdout == stdout) == (status, True), run
    assert said in run.detail


def test_runs_do_not_see_each_other(programs: Programs) -> None:
    runs = programs.run_all([("open('/tmp/x', 'a').write('x'); print(open('/tmp/x').read())", "")] * 4)
    assert {run.stdout for run in runs} <= {"x\n", ""}
