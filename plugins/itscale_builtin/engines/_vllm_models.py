"""Models that vLLM may run: a directory here, or one of the hub, and what their architecture is for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal

from itscale.errors import EngineError
from itscale_builtin.engines._vllm_requests import one_line

__all__ = ["Purpose", "architecture_here", "architecture_of", "check_model", "is_local", "purpose_of"]

Purpose = Literal["text", "whole", "tokens", "steps"]
"""What a checkpoint's head says: the next token, a reward of the whole, numbers at every token, rewards of
steps at a marker that it was trained with."""

HEADS: tuple[tuple[str, Purpose], ...] = (
    ("ForSequenceClassification", "whole"),
    ("ForProcessRewardModel", "steps"),
    ("ForTokenClassification", "tokens"),
    ("ForRewardModel", "tokens"),
)
"""Ends of the names of architectures that write nothing."""


def check_model(model: str, revision: str | None) -> Path:
    """Return the configuration of a model: in its directory, or in the cache of the hub.

    Raises
    ------
    EngineError
        If it is neither a directory with a configuration nor known to the hub.
    """
    if is_local(model):
        return Path(model).expanduser() / "config.json"
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(model, "config.json", revision=revision))
    except Exception as error:  # the hub's client raises its transport's errors as they come
        raise EngineError(
            f"vllm: model {model!r}: neither a directory here nor a model of the hub: {one_line(error)}"
        ) from None


def is_local(model: str) -> bool:
    """Return whether a model is a directory here; EngineError if it must be one, and is none of a model."""
    directory = Path(model).expanduser()
    if directory.is_dir():
        if not (directory / "config.json").is_file():
            raise EngineError(f"vllm: model {model!r}: no config.json in it, expected a model's directory")
        return True
    if directory.exists() or directory.is_absolute() or model.startswith((".", "~")):
        raise EngineError(f"vllm: model {model!r}: not a directory, expected a model's directory")
    return False


def architecture_of(config: Path) -> str:
    """Return the architecture that a configuration names; empty if it names none."""
    try:
        found = json.loads(config.read_bytes())
        names = found["architectures"]
        return str(names[0])
    except (OSError, ValueError, TypeError, LookupError, RecursionError):
        return ""  # vLLM says what is wrong with it


def purpose_of(architecture: str) -> Purpose:
    """Return what an architecture is for; text, unless its name says otherwise."""
    return next((purpose for end, purpose in HEADS if architecture.endswith(end)), "text")


def architecture_here(model: str | None) -> str:
    """Return the architecture of a model that is a directory here; empty of any other."""
    config = Path(model or "").expanduser() / "config.json"
    return architecture_of(config) if model and config.is_file() else ""
