"""An engine that fails in the middle of a block: what was finished stays, the rest is as if nothing was."""

import json
import socket
import threading
from contextlib import contextmanager

import polars as pl
import pytest

from itscale.errors import EngineLostError, TooManyFailuresError, UserError
from itscale.sampling.blocks import Block
from itscale.sampling.failures import read_failures
from itscale.sampling.units import Unit
from itscale.stages.outcomes import gather_outcomes
from itscale.stages.problems import write_problems
from itscale.stages.sampling import sample_block
from itscale.stages.verification import verify_block
from itscale.store.parquet import payload_hash
from itscale.study import resolve

BLOCK = Block(0, 0, 4, 0, 2)
PLACE = ("sums", "served", "repeated_sampling")


def reply(body: dict, *, content: object = "its own") -> bytes:
    """Return the reply of a server whose every completion is given, or else a function of its request."""
    text = f"{body['messages'][-1]['content']} The answer is {body['seed'] % 7}"
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    if content != "its own":
        choice["message"]["content"] = content
    usage = {"prompt_tokens": 5, "completion_tokens": len(text), "total_tokens": 5 + len(text)}
    about = {"id": "x", "object": "chat.completion", "created": 0, "model": "m"}
    return json.dumps(about | {"choices": [choice], "usage": usage}).encode()


def whole(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\nretry-after-ms: 1\r\n"
    return f"{head}content-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body


FAULTS = {
    "400": lambda body: whole("400 Bad Request", b'{"error": {"message": "the prompt is too long"}}'),
    "500": lambda body: whole("500 Internal Server Error", b'{"error": {"message": "CUDA out of memory"}}'),
    "429": lambda body: whole("429 Too Many Requests", b'{"error": {"message": "slow down"}}'),
    "dropped in the middle": lambda body: whole("200 OK", reply(body))[:-40],
    "not JSON": lambda body: whole("200 OK", reply(body)[:-40]),
    "no choices": lambda body: whole(
        "200 OK", reply(body).replace(b'"choices": [', b'"choices": [], "x": [')
    ),
    "hangs": None,
}


@contextmanager
def serving(fault, bad):
    """Serve on the loopback; the n-th request meets the fault if `bad(n)`."""
    listener = socket.create_server(("127.0.0.1", 0))
    open_ones, count, lock = [], [0], threading.Lock()

    def answer(connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as file:
            size = 0
            while (line := file.readline().strip().lower()) != b"":
                if line.startswith(b"content-length:"):
                    size = int(line.split(b":")[1])
            if not size:  # no request for a completion, but whether anybody is there
                connection.sendall(whole("404 Not Found", b"{}"))
                return
            body = json.loads(file.read(size))
            with lock:
                number = count[0]
                count[0] += 1
            if not bad(number):
                connection.sendall(whole("200 OK", reply(body)))
            elif fault is None:
                stopped.wait(20)
            else:
                connection.sendall(fault(body))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            open_ones.append(connection)
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    stopped = threading.Event()
    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
    finally:
        stopped.set()
        listener.close()


def study_of(folder, url, retries=0, timeout=30):
    rows = [{"prompt": f"{n} + {n}?", "reference": str(2 * n)} for n in range(4)]
    file = folder.parent / "problems.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    served = {"plugin": "openai", "model": "m", "base_url": url, "seed": True, "timeout": timeout}
    return resolve(
        {
            "study": "faults",
            "tasks": {"sums": {"plugin": "jsonl", "file": str(file)}},
            "models": {"served": served | {"max_retries": retries, "pause": 0.001, "concurrency": 1}},
            "strategies": {"repeated_sampling": {"completions": 2}},
        }
    )


def sample(folder, url, retries, timeout=30):
    study = study_of(folder, url, retries, timeout)
    problems = folder / "problems.parquet"
    write_problems(study, "sums", problems)
    files = {name: folder / f"{name}.parquet" for name in ("completions", "ledger", "trees")}
    sample_block(study, *PLACE, BLOCK, problems=problems, model_directories={}, **files)
    return files["completions"]


@pytest.mark.parametrize("kind", ["429", "dropped in the middle", "no choices"])
def test_a_burst_is_waited_out_and_changes_nothing(tmp_path, kind):
    hashes = []
    with serving(FAULTS[kind], bad=lambda number: 3 <= number < 5) as url:
        for name in ("burst", "calm"):
            (tmp_path / name).mkdir()
            hashes.append(payload_hash(sample(tmp_path / name, url, retries=3)))
    assert hashes[0] == hashes[1]


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("500", "500, the server failed 1 times; see its own log: CUDA out of memory"),
        ("429", "429, still too many requests"),
        ("dropped in the middle", "no reply (Response payload is not completed"),
        ("not JSON", "the reply is not JSON"),
        ("no choices", "replied with no choices"),
        ("hangs", "no reply (Timeout on reading"),
    ],
)
def test_a_fault_that_stays_ends_in_one_line_and_the_next_try_goes_on(tmp_path, kind, said):
    folder = tmp_path / "block"
    folder.mkdir()
    # One port for both tries: the address is part of what the random streams depend on.
    timeout = 1 if kind == "hangs" else 30
    state = {"broken": True}
    served = []

    def bad(number: int) -> bool:
        served.append(number)
        return state["broken"] and number >= 3

    with serving(FAULTS[kind], bad) as url:
        with pytest.raises(UserError) as caught:
            sample(folder, url, 0, timeout)
        assert said in str(caught.value)
        assert "\n" not in str(caught.value)
        assert not (folder / "completions.parquet").exists()
        state["broken"] = False
        asked = len(served)
        made = sample(folder, url, 0, timeout)
        assert len(served) - asked < 8  # the problem that was finished is not asked for again
        (tmp_path / "calm").mkdir()
        assert payload_hash(made) == payload_hash(sample(tmp_path / "calm", url, 0, timeout))
    rows = pl.read_parquet(made).select("problem_id", "index")
    assert rows.height == rows.unique().height == 8


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("400", "the prompt is too long"),
        ("500", "CUDA out of memory"),
        ("dropped in the middle", "no reply (Response payload is not completed"),
        ("no choices", "no choices"),
    ],
)
def test_a_request_that_fails_for_good_costs_its_problem_and_no_other(tmp_path, kind, said):
    """The third request is the first of the second problem; the server answers all others."""
    with serving(FAULTS[kind], bad=lambda number: number == 2) as url:
        made = sample(tmp_path, url, retries=0)
    assert pl.read_parquet(made).group_by("problem_id").len().sort("problem_id").rows() == [
        ("0", 2), ("2", 2), ("3", 2)
    ]  # fmt: skip
    (failure,) = read_failures(made)
    assert failure.unit == Unit(problem_id="1", stop=2)
    assert said in failure.reason


def test_a_server_that_is_gone_ends_the_job_whatever_may_fail(tmp_path):
    with serving(FAULTS["500"], bad=lambda number: False) as url:
        pass
    with pytest.raises(EngineLostError, match="is the server running"):
        sample(tmp_path, url, retries=0)


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        ("", ""),
        (None, ""),
        ("half a character \ud800 is no text", "half a character \ufffd is no text"),
        ("zero \0 byte", "zero \0 byte"),
        ("long " * 200_000, "long " * 200_000),
    ],
    ids=["empty", "null", "surrogate", "zero byte", "a megabyte"],
)
def test_whatever_a_model_writes_is_a_row_and_counted_wrong(tmp_path, content, kept):
    folder = tmp_path / "block"
    folder.mkdir()
    with serving(lambda body: whole("200 OK", reply(body, content=content)), bad=lambda number: True) as url:
        made = sample(folder, url, 0)
        study = study_of(folder, url)
    assert pl.read_parquet(made)["text"].to_list() == [kept] * 8
    verdicts, outcomes = folder / "verdicts.parquet", folder / "outcomes.parquet"
    given = {"problems": folder / "problems.parquet"}
    told = {"completions": made, "model_directories": {}, "ledger": folder / "spent.parquet"}
    verify_block(study, *PLACE, "exact_match", **given, **told, output=verdicts)
    gathered = {"completions": [made], "verdicts": {"exact_match": [verdicts]}, "output": outcomes}
    gather_outcomes(study, *PLACE, **given, **gathered)
    rows = pl.read_parquet(outcomes)
    assert (rows.height, rows["correct"].sum()) == (8, 0)


@pytest.mark.parametrize("content", [5, [5]])
def test_what_is_no_text_is_refused_in_one_line(tmp_path, content):
    folder = tmp_path / "block"
    folder.mkdir()
    with (
        serving(lambda body: whole("200 OK", reply(body, content=content)), bad=lambda number: True) as url,
        pytest.raises(TooManyFailuresError, match=r"malformed choices \(content is (int|list)\)"),
    ):
        sample(folder, url, 0)
