"""Procedurally generated reasoning problems of the reasoning-gym library (Stojanovski et al. 2025)."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import Field, JsonValue, ValidationInfo, field_validator

from itscale.errors import DataError, nearest
from itscale.plugins import Options, TaskEntry
from itscale.sandbox import Sandbox
from itscale.types import Problem
from itscale_builtin.tasks.rows import chat

PROMPT = (
    "{question}\n\n"
    'Work it out, then end with a line "The answer is", followed by the answer alone. '
    "An answer of several lines goes between <answer> and </answer> instead."
)

SECONDS = 600.0
"""Most processor time of making one problem."""
TOGETHER = 10_000
"""Problems that one process makes: opening a data set may cost more than making a problem of it."""

NO_REFERENCE = "its problems come without a reference answer"
DEFECTIVE: Mapping[str, str] = {
    "acre": "its problems change with the size of the data set, so a larger study is not an extension",
    "boxnet": NO_REFERENCE,
    "codeio": "any input that gives the output is right, and its scorer knows one; "
    "with config: {input_prediction_probability: 1} it asks for outputs only",
    "coin_flip": "its scorer gives full marks to the first digits of the right number, such as 0",
    "composite": "it is made of other data sets; name one of them",
    "game_of_life_halting": "its scorer accepts any text",
    "graph_color": NO_REFERENCE,
    "prime_factorization": "its scorer fails on any answer with a word in it",
    "propositional_logic": NO_REFERENCE,
    "rubiks_cube": NO_REFERENCE,
    "rush_hour": NO_REFERENCE,
}
"""Data sets that cannot be verified or made again, and why (measured with reasoning-gym 0.1.25)."""
MENDED: Mapping[str, Mapping[str, JsonValue]] = {"codeio": {"input_prediction_probability": 1}}
"""What makes a data set verifiable after all. (The library asks for outputs with this probability.)"""


class ReasoningGymOptions(Options):
    """Options of the reasoning_gym task."""

    dataset: str
    """Name of the data set, for example `gcd`."""
    seed: int = Field(default=0, ge=0, le=2**63 - 1)
    """Seed of the data set: another seed, other problems."""
    size: int = Field(default=500, ge=1, le=10_000_000)
    """How many problems there are; a study takes the first `problems` of them."""
    config: dict[str, JsonValue] = Field(default={}, validate_default=True)
    """Further parameters of the data set (its difficulty), as reasoning-gym names them."""
    prompt: str = PROMPT
    """What is put to the model; `{question}` stands for the question."""

    @field_validator("dataset")
    @classmethod
    def _verifies(cls, dataset: str) -> str:
        """Refuse a data set whose answers cannot be verified."""
        if dataset in DEFECTIVE and dataset not in MENDED:
            raise ValueError(f"found {dataset!r}, which is refused: {DEFECTIVE[dataset]}")
        return dataset

    @field_validator("config")
    @classmethod
    def _mends(cls, config: dict[str, JsonValue], info: ValidationInfo) -> dict[str, JsonValue]:
        """Refuse a data set whose answers can be verified in another configuration only."""
        dataset = info.data.get("dataset", "")
        if dataset in MENDED and not MENDED[dataset].items() <= config.items():
            raise ValueError(f"found {dataset!r} so configured, which is refused: {DEFECTIVE[dataset]}")
        return config

    @field_validator("config")
    @classmethod
    def _leaves_seed_and_size(cls, config: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """Keep one place for the seed and the size."""
        for key in ("seed", "size"):
            if key in config:
                raise ValueError(f"found {key!r}, expected it beside config: it is an option of the task")
        return config

    @field_validator("prompt")
    @classmethod
    def _asks(cls, prompt: str) -> str:
        """Refuse a template without the question."""
        if "{question}" not in prompt:
            raise ValueError(f"found {prompt!r}, expected {{question}} in it")
        return prompt


def make(options: ReasoningGymOptions) -> Iterator[Problem]:
    """Yield the problems; the i-th is the same whatever the size.

    Raises
    ------
    DataError
        If the data set is unknown, or does not take the configuration.
    """
    source = {
        "dataset": options.dataset,
        "seed": options.seed,
        "size": options.size,
        "config": options.config,
    }
    for index in range(options.size):
        question, answer = _made(options, index)
        yield Problem(
            problem_id=f"{options.dataset}-{options.seed}-{index}",
            messages=chat(options.prompt.replace("{question}", question)),
            reference=answer,
            metadata={**source, "index": index, "question": question},
        )


def check(options: ReasoningGymOptions) -> Iterator[str]:
    """Yield what the library says against the data set or its configuration, by making the first problem."""
    try:
        _made(options, 0)
    except DataError as error:
        yield str(error).removeprefix("tasks/reasoning_gym: ")


def _made(options: ReasoningGymOptions, index: int) -> tuple[str, str]:
    """Return question and answer of a problem."""
    reply = _maker().call(options.dataset, options.seed, options.size, options.config, index)
    if reply.status != "done":
        raise DataError(reply.detail.removeprefix(f"{DataError.__name__}: "))
    question, answer = reply.value
    return question, answer


@cache
def _maker() -> Sandbox:
    """Return the process that makes problems; nothing in it comes from a model, so any process will do.

    Some data sets walk through sets of texts: they are reproducible only where the hash seed is fixed.
    """
    return Sandbox(
        f"{__name__}:item",
        seconds=SECONDS,
        preload=["reasoning_gym"],
        output=64 << 20,
        together=TOGETHER,
        weakest="process",
    )


def item(dataset: str, seed: int, size: int, config: dict[str, Any], index: int) -> tuple[str, str]:
    """Return question and answer of one problem. Runs in a process where the hash seed is fixed."""
    _, made = opened_item(dataset, seed, size, repr(config), index)
    return made["question"], made["answer"]


@cache
def opened_item(dataset: str, seed: int, size: int, config: str, index: int) -> tuple[Any, dict[str, Any]]:
    """Return a data set and one of its items; `config` is the text of a dict."""
    data = opened(dataset, seed, size, config)
    random.seed(f"{seed}-{index}")  # some data sets draw from the process's own generator, too
    return data, data[index]


@cache
def opened(dataset: str, seed: int, size: int, config: str) -> Any:
    """Return a data set, opened once for all calls; `config` is the text of a dict."""
    return open_dataset(dataset, seed, size, ast.literal_eval(config))


def open_dataset(name: str, seed: int, size: int, config: Mapping[str, Any]) -> Any:
    """Return a data set of reasoning-gym; its i-th item is a function of name, seed, config and i."""
    place = f"tasks/reasoning_gym: {name}"
    known = _known()
    if name not in known:
        raise DataError(f"tasks/reasoning_gym: no data set {name!r}; {nearest(name, known)}")
    import reasoning_gym

    parameters = {key: _hashable(value) for key, value in config.items()}
    _refuse_unknown(name, config)
    try:
        return reasoning_gym.create_dataset(name, seed=seed, size=size, **parameters)
    except TypeError as error:
        raise DataError(f"{place}: config: {error}") from None
    except (AssertionError, ValueError) as error:
        raise DataError(f"{place}: config: {error or 'refused by the data set'}") from None


@cache
def _known() -> frozenset[str]:
    from reasoning_gym.factory import DATASETS

    return frozenset(DATASETS)


def _hashable(value: Any) -> Any:
    """Turn JSON's lists into the tuples that reasoning-gym's configurations are made of."""
    return tuple(_hashable(item) for item in value) if isinstance(value, list) else value


def _refuse_unknown(name: str, config: Mapping[str, Any]) -> None:
    """Refuse parameters that a data set does not have, with the nearest that it has."""
    from dataclasses import fields

    from reasoning_gym.factory import DATASETS

    known = {field.name for field in fields(DATASETS[name][1])} - {"seed", "size"}
    for key in config:
        if key not in known:
            raise DataError(f"tasks/reasoning_gym: {name}: config.{key}: unknown; {nearest(key, known)}")


entry = TaskEntry(
    name="reasoning_gym",
    factory=make,
    options=ReasoningGymOptions,
    oracle="reasoning_gym",
    size=lambda options: options.size,
    check=check,
    requires=("reasoning_gym",),
    extra="reasoning-gym",
    summary="Procedurally generated problems with answers that a program checks.",
    reference="Stojanovski et al. 2025, Reasoning Gym, arXiv:2505.24760",
)
