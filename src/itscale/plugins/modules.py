"""Modules that plugins need when they run."""

from __future__ import annotations

from importlib.util import find_spec

__all__ = ["importable"]


def importable(module: str) -> bool:
    """Return whether a module is there, without importing it."""
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # of a dotted name whose parent is not there
        return False
