"""The memory of a CPU's machine that vLLM's KV cache takes."""

from __future__ import annotations

import os
from pathlib import Path

from itscale.errors import EngineError

__all__ = ["cpu_cache"]

CPU_CACHE = 0.2
"""Share of the machine's memory for the KV cache, where none is stated."""


def cpu_cache(share: float | None, model: str) -> int | None:
    """Return the bytes of a KV cache on a CPU: what a share of its memory leaves beside the weights.

    None where the weights are not here, so that nobody knows.

    Raises
    ------
    EngineError
        If the share does not hold the weights.
    """
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if share is None:
        return int(CPU_CACHE * machine)
    weights = sum(file.stat().st_size for file in Path(model).expanduser().glob("*.safetensors"))
    if not weights:
        return None
    if (left := int(share * machine) - weights) <= 0:
        raise EngineError(
            f"vllm: {model}: gpu_memory: found {share:g} of {machine / 2**30:.1f} GiB, expected more than "
            f"the {weights / 2**30:.1f} GiB of its weights"
        )
    return left
