"""Randomness that depends on what is drawn, never on when or beside what."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np

__all__ = ["digest", "entropy", "generator", "seed63"]


def digest(value: Any) -> str:
    """Return the SHA-256 (hex) of a JSON value, independent of the order of keys."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def entropy(*parts: Any) -> list[int]:
    """Turn JSON values into the entropy of a `numpy.random.SeedSequence`; integers stay as they are."""
    return [
        part if isinstance(part, int) and not isinstance(part, bool) else int(digest(part)[:32], 16)
        for part in parts
    ]


def generator(*parts: Any) -> np.random.Generator:
    """Return a random generator whose stream is a function of `parts` (JSON values)."""
    return np.random.default_rng(np.random.SeedSequence(entropy(*parts)))


def seed63(*parts: Any) -> int:
    """Return a seed in [0, 2**63) that is a function of `parts` (JSON values)."""
    state = np.random.SeedSequence(entropy(*parts)).generate_state(1, np.uint64)
    return int(state[0]) >> 1
