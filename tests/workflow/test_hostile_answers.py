"""A study whose model attacks it: every answer gets a row and a reason, and nothing happens."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from workspace import Workspace, processes_in

from itscale.sandbox.ladder import fault_of
from itscale.store.parquet import read_metadata

HEX = r"\x5f\x5fimport\x5f\x5f"

ANSWERS = [
    # both ways past a guard of the syntax, and what else is evaluated by sympy or Python
    f"exp(\"{HEX}('os').system('touch {{target}}')\")",
    "lambda 3: exec(\"import os; os.mkdir('{target}')\")",
    "lambda 3: exec(\"import shutil; shutil.rmtree('{folder}')\")",
    "exp(\"open('{bait}','w')\")",
    "__import__('os').system('rm -r {folder}')",
    "(lambda: open('{target}', 'w'))()",
    "[c for c in ().__class__.__base__.__subclasses__() if c.__name__ == 'Popen'][0](['touch', '{target}'])",
    "Symbol('x').func.__globals__",
    "sympify(\"open('{target}','w')\")",
    "S('{HEX}(\"os\").abort()')".replace("{HEX}", HEX),
    "Function('f').__init_subclass__.__self__.__module__.open('{target}','w')",
    "N(\"exec('import os; os.kill(os.getppid(), 9)')\")",
    "eval('exit(0)')",
    "sqrt(\"__import__('time').sleep(600)\")",
    'lambda 3: exec("import os\\nwhile True: os.fork()")',
    "lambda 3: exec(\"import socket; socket.create_connection(('127.0.0.1', {port}))\")",
    "lambda 3: exec(\"import os; os.symlink('/etc/passwd', '{target}')\")",
    'lambda 3: exec("x = []\\nwhile True: x.append(bytearray(1 << 28))")',
    "lambda 3: exec(\"import subprocess; subprocess.Popen(['sleep', '600'], start_new_session=True)\")",
    'lambda 3: exec("import os; os._exit(0)")',
    'lambda 3: exec("import reasoning_gym as r; r.factory.DATASETS.clear()")',
    'lambda 3: exec("import os\\nwhile True: os.write(3, bytes(65536))")',
    # what costs time, memory or depth
    "9**9**9**9",
    "9^9^9^9",
    "factorial(factorial(99999))",
    "99999999!",
    "((((((((10!)!)!)!)!)!)!)!)",
    r"\sum_{n=1}^{10^9} \sin(n^n)",
    r"\int_0^1 \exp(\sin(x^x)) \Gamma(x)^{x^x} dx",
    r"\frac{" * 300 + "1" + "}{2}" * 300,
    "{" * 5000 + "}" * 5000,
    "(" * 5000 + "1" + ")" * 5000,
    "1+" * 20_000 + "1",
    "x" * (1 << 20),
    "9" * 100_000,
    "\x00\x1b[2J\ud83d nan inf -inf",
]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    texts: Iterator[str]
    lock = threading.Lock()


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self._reply({"object": "list", "data": [{"id": "m", "object": "model"}]})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with self.server.lock:
            texts = [next(self.server.texts) for _ in range(body.get("n") or 1)]
        choices = [
            {"index": index, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
            for index, text in enumerate(texts)
        ]
        tokens = sum(len(text) // 4 + 1 for text in texts)
        usage = {"prompt_tokens": 5, "completion_tokens": tokens, "total_tokens": 5 + tokens}
        about = {"id": "x", "object": "chat.completion", "created": 0, "model": "m"}
        self._reply(about | {"choices": choices, "usage": usage})

    def _reply(self, value: dict[str, Any]) -> None:
        content = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@contextmanager
def serving(texts: list[str]) -> Iterator[str]:
    """Serve the texts in turn, over and over, as completions of an OpenAI-compatible server."""
    with _Server(("127.0.0.1", 0), _Handler) as server:
        server.texts = itertools.cycle(texts)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/v1"
        finally:
            server.shutdown()


def study_of(url: str, tasks: dict[str, Any]) -> dict[str, Any]:
    return {
        "study": "hostile",
        "tasks": tasks,
        "models": {"served": {"plugin": "openai", "model": "m", "base_url": url}},
        "strategies": {"repeated_sampling": {"completions": len(ANSWERS), "max_tokens": 1 << 19}},
        "selectors": ["oracle", "majority_vote"],
        "block": {"problems": 2, "completions": len(ANSWERS)},
        "curves": {"resamples": 100},
    }


GYM = {"plugin": "reasoning_gym", "problems": 2}
TASKS = {
    "gym": {
        "countdown": {**GYM, "dataset": "countdown"},
        "integrals": {**GYM, "dataset": "simple_integration"},
    },
    "math": {"sums": {"plugin": "jsonl", "file": "problems.jsonl", "problems": 2, "oracle": "math"}},
}


@pytest.mark.slow
@pytest.mark.skipif(bool(fault_of("bubblewrap")), reason=f"bubblewrap: {fault_of('bubblewrap')}")
@pytest.mark.parametrize("kind", TASKS)
def test_a_hostile_model_gets_rows_with_reasons_and_nothing_else(
    kind: str, workspace: Workspace, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("precious")
    bait, target = folder / "bait", folder / "made-by-an-answer"
    bait.write_text("bait")
    texts = []
    for answer in ANSWERS:
        for name, value in {"target": target, "folder": folder, "bait": bait, "port": 22}.items():
            answer = answer.replace("{" + name + "}", str(value))
        texts.append(f"It is \\boxed{{{answer}}}.\n<answer>{answer}</answer>")
    with serving(texts) as url:
        workspace.write(study_of(url, TASKS[kind]))
        before = set(workspace.folder.iterdir())
        begun = time.monotonic()
        done = workspace.itscale("run", "study.yaml", "--cores", "2")
        passed = time.monotonic() - begun
    assert done.returncode == 0, done.stderr
    assert [file.name for file in folder.iterdir()] == ["bait"]
    assert bait.read_text() == "bait"
    made = {path.name for path in set(workspace.folder.iterdir()) - before}
    assert made <= {"results", "reports", "logs", ".snakemake"}
    assert processes_in(workspace.folder) == []
    files = sorted((workspace.folder / "results/hostile/verdicts").rglob("*.parquet"))
    verdicts = pl.concat([pl.read_parquet(file) for file in files])
    assert len(verdicts) == 2 * len(ANSWERS) * len(TASKS[kind])
    assert not verdicts["correct"].any()
    unjudged = verdicts.filter(pl.col("status") != "judged")
    assert (unjudged["detail"].str.len_chars() > 0).all()
    assert {read_metadata(Path(file))["sandbox"] for file in files} <= {"bubblewrap", None}
    assert passed < 600  # not a measurement: a machine that is busy takes its time, an endless study does not
