"""A call comes back whatever its arguments do, and the next one finds nothing of it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from itscale.sandbox import RUNGS, Programs, Reply, Sandbox, SandboxError, contained, containment
from itscale.sandbox.ladder import best_rung, fault_of
from itscale.sandbox.launch import FIRST_UID
from itscale.sandbox.places import places

HELD = [rung for rung in RUNGS if not fault_of(rung)]


@pytest.fixture(params=HELD)
def rung(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(contained, "best_rung", lambda weakest: request.param)
    return str(request.param)


def test_the_sandbox_outlives_whatever_it_calls(rung: str) -> None:
    with Sandbox("os:abort", seconds=5) as sandbox:
        assert "was ended by SIG" in sandbox.call().detail
        assert sandbox.call().status == "error"
        sandbox.close()
        assert sandbox.call().status == "error"  # a closed one starts anew
        assert sandbox.rung == rung


def test_calls_have_limits(rung: str) -> None:
    with Sandbox("operator:mul", seconds=5, memory=1 << 30, output=1 << 20) as multiply:
        assert multiply.call("x", 4 << 30).detail.startswith("MemoryError")
        assert multiply.call("x", 2 << 20) == Reply("error", None, "more than 1048576 bytes of output")
        assert multiply.call(6, 7) == Reply("done", 42)
    with Sandbox("time:sleep", seconds=0.05) as waiting:
        assert waiting.call(60).detail == "more than 1.05 s, some of them idle"
    with Sandbox("operator:pow", seconds=0.1) as working:
        assert working.call(9, 9**9).detail == "more than 0.1 s of processor time"


def test_replies_come_in_order_and_a_bad_call_costs_no_other() -> None:
    with Sandbox("operator:truediv", seconds=1, together=10) as divide:
        replies = divide.map([(6, divisor) for divisor in (1, 0, 2, 3, 0, 6)])
    assert [reply.value for reply in replies] == [6, None, 3, 2, None, 1]
    assert [reply.status for reply in replies] == ["done", "error", "done", "done", "error", "done"]


def test_a_megabyte_goes_in_and_comes_out() -> None:
    with Sandbox("builtins:len", seconds=5) as count:
        assert count.call("é" * (1 << 20)).value == 1 << 20
    with Sandbox("operator:mul", seconds=5, output=2 << 20) as multiply:
        assert multiply.call("y", 1 << 20).value == "y" * (1 << 20)


def test_a_target_that_cannot_be_imported_is_an_error_of_its_author() -> None:
    with pytest.raises(SandboxError, match="no_such_module"):
        Sandbox("no_such_module:function", seconds=5).call(1)


AS_ANYBODY = """
from itscale.sandbox import Programs, Sandbox
with Sandbox("builtins:eval", seconds=1) as sandbox, Programs() as programs:
    print(sandbox.rung, sandbox.call("6 * 7").value, sandbox.call("open('/etc/passwd')").status)
    print(programs.judge("def f(x): return x + 1", "assert f(1) == 2", "f").passed)
"""


def test_an_ordinary_user_has_a_sandbox_too(tmp_path: Path) -> None:
    python = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
    if os.getuid() != 0 or not Path(python).exists() or not places(["itscale_builtin"]).world_readable:
        pytest.skip("takes root, and a Python that everybody may run")
    ended = subprocess.run(
        [python, "-c", AS_ANYBODY],
        user=FIRST_UID - 1,
        group=FIRST_UID - 1,
        extra_groups=[],
        cwd="/",
        env={"PYTHONPATH": os.pathsep.join(places(["itscale_builtin"]).path[3:]), "HOME": "/"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout.split()[1:] == ["42", "error", "True"], ended.stderr
    assert ended.stdout.split()[0] in HELD


def test_the_record_says_which_rung_ran() -> None:
    with containment("process") as record:
        sandbox = Sandbox("operator:add", seconds=5)
        assert record.used is None
        with sandbox:
            assert sandbox.call(1, 2).value == 3
    assert record.used == best_rung("process")


def test_what_is_missing_is_named_and_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "itscale.sandbox.ladder.fault_of", lambda rung: "" if rung == "process" else "is not there"
    )
    with pytest.raises(SandboxError) as refused:
        best_rung("landlock")
    for part in (
        "bubblewrap: is not there",
        "landlock: is not there",
        "apt-get install",
        "`sandbox: process`",
    ):
        assert part in str(refused.value)
    assert best_rung("process") == "process"


NOBODY = 1 << 40
"""A number that no user has: becoming that one fails, the last step of confinement."""


def test_a_call_that_cannot_be_confined_is_a_fault_of_the_machine_not_of_the_answer(rung: str) -> None:
    """A program would be judged wrong, though nobody has read it."""
    with Programs() as programs:
        assert programs.judge("def f(): return 1", "assert f() == 1", "f").passed
        (desk,) = programs._pool._made
        desk.program.close()
        desk.program._settings = replace(desk.program._settings, uid=NOBODY)
        for judge in (
            lambda: programs.judge("def f(): return 1", "assert f() == 1", "f"),
            lambda: programs.judge("def f(): return 1", "assert f() == 1"),
            lambda: programs.run("print(1)"),
        ):
            with pytest.raises(SandboxError, match="could not be confined: OverflowError"):
                judge()
    with Sandbox("os:_exit", seconds=1) as sandbox:
        assert sandbox.call(77) == Reply("error", detail="the process ended early, with status 77")
