"""Credentials: refused where they would be stored, masked where somebody echoes them.

A study goes into footers, manifest, report, logs and Snakemake's records, so no value of it may be one. Keys
are read from environment variables that options named `..._env` name; what those hold is masked in whatever
is written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

__all__ = [
    "MASK",
    "find_secrets",
    "looks_secret",
    "masked",
    "masked_words",
    "remember",
    "remember_environment",
    "remembered_words",
]

MASK = "***"
"""What stands where a credential was."""
SHORTEST = 8
"""Characters of the shortest value that is masked: what is shorter is a placeholder, as `EMPTY` is."""

_KEYS = (
    r"sk-(?=[\w-]*\d)[\w-]{16,}",  # OpenAI, Anthropic, OpenRouter, DeepSeek
    r"[rs]k_(?:live|test)_\w{16,}",  # Stripe
    r"hf_[A-Za-z0-9]{16,}",  # Hugging Face
    r"gh[pousr]_[A-Za-z0-9]{16,}",  # GitHub
    r"github_pat_\w{20,}",
    r"glpat-[\w-]{16,}",  # GitLab
    r"gsk_[A-Za-z0-9]{20,}",  # Groq
    r"nvapi-[\w-]{20,}",  # NVIDIA
    r"r8_[A-Za-z0-9]{20,}",  # Replicate
    r"xai-[A-Za-z0-9]{20,}",
    r"pypi-[\w-]{40,}",
    r"xox[abeoprs]-[A-Za-z0-9-]{10,}",  # Slack
    r"A[KS]IA[0-9A-Z]{16}",  # AWS
    r"AIza[\w-]{30,}",  # Google
    r"ya29\.[\w-]{20,}",
    r"eyJ[\w-]{8,4000}\.eyJ[\w-]{8,4000}\.[\w-]{8,}",  # JSON web token
)
_KEY = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_KEYS)})(?![A-Za-z0-9])")
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_BEARER = re.compile(
    r"(?i)(?P<kept>\bbearer|authorization:\s{0,9}basic) +(?=[^\s\"',]{0,99}\d)[\w.~+/=-]{12,}"
)
# A URL with a user in it; over ssh, a user without a password is no secret.
_USER = re.compile(
    r"(?i)(?P<kept>\b(?:(?!(?:git\+)?ssh:)[a-z][a-z0-9+.-]{0,30}://|(?:git\+)?ssh://[^\s/?#@:]{1,200}:))"
    r"[^\s/?#@\"'<>]{1,500}@"
)
_QUERY = re.compile(
    r"(?i)(?P<kept>[?&](?:api[_-]?key|key|(?:access[_-]?|auth[_-]?)?token|secret|password|sig(?:nature)?)=)"
    r"[^\s&#\"'<>]+"
)
_NAMED = re.compile(
    r"(?:x?api|secret|private|access)key|(?:proxy)?authorization|passw(?:or)?d|(?:client)?secret|cookie"
    r"|(?:access|auth|bearer)token"
)
"""Keys, without their punctuation, whose values are credentials."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RANDOM = re.compile(r"(?=.*\d)(?=.*[A-Za-z])(?:[0-9a-f]{24,}|[0-9A-F]{24,}|(?=.*[a-z])[A-Za-z0-9]{20,})")

_KEYLIKE = re.compile(r"(?s)(?=.*[A-Za-z])(?=.*\d).*|.{20,}")
"""What a model does not write by chance: letters and digits, or long."""

_remembered: set[str] = set()


def looks_secret(text: str) -> bool:
    """Return whether a text holds what looks like a credential: a key of a known form, or a URL with one."""
    return any(form.search(text) for form in (_KEY, _PRIVATE_KEY, _BEARER, _USER, _QUERY))


def remember(value: str | None) -> None:
    """Mask a value from now on, in this process."""
    if value and len(value.strip()) >= SHORTEST:
        _remembered.add(value.strip())


def remember_environment(options: Any) -> None:
    """Mask from now on what the environment variables hold that options named `..._env` name.

    Parameters
    ----------
    options
        JSON value: options, or whatever holds them.
    """
    for key, value in _texts(options):
        if key.lower().endswith("_env"):
            remember(os.environ.get(value))


def masked(text: str) -> str:
    """Return a message with `***` for what was remembered, and for whatever looks like a credential."""
    for word in remembered_words(in_data=False):
        text = text.replace(word, MASK)
    for form in (_KEY, _BEARER, _USER, _QUERY):
        text = form.sub(_mask, text)
    return text


def masked_words(text: str) -> str:
    """Return a text with as many `*` for what was remembered, and nothing else changed: for data.

    The length stays, as places in a text (where a step ends) are counted in characters.
    """
    for word in remembered_words():
        text = text.replace(word, "*" * len(word))
    return text


def remembered_words(*, in_data: bool = True) -> list[str]:
    """Return the values remembered, as they are and as URLs hold them.

    In data, words that a model may write (`not-needed`, `12345678`) are left alone: they are no keys.
    """
    values = (value for value in _remembered if not in_data or _KEYLIKE.fullmatch(value))
    words = {form for value in values for form in (value, quote(value, safe=""))}
    return sorted(words, key=lambda word: (-len(word), word))


def _mask(match: re.Match[str]) -> str:
    kept = match.groupdict().get("kept") or ""
    end = "@" if match[0].endswith("@") else ""
    return f"{kept}{' ' if kept.isalpha() else ''}{MASK}{end}"


def find_secrets(data: Any) -> Iterator[str]:
    """Yield a line for every value of a study that looks like a credential; none repeats it.

    Parameters
    ----------
    data
        The study as read from YAML.
    """
    for place, key, value in _places(data, ""):
        name = place.rpartition(".")[2]
        if looks_secret(key):
            yield f"{masked(place)}: the key looks like a credential (not shown), expected a name"
        elif name.lower().endswith("_env") and not _is_variable(value):
            yield (
                f"{place}: found what is no name of an environment variable (not shown: it may be a key), "
                "expected a name such as OPENAI_API_KEY; put the key into that variable"
            )
        elif looks_secret(value) or (_NAMED.fullmatch(_plain(name)) and value.strip()):
            yield (
                f"{place}: found what looks like a credential (not shown): a study is stored in results, "
                "reports and logs; put it into an environment variable, which an option ending in _env names"
            )


def _is_variable(value: str) -> bool:
    return bool(_VARIABLE.fullmatch(value)) and not looks_secret(value) and not _RANDOM.fullmatch(value)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _places(value: Any, place: str) -> Iterator[tuple[str, str, str]]:
    """Yield the dotted place, the last key and the value of every text in a JSON value."""
    if isinstance(value, Mapping):
        for key, below in value.items():
            inner = f"{place}.{key}" if place else str(key)
            if looks_secret(str(key)):
                yield inner, str(key), ""
            elif isinstance(below, str):
                yield inner, str(key), below
            else:
                yield from _places(below, inner)
    elif isinstance(value, Sequence) and not isinstance(value, str | bytes):
        for at, below in enumerate(value):
            if isinstance(below, str):
                yield f"{place}[{at}]", "", below
            else:
                yield from _places(below, f"{place}[{at}]")


def _texts(value: Any) -> Iterator[tuple[str, str]]:
    """Yield the key and the value of every text in a JSON value."""
    for _, key, text in _places(value, ""):
        yield key, text
