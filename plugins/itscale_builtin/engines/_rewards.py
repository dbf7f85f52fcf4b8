"""Reward models: what they are given to read of a trajectory, and what their numbers mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
import scipy
from pydantic import Field

from itscale.errors import EngineError
from itscale.plugins import Options
from itscale.types import Trajectory

__all__ = ["RewardOptions", "chat_of", "column_of", "marked", "places_of", "plain_of", "probabilities"]


class RewardOptions(Options):
    """How a reward model reads a trajectory, and which of its numbers is the reward.

    Steps are those of the trajectory, without white space around them. A reward is a probability: sigmoid of
    a single logit, softmax over several.
    """

    marker: str | None = Field(default=None, min_length=1)
    """Text put after each step, at whose last token that is no white space the reward of the step is read:
    `<extra_0>` of Qwen2.5-Math-PRM, ` ки` and a line break of Math-Shepherd, a line break of Skywork's.
    Without one there is a single reward, of the whole."""
    labels: tuple[str, str] | None = None
    """Of a language model whose next token after a marker is its verdict: the two tokens that it chooses
    among, the good one first (`["+", "-"]`)."""
    label: int | None = Field(default=None, ge=0)
    """Of a classifier of several labels, which one's probability is the reward, from 0; if left out, the
    second of two."""
    temperature: float = Field(default=1.0, gt=0, le=1e6)
    """What logits are divided by before they become probabilities: above 1 where a model's rewards are so
    large that many would be 1."""
    template: Literal["chat", "plain"] = "chat"
    """`chat`: the model's chat template, the completion as the assistant's last message; `plain`: the
    messages' contents and the completion, one after the other."""
    separator: str = "\n"
    """What is between messages, and before the completion, of `template: plain`."""


def marked(trajectory: Trajectory, marker: str) -> tuple[str, list[int]]:
    """Return the steps of a trajectory with a marker after each, and the end of each marker's own text."""
    text, ends = "", []
    own = len(marker.rstrip()) or len(marker)
    for step in trajectory.steps:
        text += step.text.strip()
        ends.append(len(text) + own)
        text += marker
    return text, ends


def chat_of(trajectory: Trajectory, content: str) -> list[dict[str, str]]:
    """Return the chat that a trajectory answers, with its content as the answer."""
    return [*map(dict, trajectory.chat), {"role": "assistant", "content": content}]


def plain_of(trajectory: Trajectory, content: str, separator: str) -> str:
    """Return the contents of the chat that a trajectory answers, and its own, as one text."""
    return separator.join([*(message["content"] for message in trajectory.chat), content])


def places_of(ends: Sequence[int], offsets: Sequence[tuple[int, int]]) -> list[int]:
    """Return the last token of the character before each end.

    Parameters
    ----------
    ends
        Offsets in a text, in order.
    offsets
        Of each token, where its text begins and ends; those of one character may be several.

    Raises
    ------
    LookupError
        If no token holds a character.
    """
    places: list[int] = []
    for end in ends:
        holding = [at for at, (start, stop) in enumerate(offsets) if start < end <= stop]
        places.append(holding[-1])
    return places


def column_of(options: RewardOptions, columns: int) -> int:
    """Return which column of so many is the reward's.

    Raises
    ------
    ValueError
        In words, if it is not known, or not there.
    """
    if options.labels is not None:
        return 0
    if options.label is None and columns > 2:
        raise ValueError(f"label: found none, expected which of the {columns} labels is the reward, from 0")
    chosen = columns - 1 if options.label is None else options.label
    if chosen >= columns:
        raise ValueError(f"label: found {chosen}, expected one of the model's {columns}, from 0")
    return chosen


def probabilities(options: RewardOptions, logits: Sequence[Sequence[float]]) -> list[float]:
    """Return the reward of each row of logits, in [0, 1].

    Raises
    ------
    EngineError
        If a logit is no finite number, or the label is none of the columns.
    """
    found: list[float] = []
    for row in logits:
        if not row or not all(math.isfinite(logit) for logit in row):
            raise EngineError(f"found the logits {list(row)[:4]}, expected finite numbers")
        scaled = np.array(row, dtype=np.float64) / options.temperature
        try:
            column = column_of(options, len(row))
        except ValueError as error:
            raise EngineError(f"reward.{error}") from None
        sole = len(row) == 1
        found.append(float(scipy.special.expit(scaled[0]) if sole else scipy.special.softmax(scaled)[column]))
    return found
