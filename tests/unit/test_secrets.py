"""A credential is refused where it would be stored, and masked where somebody echoes it."""

import json

import polars as pl
import pytest

from itscale.errors import StudyError
from itscale.messages import secrets
from itscale.messages.secrets import find_secrets, looks_secret, masked, remember
from itscale.sampling.journal import Journal
from itscale.sampling.nodes import Grown
from itscale.sampling.units import Unit
from itscale.store.parquet import read_metadata, read_table, write_table
from itscale.store.schemas import VERDICTS
from itscale.study import resolve
from itscale.types import Completion

# Put together here, so that nobody who looks for keys in the sources finds any.
KEYS = [
    "sk-" + "proj-Ab3dEf6hIj9kLm2n",
    "hf_" + "AbCdEfGhIjKlMnOpQrSt",
    "ghp_" + "0123456789abcdefABCDEF0123456789abcd",
    "AKIA" + "IOSFODNN7EXAMPLE",
    "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTY3ODkwIn0" + ".dozjgNryP4J3jVmNHl0w5N",
    "AIza" + "SyA1234567890abcdefghijklmnopqrstu",
]


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch):
    monkeypatch.setattr(secrets, "_remembered", set())


@pytest.mark.parametrize("key", KEYS, ids=lambda key: key[:4])
def test_keys_of_known_forms_are_found_and_masked(key):
    assert looks_secret(f"use {key}, please")
    assert masked(f"Incorrect API key provided: {key}.") == "Incorrect API key provided: ***."


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://user:secret@host:8000/v1 refused", "http://***@host:8000/v1 refused"),
        ("https://token@host/v1", "https://***@host/v1"),
        ("https://host/v1?api-key=abc123&v=1", "https://host/v1?api-key=***&v=1"),
        ("Authorization: Bearer 0123456789abcdef", "Authorization: Bearer ***"),
    ],
)
def test_urls_and_headers_are_masked_in_part(text, shown):
    assert looks_secret(text)
    assert masked(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "http://127.0.0.1:8000/v1",
        "https://host/v1?model=a&n=3",
        "mail me@example.org",
        "What is the key to sk-learn?",
        "the basic multiplication-free bound",
        "git+ssh://git@host/repository",
        "task-sk-1 with hf_hub",
        "Let x@y = 3: http://a.b/c#d@e",
    ],
)
def test_ordinary_text_stays(text):
    assert not looks_secret(text)
    assert masked(text) == text


STUDY = {
    "study": "tiny",
    "tasks": {"sums": {"plugin": "jsonl", "file": "problems.jsonl"}},
    "models": {"toy": {"plugin": "openai", "model": "m", "base_url": "http://127.0.0.1:1/v1"}},
    "strategies": {"repeated_sampling": {"completions": 2}},
}


@pytest.mark.parametrize(
    ("place", "value"),
    [
        ("base_url", "http://user:hunter2secret@127.0.0.1:1/v1"),
        ("api_key_env", "sk-" + "x1" * 12),
        ("api_key_env", "hunter2-secret!"),
        ("api_key_env", "5f4dcc3b5aa765d61d8327deb882cf99"),
        ("system", f"Your key is {KEYS[0]}"),
        ("api_key", "hunter2secret"),
        ("extra_body", {"Authorization": "hunter2secret"}),
    ],
)
def test_a_study_that_holds_one_is_refused_in_words_that_do_not_repeat_it(place, value):
    section = STUDY["models"]["toy"] | {place: value}
    with pytest.raises(StudyError, match=rf"models\.toy\.{place}") as refused:
        resolve(STUDY | {"models": {"toy": section}})
    secret = value if isinstance(value, str) else next(iter(value.values()))
    assert secret not in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert "environment variable" in str(refused.value)


def test_names_of_variables_are_no_secrets():
    options = {"api_key_env": "MY_VLLM_KEY_2", "headers_env": "TOKENS", "max_tokens": "3"}
    assert not list(find_secrets({"models": {"toy": options}}))


def test_what_a_named_variable_holds_is_masked_wherever_it_is_written(monkeypatch, tmp_path):
    monkeypatch.setenv("OUR_KEY", "correct-horse/battery")
    secrets.remember_environment({"models": [{"api_key_env": "OUR_KEY"}]})
    assert masked("401: correct-horse/battery") == "401: ***"
    assert masked("GET /?k=correct-horse%2Fbattery") == "GET /?k=***"
    row = dict.fromkeys(VERDICTS) | {"detail": "not correct-horse/battery, said the server"}
    path = tmp_path / "verdicts.parquet"
    write_table(pl.DataFrame([row], schema=dict(VERDICTS)), path, {"note": "correct-horse/battery"})
    assert read_table(path, VERDICTS)["detail"][0] == f"not {'*' * 21}, said the server"
    assert read_metadata(path)["note"] == "*" * 21
    with Journal(tmp_path / "journal", {}) as journal:
        journal.add(Unit(problem_id="a", stop=1), [_completion("it is correct-horse/battery")], [], Grown([]))
    assert b"horse" not in (tmp_path / "journal").read_bytes()
    assert b"horse" not in path.read_bytes()


def test_what_is_too_short_to_be_a_key_is_not_masked():
    remember("EMPTY")
    remember("not-needed")
    assert masked("the list is EMPTY, not-needed") == "the list is EMPTY, ***"
    assert secrets.masked_words("EMPTY lists are not-needed") == "EMPTY lists are not-needed"


def test_a_place_in_a_masked_text_stays_where_it_was():
    remember("a-l0ng-secret")
    text = 'one a-l0ng-secret two "quoted"'
    assert json.loads(secrets.masked_words(json.dumps(text))).index("two") == text.index("two")


def _completion(text):
    return Completion(
        problem_id="a",
        budget=0,
        replicate=0,
        index=0,
        text=text,
        finish_reason="stop",
        prompt_tokens=1,
        generated_tokens=1,
    )
