"""An engine's processes end with the job, even if the job is killed."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

OWNER = """
import subprocess, sys, time
from itscale_builtin.engines.guard import Guard
engine = subprocess.Popen(["sleep", "60"])
guard = Guard([engine.pid])
if sys.argv[1] == "release":
    guard.release()
print(engine.pid, flush=True)
time.sleep(60)
"""


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def after_killing_the_owner(how: str) -> int:
    """Kill a process that guards another one, and return the id of that one."""
    owner = subprocess.Popen([sys.executable, "-c", OWNER, how], stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    pid = int(owner.stdout.readline())
    owner.kill()
    owner.wait()
    owner.stdout.close()
    return pid


def test_a_killed_job_takes_its_engine_along() -> None:
    pid = after_killing_the_owner("guard")
    deadline = time.monotonic() + 20
    while alive(pid):
        assert time.monotonic() < deadline, "the engine outlived its job"
        time.sleep(0.02)


def test_a_released_process_is_left_alone() -> None:
    pid = after_killing_the_owner("release")
    time.sleep(0.3)
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


UNGUARDED = """
import multiprocessing
from itscale_builtin.engines.guard import script_hidden
print("script", flush=True)
with script_hidden():
    child = multiprocessing.get_context("spawn").Process(target=print, args=("child",))
    child.start()
child.join()
"""


def test_a_script_without_a_guard_is_not_run_again(tmp_path: Path) -> None:
    script = tmp_path / "sample.py"
    script.write_text(UNGUARDED, encoding="utf-8")
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["script", "child"]
