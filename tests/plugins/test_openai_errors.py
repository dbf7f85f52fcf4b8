"""Errors, endless replies, and options that name no server."""

from __future__ import annotations

import gzip
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from openai_server import Answer, choice, error, generate, refused, reply, serving
from pydantic import ValidationError

from itscale.errors import EngineError, EngineLostError
from itscale_builtin.engines import _bounds
from itscale_builtin.engines.openai import OpenAIOptions

# --- errors -----------------------------------------------------------------------------------------------


def lost(url: str, **options: Any) -> bool:
    with pytest.raises(EngineError) as caught:
        generate(url, **options)
    return isinstance(caught.value, EngineLostError)


def test_an_error_in_a_good_reply_is_told_in_the_servers_words() -> None:
    def behave(body: dict[str, Any], number: int) -> Answer:
        return 200, {}, {"error": {"message": "upstream is overloaded", "code": 502}}

    with serving(behave) as server:
        assert "replied with an error: upstream is overloaded, 3 times" in refused(server.url)
    assert len(server.bodies) == 3
    with serving(lambda *_: (200, {}, {"error": {"message": "no credits", "code": 402}})) as server:
        assert "replied with an error: no credits" in refused(server.url)
    assert len(server.bodies) == 1
    with serving(lambda *_: (200, {}, {"error": "no such thing", "choices": []})) as server:
        assert "no such thing" in refused(server.url)


@pytest.mark.parametrize("status", [200, 400, 401, 500])
def test_a_key_that_a_server_echoes_is_masked(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "open-sesame-please")
    words = {"error": {"message": "bad key open-sesame-please (or sk-abcdefghijklmnop1234)", "code": 400}}
    with serving(lambda *_: (status, {"retry-after-ms": "1"}, words)) as server:
        message = refused(server.url, api_key_env="SOME_KEY")
    assert "sesame" not in message
    assert "sk-abc" not in message
    assert "bad key ***" in message


def test_a_page_of_html_is_told_by_its_text() -> None:
    page = b"<html><head><title>x</title><style>p {}</style></head><body><h1>Bad gateway</h1></body></html>"
    with serving(lambda *_: (502, {"content-type": "text/html", "retry-after-ms": "1"}, page)) as server:
        message = refused(server.url)
    assert "Bad gateway" in message
    assert "<" not in message
    with serving(lambda *_: (200, {"content-type": "text/html"}, page)) as server:
        assert "a page of HTML" in refused(server.url)


def test_errors_say_whether_another_request_would_fare_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    with serving(lambda *_: error(401)) as server:
        assert lost(server.url, api_key_env="SOME_KEY")
    gone = server.url
    assert lost(gone, max_retries=0)
    with serving(lambda *_: error(404)) as server:
        assert lost(server.url)
    with serving(lambda *_: error(400)) as server:
        assert not lost(server.url)
    with serving(lambda *_: (200, {}, b"{")) as server:
        assert not lost(server.url)


@pytest.mark.parametrize("status", [408, 409, 425])
def test_what_passes_is_asked_again(status: int) -> None:
    with serving(lambda body, number: error(status) if number == 0 else reply(choice())) as server:
        assert len(generate(server.url)) == 1
    with serving(lambda *_: error(status)) as server:
        assert f"{status}, still so after 3 attempts" in refused(server.url)
    assert len(server.bodies) == 3


def test_a_request_that_is_too_large_is_not_repeated() -> None:
    with serving(lambda *_: error(413)) as server:
        assert "413, the request is too large for the server; lower n_per_request" in refused(server.url)
    assert len(server.bodies) == 1


def test_a_reply_cut_in_the_middle_is_asked_for_again() -> None:
    cut = 200, {"transfer-encoding": "chunked", "connection": "close"}, b'ff\r\n{"choices": [{'
    with serving(lambda body, number: cut if number == 0 else reply(choice())) as server:
        assert len(generate(server.url)) == 1
        assert len(server.bodies) == 2


def test_what_a_reply_calls_itself_does_not_matter() -> None:
    _, _, whole = reply(choice())
    with serving(lambda *_: (202, {"content-type": "text/html"}, whole)) as server:
        assert generate(server.url)[0].text == "4"


def test_a_redirection_is_told_not_followed() -> None:
    def behave(body: dict[str, Any], number: int) -> Answer:
        return 307, {"location": f"{server.url}/chat/completions"}, {}

    with serving(behave) as server:
        message = refused(server.url)
    assert "307, the server sends requests on to http://127" in message
    assert len(server.bodies) == 1


@pytest.mark.parametrize("wait", ["0", "-5", "1e9", "nan", "soon", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_wait_that_makes_no_sense_is_not_waited(wait: str) -> None:
    def behave(body: dict[str, Any], number: int) -> Answer:
        return (429, {"retry-after": wait}, {"error": {"message": "slow"}})

    started = time.monotonic()
    with serving(behave) as server:
        message = refused(server.url, max_retries=1)
    assert f"it asks to wait: {wait}" in message
    assert time.monotonic() - started < 20  # far below any wait of its own, far above two requests


# --- bounds -----------------------------------------------------------------------------------------------


@contextmanager
def dripping(first: bytes, piece: bytes, pause: float) -> Iterator[str]:
    """Serve replies that begin with `first` and go on, piece by piece, until nobody reads."""
    listener = socket.create_server(("127.0.0.1", 0))
    stopped = threading.Event()

    def answer(connection: socket.socket) -> None:
        with connection:
            connection.recv(1 << 16)
            try:
                connection.sendall(first)
                while not stopped.wait(pause):
                    connection.sendall(piece)
            except OSError:
                return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        stopped.set()
        listener.close()


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n\r\n"


def test_a_reply_that_drips_ends_at_the_time_limit() -> None:
    with dripping(HEAD + b'{"choices": [', b" ", 0.05) as url:
        assert "the reply did not end within 0.4 s" in refused(url, timeout=0.4, max_retries=0)


def test_a_reply_without_end_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_bounds, "SMALLEST_BOUND", 1 << 20)
    with dripping(HEAD, b" " * (1 << 16), 0) as url:
        assert "the reply is longer than 1 MiB" in refused(url, max_retries=0)


def test_a_reply_that_would_swell_is_refused() -> None:
    bomb = gzip.compress(b" " * 10_000_000)
    with serving(lambda *_: (200, {"content-encoding": "gzip"}, bomb)) as server:
        assert "the reply is compressed (gzip), unasked" in refused(server.url, max_retries=0)


# --- options ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"base_url": "localhost:8000/v1"}, "found 'localhost:8000/v1', expected a URL such as"),
        ({"base_url": "ftp://host/v1"}, "expected a URL such as"),
        ({"base_url": "http://"}, "expected a URL such as"),
        ({"base_url": "http://host:99999/v1"}, "expected a URL such as"),
        ({"base_url": "http://me:hush@host/v1"}, r"found a URL with a user \(not shown\)"),
        ({"base_url": "http://host/v1?api_key=hush"}, r"api_key=\*\*\*', expected a URL without"),
        ({"api_key_env": "sk-hush0123456789abcdef"}, r"not shown: it may be a key"),
        ({"timeout": float("inf")}, "finite"),
    ],
)
def test_what_is_no_server_or_holds_a_key_is_refused_at_once(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError) as caught:
        OpenAIOptions(model="m", **options)
    said = caught.value.errors()[0]
    text = str(said.get("ctx", {}).get("error", said["msg"]))
    assert re.search(words, text)
    assert "hush" not in text
