"""Parameters that a server takes: learned from its refusals, left out where the request means the same."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["NAMES_OF_LIMIT", "WITHOUT_EFFECT", "Parameters", "Refused", "blamed"]

NAMES_OF_LIMIT = ("max_tokens", "max_completion_tokens")
"""What the limit of tokens is called, by most servers and by some."""

NEUTRAL: Mapping[str, Any] = {"top_p": 1.0, "temperature": 1.0}
"""Values that are the protocol's own defaults: left out, the request says the same."""

WITHOUT_EFFECT: Mapping[str, float] = {
    "top_k": -1,
    "min_p": 0.0,
    "repetition_penalty": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
}
"""Values that change nothing; for all tokens, vLLM, SGLang and llama.cpp take a top_k of -1, not all of 0."""

INSTEAD: Mapping[str, str] = {
    "seed": "set seed: false",
    "logprobs": "set logprobs: false",
    "top_logprobs": "ask for fewer (confidence_top of the strategy)",
    "top_p": "set top_p: 1 in the strategy",
    "temperature": "set temperature: 1 in the strategy",
    "stop": "choose a strategy that does not search step by step",
}
_UNKNOWN = re.compile(
    r"(?i)unsupported|not support|unknown|unrecogni|unexpected|not permitted|not allowed|does not exist|"
    r"extra (?:inputs|fields)|forbidden|only the default|deprecated|invalid parameter"
)
_SEVERAL = re.compile(
    r"(?i)[\"'`]n[\"'`]|\bn *(?:[=<>:]|must|should|has to|is |is$|parameter|greater|larger|> ?1)|"
    r"\bbest_of\b|candidate_?count|num_return_sequences|"
    r"(?:multiple|several|number of|num) (?:completions|choices|candidates|generations)"
)
_NUMBER = re.compile(r"(?<![\w.])\d{1,6}(?![\w.])")


class Refused(Exception):  # noqa: N818 - a server's no, not a fault
    """A server takes no parameter without which the request would mean something else."""


class Parameters:
    """What is sent to one server, as far as it is known to take it.

    Parameters
    ----------
    most
        Most completions asked for in one request.
    omitted
        Parameters that are not sent.
    limit
        What the limit of tokens is called.

    Attributes
    ----------
    most
        Falls to what the server takes when it refuses more.
    """

    def __init__(self, most: int, omitted: Iterable[str], limit: str) -> None:
        self.omitted = set(omitted)
        self.most = 1 if "n" in self.omitted else most
        self.limit = limit
        self._renamed = False

    def shaped(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return a request's arguments (`max_tokens` among them) as this server wants them.

        Raises
        ------
        Refused
            If a parameter is left out that the request needs.
        """
        found = {**arguments, "n": min(arguments["n"], self.most)}
        limit = found.pop("max_tokens")
        if self.most == 1:  # where one is all there is, its number may be refused as well
            del found["n"]
        for name in self.omitted:
            if name in found and name != "n" and found[name] != NEUTRAL.get(name):
                raise Refused(f"takes no {name}, which is {found[name]!r} here; {_instead(name)}")
            found.pop(name, None)
        return found | {self.limit: limit}

    def adapt(self, name: str, sent: Mapping[str, Any], words: str) -> bool:
        """Take note that a server refused a parameter; return whether another request may do.

        Raises
        ------
        Refused
            If the parameter means something that no other request says.
        """
        if name == "n":
            asked = int(sent.get("n", 1))
            fit = [int(number) for number in _NUMBER.findall(words) if 1 < int(number) < asked]
            self.most = min(self.most, max(fit, default=1))
            return asked > 1
        if name in NAMES_OF_LIMIT:
            if self._renamed or name != self.limit:
                return name != self.limit  # another request has found out meanwhile
            self.limit = next(other for other in NAMES_OF_LIMIT if other != name)
            self._renamed = True
            return True
        if sent.get(name) != NEUTRAL.get(name):
            raise Refused(f"takes no {name}, which is {sent.get(name)!r} here; {_instead(name)}")
        self.omitted.add(name)
        return True


def blamed(words: str, named: Any, sent: Mapping[str, Any]) -> str | None:
    """Return the parameter that a server's refusal is about; None if it is about something else.

    Parameters
    ----------
    words
        What the server said.
    named
        The parameter that it names in a field of its own, if it does.
    sent
        The request's arguments.
    """
    known = [*NAMES_OF_LIMIT, *INSTEAD]
    if named == "n" or (sent.get("n", 1) > 1 and _SEVERAL.search(words)):
        return "n" if sent.get("n", 1) > 1 else None
    if not _UNKNOWN.search(words):
        return None
    if named in known and named in sent:
        return str(named)
    # `max_tokens` is no part of `max_completion_tokens`; of several that are named, the first is refused.
    places = {name: re.search(rf"\b{name}\b", words) for name in known if name in sent}
    found = {name: match.start() for name, match in places.items() if match}
    return min(found, key=lambda name: found[name], default=None)


def _instead(name: str) -> str:
    return INSTEAD.get(name, f"leave {name} out")
