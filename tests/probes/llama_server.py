"""A server on the loopback with llama.cpp's own protocol, which counts what it reads and writes."""

import json
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

WORDS = ["one", "two", "three", "\n\n", "."]


class Server:
    """A vocabulary of a few words; the end comes after a random number of tokens."""

    def __init__(self) -> None:
        self.url = ""
        self.read = self.written = self.requests = 0
        self.lock = threading.Lock()

    def answer(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        if path == "/apply-template":
            return {"prompt": "".join(f"<{one['role']}> {one['content']} " for one in body["messages"])}
        assert path == "/completion"
        assert len(WORDS) not in body["prompt"], "the end of a text is in the middle of a prompt"
        read = sum(1 if isinstance(part, int) else len(part.split()) for part in body["prompt"])
        random_stream = random.Random(f"{body['prompt']} {body['seed']} {body['temperature']}")
        tokens: list[int] = []
        kind, word = "limit", ""
        while len(tokens) < body["n_predict"]:
            tokens.append(random_stream.randrange(len(WORDS) + 1))  # the last is the end
            if tokens[-1] == len(WORDS):
                kind = "eos"
                break
            if WORDS[tokens[-1]] in body["stop"]:
                kind, word = "word", WORDS[tokens[-1]]
                break
        text = " ".join(WORDS[token] for token in tokens if token < len(WORDS))
        with self.lock:
            self.read += read
            self.written += len(tokens)
            self.requests += 1
        return {
            "content": text.removesuffix(word) if word else text,
            "stopping_word": word,
            "stop_type": kind,
            "tokens": tokens if body["return_tokens"] else [],
            "tokens_predicted": len(tokens),
            "tokens_evaluated": read,
        }


@contextmanager
def serving() -> Iterator[Server]:
    """Serve until the end of the block."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            data = json.dumps(server.answer(self.path, body)).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: Any) -> None:
            pass

    class Patient(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128  # of connections that are made at once

    http = Patient(("127.0.0.1", 0), Handler)
    server.url = f"http://127.0.0.1:{http.server_port}"
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()
