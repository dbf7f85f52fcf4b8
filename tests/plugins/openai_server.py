"""A server of chat completions on the loopback that answers as a test wants."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from itscale.errors import EngineError
from itscale.types import Generation, GenerationRequest, Problem, SamplingParams, Step
from itscale_builtin.engines.openai import OpenAIEngine, OpenAIOptions

PROBLEM = Problem(problem_id="p", messages=({"role": "user", "content": "2 + 2?"},), reference="4")
Answer = tuple[int, dict[str, str], Any]


def choice(text: Any = "4", **more: Any) -> dict[str, Any]:
    return {
        "index": 0,
        "finish_reason": "stop",
        "message": {"role": "assistant", "content": text},
        "logprobs": None,
    } | more


def reply(*choices: dict[str, Any], prompt: int = 7, generated: int = 10, **more: Any) -> Answer:
    usage = {"prompt_tokens": prompt, "completion_tokens": generated, "total_tokens": prompt + generated}
    body = {"id": "x", "object": "chat.completion", "created": 0, "model": "m", "choices": list(choices)}
    return 200, {}, body | {"usage": usage} | more


def error(status: int, message: str = "said the server") -> Answer:
    return status, {"retry-after-ms": "1"}, {"error": {"message": message}}


class Server:
    """Answers each request by what `behave` makes of the body and the number of the request."""

    def __init__(self, behave: Callable[[dict[str, Any], int], Answer | None]) -> None:
        self.behave = behave
        self.bodies: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.paths: list[str] = []
        self.running = self.peak = 0
        self.lock = threading.Lock()
        self.url = ""


@contextmanager
def serving(behave: Callable[[dict[str, Any], int], Answer | None]) -> Iterator[Server]:
    server = Server(behave)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            with server.lock:
                number = len(server.bodies)
                server.bodies.append(body)
                server.paths.append(self.path)
                server.keys.append(self.headers["authorization"])
                server.running += 1
                server.peak = max(server.peak, server.running)
            try:
                answer = server.behave(body, number)
            finally:
                with server.lock:
                    server.running -= 1
            if answer is None:  # drop the connection without a word
                self.close_connection = True
                return
            status, headers, content = answer
            data = content if isinstance(content, bytes) else json.dumps(content).encode()
            self.send_response(status)
            for name, value in {"content-type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: Any) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    server.url = f"http://127.0.0.1:{http.server_port}/v1"
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def generate(
    url: str,
    count: int = 1,
    *,
    prefix: tuple[Step, ...] = (),
    params: SamplingParams | None = None,
    requests: int = 1,
    **options: Any,
) -> list[Generation]:
    settings = {"model": "m", "base_url": url, "max_retries": 2, "pause": 0.001} | options

    async def run() -> list[Generation]:
        engine = OpenAIEngine(OpenAIOptions(**settings))
        request = GenerationRequest(
            problem=PROBLEM, prefix=prefix, params=params or SamplingParams(), seeds=tuple(range(count))
        )
        try:
            batches = await asyncio.gather(*(engine.generate(request) for _ in range(requests)))
        finally:
            await engine.close()
        return [generation for batch in batches for generation in batch]

    return asyncio.run(run())


def refused(url: str, **options: Any) -> str:
    with pytest.raises(EngineError) as caught:
        generate(url, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert url in message
    return message
