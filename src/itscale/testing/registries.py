"""Plugins and registries without an installation, for tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import ModuleType

from itscale import hookimpl
from itscale.plugins.entries import KINDS, Entry, Kind
from itscale.plugins.registry import Registry, load, new_manager

__all__ = ["plugin_module", "registry_of"]


def plugin_module(name: str, entries: Iterable[Entry]) -> ModuleType:
    """Return a module that registers the given entries, each under the hook of its kind."""
    module = ModuleType(name)
    entries = list(entries)
    for kind in KINDS:
        mine = [entry for entry in entries if entry.kind == kind]
        if mine:
            _add_hook(module, kind, mine)
    return module


def _add_hook(module: ModuleType, kind: Kind, entries: list[Entry]) -> None:
    def register() -> list[Entry]:
        return entries

    register.__name__ = f"itscale_register_{kind}"
    setattr(module, register.__name__, hookimpl(register))


def registry_of(distributions: Mapping[str, Iterable[Entry]]) -> Registry:
    """Return a registry of just these entries, by the name of the distribution that brings them.

    Examples
    --------
    >>> from itscale.testing import registry_of
    >>> list(registry_of({"my-package": []}).plugins("laws"))
    []
    """
    manager = new_manager()
    for name, entries in distributions.items():
        manager.register(plugin_module(name.replace("-", "_"), entries), name=name)
    return load(manager)
