"""Models that vLLM may run: a directory here, or one of the hub."""

from __future__ import annotations

from pathlib import Path

from itscale.errors import EngineError
from itscale_builtin.engines._vllm_requests import one_line

__all__ = ["check_model", "is_local"]


def check_model(model: str, revision: str | None) -> None:
    """Raise EngineError unless a model is a directory with a configuration or known to the hub."""
    if is_local(model):
        return
    from huggingface_hub import hf_hub_download

    try:
        hf_hub_download(model, "config.json", revision=revision)
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
