"""The sandbox where machines and hosts are odd: it works, or says in one line why not."""

from __future__ import annotations

import asyncio
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from itscale.sandbox import Sandbox, SandboxError, ladder, launch, places, pool
from itscale.sandbox.pool import Pool

CALL = """
import os, sys
from itscale.sandbox import Programs, SandboxError
with Programs(seconds=2) as programs:
    try:
        said = f"passed {programs.judge('def f(x): return x + 1', 'assert f(1) == 2', 'f').passed}"
    except SandboxError as error:
        said = str(error)
open(sys.argv[1], "w").write(said)
"""


def said_by_a_host(tmp_path: Path, prepare: Callable[[], None], **variables: str) -> str:
    """Judge a program in a process that is prepared first; return what it said."""
    said = tmp_path / "said"
    host = subprocess.run(
        [sys.executable, "-c", CALL, said],
        env=os.environ | variables,
        preexec_fn=prepare,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert host.returncode == 0, host.stderr
    return said.read_text()


def without_streams() -> None:
    os.closerange(0, 2)


def with_few_descriptors() -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))


def with_little_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (256 << 20, 256 << 20))


@pytest.mark.parametrize("prepare", [without_streams, with_few_descriptors, with_little_memory])
def test_a_program_is_judged_by_a_host_in_need(prepare: Callable[[], None], tmp_path: Path) -> None:
    folder = tmp_path / " a folder with spaces "
    folder.mkdir()
    variables = {"TMPDIR": str(folder), "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    assert said_by_a_host(tmp_path, prepare, **variables) == "passed True"
    assert list(folder.iterdir()) == []


def test_a_host_without_descriptors_says_so(tmp_path: Path) -> None:
    said = said_by_a_host(tmp_path, lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (20, 20)))
    assert "Too many open files" in said
    assert "\n" not in said


def test_bubblewrap_is_found_though_the_path_leads_elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    found = launch.bwrap()
    monkeypatch.setenv("PATH", "/nonexistent")
    assert launch.bwrap() == found


def test_an_environment_below_tmp_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "somewhere" / "odd_package"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(
        "def answer():\n    import tempfile\n    from odd_package import later\n"
        "    with tempfile.TemporaryFile() as file:\n        return later.VALUE + file.write(b'xx')\n"
    )
    (package / "later.py").write_text("VALUE = 40")
    monkeypatch.syspath_prepend(str(package.parent))
    monkeypatch.setattr(places, "SCRATCH", (f"/{tmp_path.parts[1]}", "/var/tmp"))
    with Sandbox("odd_package:answer", seconds=5) as sandbox:
        if sandbox.rung != "bubblewrap":
            pytest.skip("other rungs have no temporary files")
        assert sandbox.call().value == 42
    assert places.places(["odd_package"]).scratch == "/var/tmp"


def test_without_a_place_for_temporary_files_the_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nonexistent")
    with pytest.raises(SandboxError, match=r"does not start: .*/nonexistent"), ladder._bait():
        pass


def test_a_zygote_that_ends_at_once_says_why() -> None:
    with pytest.raises(SandboxError, match="does not start: ModuleNotFoundError: No module named 'nowhere'"):
        Sandbox("nowhere:function", seconds=1).call()


# Hosts ---------------------------------------------------------------------------------------------------


def test_threads_an_event_loop_and_two_sandboxes_do_not_mind_each_other() -> None:
    with Sandbox("operator:mul", seconds=5) as one, Sandbox("operator:add", seconds=5) as other:
        replies: dict[int, list[int]] = {}

        def work(number: int) -> None:
            called = (one, other)[number % 2].map([(number, item) for item in range(20)])
            replies[number] = [reply.value for reply in called]

        async def in_a_loop() -> int:
            return int((await asyncio.to_thread(one.call, 6, 7)).value) + int(other.call(1, 2).value)

        threads = [threading.Thread(target=work, args=(number,), daemon=True) for number in range(4)]
        for thread in threads:
            thread.start()
        assert asyncio.run(in_a_loop()) == 45
        for thread in threads:
            thread.join()
    for number in range(4):
        assert replies[number] == [number + item if number % 2 else number * item for item in range(20)]


def test_a_fork_of_the_host_has_processes_of_its_own() -> None:
    with Sandbox("operator:mul", seconds=5, together=10) as multiply:
        assert multiply.call(6, 7).value == 42
        fork = os.fork()
        if fork == 0:
            code = 1
            try:
                code = 0 if multiply.call(2, 3).value == 6 else 1
                multiply.close()
            finally:
                os._exit(code)
        assert os.waitpid(fork, 0)[1] == 0
        assert multiply.call(3, 4).value == 12


def test_calls_go_on_after_the_main_thread() -> None:
    code = (
        "import threading, time\nfrom itscale.sandbox import Sandbox\n"
        "def work():\n  time.sleep(0.3)\n  with Sandbox('operator:mul', seconds=5) as multiply:\n"
        "    print([reply.value for reply in multiply.map([(6, 7)] * 3)])\n"
        "threading.Thread(target=work).start()"
    )
    host = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (host.stdout, host.stderr) == ("[42, 42, 42]\n", "")


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_host_that_is_ended_amid_programs(ending: signal.Signals) -> None:
    code = """
import threading
from itscale.sandbox import Programs, Sandbox
from itscale.sandbox.programs import Assignment
waiting = "import time\\ndef f(x):\\n  while True: time.sleep(1)"
programs, calls = Programs(seconds=60), Sandbox("builtins:exec", seconds=60)
print(programs.rung, flush=True)
endless = [Assignment(source=waiting, tests="f(1)", entry_point="f")] * 200
threading.Thread(target=programs.judge_all, args=(endless,)).start()
busy = "import threading, time\\nwhile True: threading.Thread(target=time.sleep, args=(99,)).start()"
calls.map([(busy, {})] * 200)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as host:
        assert host.stdout is not None
        host.stdout.readline()
        started: list[psutil.Process] = []
        deadline = time.monotonic() + 60
        while len(started) < 6 and time.monotonic() < deadline:
            time.sleep(0.1)
            started = psutil.Process(host.pid).children(recursive=True)
        host.send_signal(ending)
        host.wait()
    assert len(started) >= 6
    _, alive = psutil.wait_procs(started, timeout=20)
    assert alive == []


# The pool ------------------------------------------------------------------------------------------------


class Bench:
    """A workplace that only knows its number."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.discarded = 0

    def close(self) -> None:
        pass

    def discard(self) -> None:
        self.discarded += 1


def test_what_one_item_raises_ends_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "processors", lambda: 4)
    done = []

    def work(bench: Bench, item: int) -> int:
        if item == 5:
            raise KeyboardInterrupt
        time.sleep(0.001)
        done.append(item)
        return item

    benches = Pool(Bench)
    with pytest.raises(KeyboardInterrupt):
        benches.map(work, range(10_000))
    assert len(done) < 100
    assert sum(bench.discarded for bench in benches._made) == 1
    assert benches.map(lambda bench, item: item, range(9)) == list(range(9))


def test_no_two_workplaces_have_one_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "processors", lambda: 8)

    def slowly(number: int) -> Bench:
        time.sleep(0.02)
        return Bench(number)

    benches = Pool(slowly)
    benches.map(lambda bench, item: time.sleep(0.001), range(64))
    numbers = [bench.number for bench in benches._made]
    assert len(numbers) == len(set(numbers)) > 1


def test_no_more_workplaces_than_descriptors_allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(64)))
    for soft, most in ((16, 1), (64, 2), (1 << 20, 8), (resource.RLIM_INFINITY, 8)):
        monkeypatch.setattr(resource, "getrlimit", lambda what, soft=soft: (soft, soft))
        assert pool.processors() == most


def test_a_fault_of_the_machine_is_one_of_the_sandbox() -> None:
    def work(bench: Bench, item: int) -> None:
        raise OSError(24, "Too many open files")

    with pytest.raises(SandboxError, match=r"a call cannot be made: .*Too many open files"):
        Pool(Bench).map(work, [1])


def test_without_threads_the_caller_does_it_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(pool, "processors", lambda: 4)
    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert Pool(Bench).map(lambda bench, item: item * 2, range(9)) == [0, 2, 4, 6, 8, 10, 12, 14, 16]
