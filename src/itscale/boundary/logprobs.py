"""Checks of log-probabilities: finite, at most 0, of distinct tokens, whose probabilities add up to 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from itscale.plugins.given import read_only
from itscale.plugins.place import Place, Shown, is_count, is_number, real, textual
from itscale.types import NextLogprobs, NextRequest, TextLogprobs, TextRequest

__all__ = ["checked_next", "checked_text"]

ROUNDING = 1e-4
"""Nats by which rounding may lift the log-probability of a token above 0."""
TOLERANCE = 1e-2
"""How far from 1 the probabilities of all tokens may add up, in single precision."""


def checked_text(place: Place, found: Any, request: TextRequest) -> TextLogprobs:
    """Return log-probabilities of a text, of plain numbers.

    Raises
    ------
    ContractError
        If they cannot be those of its tokens.
    """
    problem = request.problem.problem_id
    if not isinstance(found, TextLogprobs):
        raise place.broken("logprobs()", found, "TextLogprobs", problem)
    _check_counts(place, "logprobs()", found, problem)
    ids = found.token_ids
    if isinstance(ids, str) or not isinstance(ids, Sequence) or not all(map(is_count, ids)):
        raise place.broken("logprobs(): token_ids", ids, "a tuple of whole numbers", problem)
    values = _numbers(place, "logprobs()", found.logprobs, (len(ids), "token ids"), problem)
    if not len(ids) and any(step.text for step in request.scored):
        raise place.broken("logprobs(): token_ids", ids, "the tokens of a text that is not empty", problem)
    return replace(
        found,
        token_ids=tuple(map(int, ids)),
        logprobs=tuple(values.tolist()),
        texts=_texts(place, "logprobs()", found.texts, len(ids), problem),
    )


def checked_next(place: Place, found: Any, request: NextRequest, *, spells: bool) -> NextLogprobs:
    """Return log-probabilities of the next token, in arrays that nobody can change.

    Parameters
    ----------
    spells
        Whether the engine can say the texts of tokens that it leaves out here.

    Raises
    ------
    ContractError
        If no tokens have such, or they are none of those that were asked for.
    """
    what, problem = "next_logprobs()", request.problem.problem_id
    if not isinstance(found, NextLogprobs):
        raise place.broken(what, found, "NextLogprobs", problem)
    _check_counts(place, what, found, problem)
    least = 1 if found.prompt_tokens is not None and not request.prefix else 0
    if found.context_tokens is not None and not is_count(found.context_tokens, least):
        raise place.broken(
            f"{what}: context_tokens", found.context_tokens, f"a whole number, at least {least}", problem
        )
    if not isinstance(found.full, bool) or found.full < (request.top is None):
        expected = "True, as all tokens were asked for" if request.top is None else "True or False"
        raise place.broken(f"{what}: full", found.full, expected, problem)
    ends = found.ends
    if not isinstance(ends, frozenset) or not all(map(is_count, ends)):
        raise place.broken(f"{what}: ends", ends, "a frozenset of token ids", problem)
    ids = _token_ids(place, found, request, problem)
    values = _numbers(place, what, found.logprobs, (len(ids), "token ids"), problem)
    if not found.full and (np.diff(values) > 0).any():
        raise place.broken(f"{what}: logprobs", values, "the most probable first", problem)
    total = float(np.exp(values).sum())
    if total > 1 + TOLERANCE or (found.full and total < 1 - TOLERANCE):
        expected = f"{'1' if found.full else 'at most 1'}, the sum of probabilities"
        raise place.broken(f"{what}: logprobs", Shown(f"a sum of {total:.6g}"), expected, problem)
    texts = _texts(place, what, found.texts, len(ids), problem)
    if not texts and not spells:
        raise place.broken(
            f"{what}: texts", found.texts, "a text of each token, or a method spell()", problem
        )
    return replace(found, token_ids=read_only(ids), logprobs=read_only(values), texts=texts)


def _token_ids(
    place: Place, found: NextLogprobs, request: NextRequest, problem: str
) -> npt.NDArray[np.int64]:
    """Return the ids of next tokens; refuse what is no token, more than asked for, or twice there."""
    what = "next_logprobs(): token_ids"
    ids = np.array(found.token_ids)
    if ids.ndim != 1 or ids.dtype.kind not in "iu" or not len(ids) or ids.min() < 0:
        raise place.broken(what, found.token_ids, "an array of whole numbers, at least one", problem)
    if found.full:
        distinct, expected = bool((np.diff(ids) > 0).all()), "increasing ids, as these are all tokens"
    else:
        distinct, expected = len(np.unique(ids)) == len(ids), "distinct ids"
    if not distinct:
        raise place.broken(what, found.token_ids, expected, problem)
    if not found.full and request.top is not None and len(ids) > request.top:
        raise place.broken(what, Shown(f"{len(ids)} tokens"), f"at most the {request.top} asked for", problem)
    return ids.astype(np.int64)


def _numbers(
    place: Place, what: str, given: Any, of: tuple[int, str], problem: str
) -> npt.NDArray[np.float64]:
    """Return log-probabilities, at most 0; refuse what is none, or not one for each token."""
    number, each = of
    values = place.numbers(f"{what}: logprobs", given, problem) if number or len(given) else np.empty(0)
    if values.shape != (number,):
        shape = Shown(f"an array of shape {values.shape}")
        raise place.broken(f"{what}: logprobs", shape, f"one for each of {number} {each}", problem)
    wrong = ~np.isfinite(values) | (values > ROUNDING)
    if wrong.any():
        raise place.broken(f"{what}: logprobs", float(values[wrong][0]), "finite numbers, at most 0", problem)
    return np.minimum(values, 0.0)


def _texts(place: Place, what: str, given: Any, tokens: int, problem: str) -> tuple[str, ...]:
    if given == ():
        return ()
    texts = place.as_many(f"{what}: texts", "texts", given, (tokens, "tokens"), problem)
    for text in texts:
        if not textual(text):
            raise place.broken(f"{what}: texts", text, "texts that can be stored", problem)
    return tuple(texts)


def _check_counts(place: Place, what: str, found: TextLogprobs | NextLogprobs, problem: str) -> None:
    """Refuse counts that cannot be: what nobody counted is None."""
    least = {"prompt_tokens": 1, "cached_prompt_tokens": 0, "generated_tokens": 0}
    for name, low in least.items():
        value = getattr(found, name)
        if value is not None and not is_count(value, low):
            expected = f"a whole number, at least {low}, or None"
            raise place.broken(f"{what}: {name}", value, expected, problem)
    prompt, cached = found.prompt_tokens, found.cached_prompt_tokens
    if prompt is not None and cached is not None and cached > prompt:
        expected = f"at most the {prompt} of the prompt"
        raise place.broken(f"{what}: cached_prompt_tokens", cached, expected, problem)
    if found.generated_tokens is not None and found.generated_tokens > 1:
        raise place.broken(f"{what}: generated_tokens", found.generated_tokens, "at most 1", problem)
    if not textual(found.tokenizer):
        raise place.broken(f"{what}: tokenizer", found.tokenizer, "a text", problem)
    if not is_number(found.seconds) or (real(found.seconds) or 0.0) < 0:
        raise place.broken(f"{what}: seconds", found.seconds, "a number, at least 0", problem)
