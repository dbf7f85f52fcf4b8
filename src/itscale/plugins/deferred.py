"""Deferred entries: plugins whose modules are imported when a study names them, and not before."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from itscale.errors import PluginError
from itscale.plugins.entries import NAME, Entry, Kind

__all__ = ["Deferred", "deferred"]


@dataclass(frozen=True)
class Deferred:
    """What a hook returns in place of an entry that need not be imported yet.

    A job imports the plugins that its study names. A package of many is therefore as quick to start as a
    package of one.

    Attributes
    ----------
    name
        Of the entry. Its aliases are found, too: all of a kind are imported where no name fits.
    module
        What has it as `entry`.
    """

    name: str
    module: str

    def __post_init__(self) -> None:
        """Refuse what could not be looked up."""
        if not NAME.fullmatch(self.name):
            raise PluginError(f"plugin name {self.name!r}: expected lower case, digits and '_'")

    def load(self, kind: Kind) -> Entry:
        """Import the entry.

        Raises
        ------
        PluginError
            If the module has another entry, or none. It may raise anything else as it is imported.
        """
        found: Any = getattr(import_module(self.module), "entry", None)
        if not isinstance(found, Entry) or (found.kind, found.name) != (kind, self.name):
            shown = f"{found.kind}/{found.name}" if isinstance(found, Entry) else repr(found)
            raise PluginError(f"{self.module}.entry: found {shown}, expected {kind}/{self.name}")
        found.validate()
        return found


def deferred(package: str, *names: str) -> list[Deferred]:
    """Return the entries of a package that has one module for each, of its name.

    Examples
    --------
    >>> from itscale.plugins import deferred
    >>> deferred("my_package.laws", "cubic")
    [Deferred(name='cubic', module='my_package.laws.cubic')]
    """
    return [Deferred(name, f"{package}.{name}") for name in names]
