"""Attacks on the sandbox: each is contained on every rung, and leaves nothing running and nothing written."""

from __future__ import annotations

import ctypes
import os
import socket
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from itscale.sandbox import Sandbox, contained
from itscale.sandbox.ladder import fault_of
from itscale.sandbox.settings import Rung

SYSCALL = """
import ctypes, errno, os, platform
libc = ctypes.CDLL(None, use_errno=True)
def refused(x86_64, aarch64, *arguments):
    number = x86_64 if platform.machine() == "x86_64" else aarch64
    result = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, arguments))
    if result >= 0 or ctypes.get_errno() not in (errno.EPERM, errno.ENOSYS):
        raise BaseException(f"escaped: {number} gave {result}, {ctypes.get_errno()}")
"""

ATTACKS: dict[str, tuple[str, str]] = {
    # name: (what is executed, what the reply says)
    "early exit": ("import os; os._exit(0)", "the process ended early, with status 0"),
    "exit": ("raise SystemExit(0)", "SystemExit"),
    "interrupt": ("raise KeyboardInterrupt", "KeyboardInterrupt"),
    "an error that cannot be shown": ("raise type('E', (Exception,), {'__str__': 0})", "E:"),
    "closing every descriptor": ("import os; os.closerange(0, 100)", "the process ended early"),
    "writing to every descriptor": (
        "import os\nfor d in range(64):\n"
        "  try: os.write(d, b'\\0\\0\\0\\x09[\"done\",9]')\n"
        "  except OSError: pass",
        "a reply that is none",
    ),
    "a reply without an end": ("import os\nwhile True: os.write(3, b'\\xff' * 65536)", "bytes of output"),
    "an endless loop": ("while True: pass", "processor time"),
    "an endless loop behind blocked signals": (
        "import signal; signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65))\nwhile True: pass",
        "processor time",
    ),
    "a swallowed time-out": (
        "while True:\n  try:\n    while True: pass\n  except BaseException: pass",
        "processor",
    ),
    "raising its own limit": (
        "import resource; resource.setrlimit(resource.RLIMIT_CPU, (9999, 9999))",
        "ValueError",
    ),
    "sleeping": ("import time; time.sleep(600)", "idle"),
    "stopping itself": (
        "import os, signal, time; os.kill(os.getpid(), signal.SIGSTOP); time.sleep(600)",
        "idle",
    ),
    "one long instruction": ("10 ** 10 ** 9", "processor time"),
    "a tower of powers": ("9 ** 9 ** 9 ** 9", "processor time"),
    "a hostile regular expression": ("import re; re.match(r'(\\w+\\s?)+\\.$', 'a' * 60)", "processor time"),
    "recursion in C": ("import ctypes; ctypes.string_at(0)", "was ended by SIGSEGV"),
    "four gigabytes": ("bytearray(4 << 30)", "MemoryError"),
    "four gigabytes in pieces": (
        "import mmap; x = []\nwhile True: x.append(mmap.mmap(-1, 200 << 20))",
        "Cannot allocate",
    ),
    "threads without end": (
        "import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(60,)).start()",
        "RuntimeError",
    ),
    "a fork bomb": ("import os\nwhile True: os.fork()", "PermissionError"),
    "a daemon": ("import os, time\nif os.fork() == 0:\n  os.setsid(); time.sleep(60)", "PermissionError"),
    "a program": ("import subprocess; subprocess.run(['/bin/sleep', '60'])", "Error"),
    "becoming a program": ("import os; os.execv('/bin/sleep', ['sleep', '60'])", "PermissionError"),
    "killing its parent": ("import os; os.kill(os.getppid(), 9)", "PermissionError"),
    "killing everybody": ("import os; os.kill(-1, 9)", "PermissionError"),
    "killing its group": ("import os; os.kill(0, 9)", "PermissionError"),
    "killing process 1": ("import os; assert os.getpid() != 1; os.kill(1, 9)", "Error"),
    "the host itself": ("import os; os.kill({host}, 9)", "PermissionError"),
    "another's limits": ("import resource; resource.prlimit({host}, 0)", "PermissionError"),
    "a socket": ("import socket; socket.create_connection(('127.0.0.1', 22))", "PermissionError"),
    "a local socket": ("import socket; socket.socket(socket.AF_UNIX)", "PermissionError"),
    "the list of users": ("open('/etc/passwd')", "Error"),
    "the environment of others": ("open('/proc/{host}/environ')", "Error"),
    "a file of the user": ("open('{bait}')", "Error"),
    "a file of the user behind a link": (
        "import os; os.symlink('{bait}', '/tmp/x'); open('/tmp/x')",
        "Error",
    ),
    "a file of the user by way of ..": ("open('/tmp/../../..{bait}')", "Error"),
    "writing a file of the user": ("open('{bait}', 'w')", "Error"),
    "deleting a file of the user": ("import os; os.remove('{bait}')", "Error"),
    "changing a file's mode": ("import os; os.chmod('{bait}', 0)", "Error"),
    "writing beside it": ("open('{folder}/new', 'w')", "Error"),
    "writing the interpreter": ("import os; open(os.__file__, 'a')", "Error"),
    "writing the system": ("open('/usr/lib/x', 'w')", "Error"),
    "writing where devices are": ("open('/dev/x', 'w')", "Error"),
    "shared memory": ("open('/dev/shm/x', 'w')", "Error"),
    "a file of a gigabyte": (
        "f = open('/tmp/x', 'wb')\nfor i in range(1024): f.write(bytes(1 << 20))",
        "Error",
    ),
    "many files": ("for i in range(99999): open(f'/tmp/{i}', 'wb').write(bytes(4096))", "Error"),
    "memory as a file": ("import os; os.memfd_create('x')", "PermissionError"),
    "becoming root": ("import os; os.setgroups([0])", "PermissionError"),
    "tracing": (SYSCALL + "refused(101, 117, 0, 0, 0, 0)", ""),
    "a user namespace": (SYSCALL + "refused(272, 97, 0x10000000)", ""),
    "a process by clone": (SYSCALL + "refused(56, 220, 17, 0, 0, 0, 0)", ""),
    "mounting": (SYSCALL + "refused(165, 40, 0, 0, 0, 0, 0)", ""),
    "unmounting": (SYSCALL + "refused(166, 39, 0, 0)", ""),
    "io_uring": (SYSCALL + "refused(425, 425, 1, 0)", ""),
    "bpf": (SYSCALL + "refused(321, 280, 0, 0, 0)", ""),
    "keys": (SYSCALL + "refused(250, 219, 0, 0, 0, 0, 0)", ""),
    "shared segments": (SYSCALL + "refused(29, 194, 1, 4096, 0o1600)", ""),
    "giving up its death with its parent": (SYSCALL + "refused(157, 167, 1, 0, 0, 0, 0)", ""),
    "semaphores, queues and segments of others": (
        SYSCALL + "for call in (64, 190), (66, 191), (65, 193), (220, 192), (68, 186), (71, 187), (70, 188),"
        " (69, 189), (30, 196), (31, 195), (67, 197): refused(*call, 0, 0, 0, 0)",
        "",
    ),
    "attributes of files": (
        SYSCALL + "for call in (188, 5), (189, 6), (190, 7), (197, 14), (198, 15), (199, 16), (463, 463),"
        " (464, 464), (465, 465), (466, 466), (468, 468), (469, 469): refused(*call, -1, 0, 0, 0, 0)",
        "",
    ),
    "mounts, old and new calls": (
        SYSCALL + "for call in (155, 41), (161, 51), (442, 442), (457, 457), (458, 458), (467, 467),"
        " *((number, number) for number in range(428, 434)): refused(*call, -1, 0, 0, 0)",
        "",
    ),
    "calls that there are not yet": (
        SYSCALL + "for number in (*range(470, 1024), 99999): refused(number, number, -1, 0, 0, 0, 0, 0)",
        "",
    ),
    "watching folders": (
        SYSCALL + "for call in (294, 26), (254, 27), (300, 262), (301, 263): refused(*call, -1, 0, 0)\n"
        "if platform.machine() == 'x86_64': refused(253, 0)",
        "",
    ),
    "clocks of others": ("import time; time.clock_gettime((~{host} << 3) | 2)", "PermissionError"),
    "a datagram": ("import socket; socket.socketpair(type=socket.SOCK_DGRAM)", "PermissionError"),
    "packets": ("import socket; socket.socketpair(type=socket.SOCK_SEQPACKET)", "PermissionError"),
    "a message to an address": (
        "import socket; socket.socketpair()[0].sendto(b'x', '{folder}/socket')",
        "PermissionError",
    ),
    "a message with descriptors": (
        "import socket; one, other = socket.socketpair(); socket.send_fds(one, [b'x'], [0])",
        "PermissionError",
    ),
    "the process at the other end": (
        "import socket; socket.fromfd(3, 1, 1).getsockopt(1, 77, 4)",
        "PermissionError",
    ),
    "signals by way of a descriptor": (
        "import errno, fcntl, socket, struct\none, other = socket.socketpair()\n"
        "who = struct.pack('i', {host})\n"
        "for call in [lambda r=r: fcntl.ioctl(one, r, who) for r in (0x8901, 0x8902)]"
        " + [lambda c=c: fcntl.fcntl(one, c, 9) for c in (8, 10, 15, 1024, 1026)]:\n"
        "  try: call()\n"
        "  except OSError as error: assert error.errno == errno.EPERM\n"
        "  else: raise BaseException('escaped')",
        "",
    ),
    "flags of the interpreter's files": (
        "import fcntl, os; fcntl.ioctl(os.open(os.__file__, 0), 0x40086602, bytes(8))",
        "PermissionError",
    ),
    "locking the interpreter's files": (
        "import fcntl, os; fcntl.flock(os.open(os.__file__, 0), fcntl.LOCK_EX)",
        "PermissionError",
    ),
    "a lease on the interpreter's files": (
        "import fcntl, os; fcntl.fcntl(os.open(os.__file__, 0), fcntl.F_SETLEASE, 0)",
        "PermissionError",
    ),
}

READING = (
    "the list of users",
    "the environment of others",
    "a file of the user",
    "a file of the user by way of ..",
)


@pytest.fixture(
    scope="module",
    params=["bubblewrap", *(pytest.param(rung, marks=pytest.mark.slow) for rung in ("landlock", "process"))],
)
def rung(request: pytest.FixtureRequest) -> Rung:
    if fault := fault_of(request.param):
        pytest.skip(f"{request.param}: {fault}")
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def execute(rung: Rung) -> Iterator[Sandbox]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(contained, "best_rung", lambda weakest: rung)
        others = set(psutil.Process().children(recursive=True))  # sandboxes of other tests
        with Sandbox("builtins:exec", seconds=0.3, memory=1 << 30) as sandbox:
            yield sandbox
            left = [child for child in psutil.Process().children(recursive=True) if child not in others]
            assert left
        _, alive = psutil.wait_procs(left, timeout=20)
        assert alive == []


@pytest.fixture
def bait(tmp_path: Path) -> Path:
    file = tmp_path / "bait"
    file.write_text("bait")
    for place in (tmp_path, tmp_path.parent, tmp_path.parent.parent):
        place.chmod(0o777)
    file.chmod(0o666)
    return file


@pytest.mark.parametrize("attack", ATTACKS)
def test_an_attack_is_contained(attack: str, execute: Sandbox, bait: Path) -> None:
    code, said = ATTACKS[attack]
    if execute.rung == "process" and attack in READING:
        assert bait.read_text() == "bait"
        return  # what this rung does not contain, and says so
    before = {process.pid for process in psutil.Process().children(recursive=True)}
    for name, value in {"host": os.getpid(), "bait": bait, "folder": bait.parent}.items():
        code = code.replace("{" + name + "}", str(value))
    reply = execute.call(code, {})
    assert "escaped" not in reply.detail
    assert said in reply.detail or attack == "threads without end", reply
    assert (reply.status == "done") == (said == ""), reply
    assert bait.read_text() == "bait"
    assert bait.stat().st_mode & 0o777 == 0o666
    assert list(bait.parent.iterdir()) == [bait]
    assert execute.call("assert 6 * 7 == 42", {}).status == "done"
    running = {process.pid for process in psutil.Process().children(recursive=True)}
    assert len(running - before) <= 4  # two of bubblewrap's, a zygote, and its child of the last call


MEDDLING = """
import contextlib, ctypes, fcntl, os, socket, struct
libc = ctypes.CDLL(None, use_errno=True)
def datagram(address):
    socket.socketpair(type=socket.SOCK_DGRAM)[0].sendto(b"x", address)
def signal(request):
    one, other = socket.socketpair()
    fcntl.fcntl(one, 10, 9)
    fcntl.ioctl(one, request, struct.pack("i", {victim}))
    fcntl.fcntl(one, fcntl.F_SETFL, os.O_ASYNC | os.O_NONBLOCK)
    other.send(b"x")
value = ctypes.create_string_buffer(b"taken")
attribute = struct.pack("QII", ctypes.addressof(value), 5, 0)
for attempt in (
    lambda: datagram("{folder}/socket"),
    lambda: datagram("\\0{victim}"),
    lambda: signal(0x8901),
    lambda: signal(0x8902),
    lambda: os.setxattr("{bait}", "user.taken", b"x"),
    lambda: libc.syscall(463, -100, b"{bait}", 0, b"user.taken", attribute, 16),
    lambda: libc.semctl({semaphore}, 0, 16, 7),
    lambda: libc.semctl({semaphore}, 0, 0, 0),
    lambda: libc.msgctl({queue}, 0, 0),
    lambda: libc.shmctl({segment}, 0, 0),
):
    with contextlib.suppress(OSError):
        attempt()
"""


def test_what_is_outside_of_files_stays_as_it_was(execute: Sandbox, bait: Path) -> None:
    libc = ctypes.CDLL(None)
    there = {"semaphore": libc.semget(0, 1, 0o666), "queue": libc.msgget(0, 0o666)}
    there["segment"] = libc.shmget(0, 4096, 0o666)
    about = ctypes.create_string_buffer(512)
    with (
        subprocess.Popen(["sleep", "60"]) as victim,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as named,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as abstract,
    ):
        named.bind(f"{bait.parent}/socket")
        abstract.bind(f"\0{victim.pid}")
        Path(bait.parent, "socket").chmod(0o666)
        code = MEDDLING
        for name, value in {"bait": bait, "folder": bait.parent, "victim": victim.pid, **there}.items():
            code = code.replace("{" + name + "}", str(value))
        assert execute.call(code, {}).detail == ""
        for receiver in (named, abstract):
            receiver.setblocking(False)
            with pytest.raises(BlockingIOError):
                receiver.recv(1)
        assert victim.poll() is None
        victim.kill()
        assert os.listxattr(bait) == []
        # 12: the value of a semaphore; 2: what is known of a queue, of a segment; 0: remove it
        assert libc.semctl(there["semaphore"], 0, 12) == 0
        assert libc.msgctl(there["queue"], 2, about) == 0
        assert libc.shmctl(there["segment"], 2, about) == 0
        assert libc.semctl(there["semaphore"], 0, 0) == 0
        assert libc.msgctl(there["queue"], 0, None) == 0
        assert libc.shmctl(there["segment"], 0, None) == 0


def test_a_descriptor_keeps_no_flags_for_the_next_call(execute: Sandbox) -> None:
    code = "import os; assert all(map(os.get_blocking, range(3)))"
    assert execute.call(code + "; os.set_blocking(0, False)", {}).detail == ""
    assert execute.call(code, {}).detail == ""


ORDINARY = """
import asyncio, copy, glob, os, queue, select, shutil, socket, tempfile, threading, time
async def twice(x):
    await asyncio.sleep(0.001)
    return 2 * x
async def both():
    return await asyncio.gather(twice(1), asyncio.to_thread(len, "four"))
assert asyncio.run(both()) == [2, 4]
results = queue.Queue()
threads = [threading.Thread(target=results.put, args=(i,)) for i in range(8)]
[thread.start() for thread in threads]
[thread.join() for thread in threads]
assert sorted(results.queue) == list(range(8))
one, other = socket.socketpair()
one.settimeout(1)
one.sendall(b"x")
assert other.recv(1) == b"x"
assert os.get_terminal_size and shutil.get_terminal_size() == (80, 24)
time.sleep(0.001), time.process_time(), time.thread_time(), time.monotonic_ns(), os.times(), os.urandom(3)
assert os.cpu_count() and glob.glob("/usr/*") and os.stat(os.__file__).st_size
if {writes}:
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy2(os.__file__, folder)
        os.rename(f"{folder}/os.py", f"{folder}/so.py")
        os.utime(f"{folder}/so.py", (1, 1))
        assert os.listdir(folder) == ["so.py"]
"""


def test_what_ordinary_programs_do_is_allowed(execute: Sandbox) -> None:
    writes = execute.rung == "bubblewrap"
    assert execute.call(ORDINARY.replace("{writes}", str(writes)), {}).detail == ""


def test_the_environment_holds_no_secret(execute: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_KEY", "secret")
    execute.close()
    code = "import os; assert 'secret' not in str(os.environ); assert os.environ['PYTHONHASHSEED'] == '0'"
    assert execute.call(code, {}).detail == ""


def test_the_working_directory_is_not_on_the_path(execute: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "colorsys.py").write_text("raise BaseException('taken')")
    here = Path.cwd()
    os.chdir(tmp_path)
    try:
        execute.close()
        assert execute.call("import colorsys, sys; assert '' not in sys.path", {}).detail == ""
    finally:
        os.chdir(here)


def test_nothing_of_a_call_is_left_for_the_next(execute: Sandbox) -> None:
    spoil = """
        import builtins, json, os
        builtins.len = lambda *a: 0
        json.dumps = json.loads = lambda *a: ["done", "spoilt", ""]
        try: open("/tmp/left", "w").write("left")
        except OSError: pass
        """
    execute.call(textwrap.dedent(spoil), {})
    look = """
        import os
        assert len("abc") == 3
        assert not os.path.exists("/tmp/left")
        """
    assert execute.call(textwrap.dedent(look), {}).detail == ""


def test_a_child_that_failed_is_replaced_though_it_had_calls_left() -> None:
    with Sandbox("builtins:exec", seconds=1, together=100) as execute:
        assert execute.call("import builtins; builtins.sorted = None", {}).status == "done"
        assert execute.call("sorted('abc')", {}).status == "error"
        assert execute.call("sorted('abc')", {}).status == "done"


def test_earlier_calls_are_not_in_memory(execute: Sandbox) -> None:
    execute.call("x = 'the-secret-of-an-earlier-call'", {})
    look = """
        import gc
        needle = "the-secret-of-an-" + "earlier-call"
        for holder in gc.get_objects():
            for held in gc.get_referents(holder):
                assert not (isinstance(held, (str, bytes)) and needle in str(held) and held is not needle)
        """
    assert execute.call(textwrap.dedent(look), {}).detail in ("", "more than 0.3 s of processor time")


def test_a_deep_reply_and_a_large_one_are_refused() -> None:
    with Sandbox("builtins:eval", seconds=5, output=1 << 16) as evaluate:
        deep = "(lambda f, x: [x := [x] for _ in range(99999)][-1])(0, [])"
        assert evaluate.call(deep).status == "error"
        assert evaluate.call("'x' * (50 << 20)").detail == "more than 65536 bytes of output"
        forged = "__import__('os').write(3, (60000).to_bytes(4, 'big') + b'[' * 60000)"
        assert evaluate.call(forged).detail == "a reply that is none"


def test_a_killed_host_leaves_nothing_running(tmp_path: Path) -> None:
    import signal
    import subprocess
    import sys

    code = (
        "from itscale.sandbox import Sandbox; import threading, time, os\n"
        "s = Sandbox('time:sleep', seconds=60)\n"
        "threading.Thread(target=s.call, args=(60,)).start()\n"
        "while not (s._pool._made and s._pool._made[0]._child): time.sleep(0.01)\n"
        "print(flush=True); time.sleep(60)"
    )
    host = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=tmp_path)
    assert host.stdout is not None
    host.stdout.readline()
    children = psutil.Process(host.pid).children(recursive=True)
    assert len(children) >= 2
    host.send_signal(signal.SIGKILL)
    host.wait()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert alive == []
