"""Plugins: what installed packages register, found once, and the look-up of a name.

Built-ins and third-party plugins arrive the same way: through the entry-point group `itscale`. A package that
breaks is set aside with a warning: it fails the studies that name one of its plugins, and no others.
"""

from __future__ import annotations

import logging
import reprlib
import signal
import threading
from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, entry_points, version
from types import FrameType
from typing import Any, Self

import pluggy

from itscale import hookspecs
from itscale.errors import PluginError, UserError, nearest
from itscale.messages.printable import one_line
from itscale.plugins.deferred import Deferred
from itscale.plugins.entries import (
    KINDS,
    Entry,
    Kind,
)
from itscale.plugins.names import meant

__all__ = [
    "Plugin",
    "Registry",
    "SetAside",
    "registry",
]

logger = logging.getLogger(__name__)


class _Interrupts:
    """Tells Ctrl-C from a package that raises KeyboardInterrupt itself, while it is entered."""

    def __init__(self) -> None:
        self.seen = False

    def __enter__(self) -> Self:
        self._before = signal.getsignal(signal.SIGINT)
        self._installed = threading.current_thread() is threading.main_thread() and callable(self._before)
        if self._installed:
            signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        if self._installed:
            signal.signal(signal.SIGINT, self._before)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.seen = True
        if callable(self._before):
            self._before(number, frame)

    def ended_by(self, error: BaseException) -> bool:
        """Return whether an error is not the package's own: the user's, or the machine's."""
        return isinstance(error, MemoryError) or (isinstance(error, KeyboardInterrupt) and self.seen)


@dataclass(frozen=True)
class Plugin:
    """An entry together with the distribution that brought it."""

    entry: Entry
    distribution: str
    version: str


@dataclass(frozen=True)
class SetAside:
    """Something of an installed distribution that cannot be used, and why."""

    distribution: str
    reason: str

    def __str__(self) -> str:
        return f"{self.distribution}: {self.reason}"


class Registry:
    """Every registered plugin, by kind and name. Hooks of a kind are called when it is first asked for.

    A hook that raises, or returns what it must not, is set aside with all it returns. Deferred entries are
    imported by their names, and all of a kind where no name fits; one that cannot be is set aside alone.

    Parameters
    ----------
    manager
        Whose plugins they are.
    set_aside
        What could not even be imported.
    """

    def __init__(self, manager: pluggy.PluginManager, set_aside: Iterable[SetAside] = ()) -> None:
        self._manager = manager
        self._plugins: dict[Kind, dict[str, list[Plugin]]] = {}
        self._deferred: dict[Kind, list[tuple[str, Deferred]]] = {}  # with their distributions
        self.set_aside: list[SetAside] = []
        for one in set_aside:
            self._put_aside(one)

    def _put_aside(self, one: SetAside) -> None:
        self.set_aside.append(one)
        logger.warning("itscale: set aside: %s", one_line(one))

    @contextmanager
    def _setting_aside(self, distribution: str, place: str) -> Iterator[None]:
        """Set a distribution's part aside for whatever it raises: a package may raise anything."""
        try:
            with _Interrupts() as interrupts:
                yield
        except BaseException as error:  # sys.exit() too
            if interrupts.ended_by(error):
                raise
            self._put_aside(SetAside(distribution, _reason(error, place)))

    def _call_hooks(self, kind: Kind) -> None:
        if kind in self._plugins:
            return
        self._plugins[kind], self._deferred[kind] = {}, []
        hook = getattr(self._manager.hook, f"itscale_register_{kind}")
        for implementation in hook.get_hookimpls():
            distribution = implementation.plugin_name.partition(":")[0]
            with self._setting_aside(distribution, f"itscale_register_{kind}"):
                self._register(kind, distribution, _called(implementation.function, kind))

    def _register(self, kind: Kind, distribution: str, entries: Iterable[Entry | Deferred]) -> None:
        """Add the entries of a hook, all of them or none."""
        found: dict[str, Plugin] = {}
        later = [one for one in entries if isinstance(one, Deferred)]
        taken = {one.name for owner, one in self._deferred[kind] if owner == distribution}
        for name, count in Counter(one.name for one in later).items():
            self._refuse_twice(kind, distribution, name, taken if count == 1 else {name})
        taken |= {one.name for one in later}
        for entry in (one for one in entries if isinstance(one, Entry)):
            plugin = Plugin(entry, distribution, _version(distribution))
            for name in (entry.name, *entry.aliases):
                self._refuse_twice(kind, distribution, name, taken | found.keys())
                found[name] = plugin
        for name, plugin in found.items():
            self._plugins[kind].setdefault(name, []).append(plugin)
        self._deferred[kind] += [(distribution, one) for one in later]

    def _refuse_twice(self, kind: Kind, distribution: str, name: str, taken: Collection[str]) -> None:
        rivals = self._plugins[kind].get(name, ())
        if name in taken or any(rival.distribution == distribution for rival in rivals):
            raise PluginError(f"{kind}: {name!r} is registered twice")

    def _load(self, kind: Kind, name: str | None = None) -> None:
        """Import the deferred entries of a name, or all."""
        self._call_hooks(kind)
        wanted = [(owner, one) for owner, one in self._deferred[kind] if name in (None, one.name)]
        for distribution, one in wanted:
            self._deferred[kind].remove((distribution, one))
            with self._setting_aside(distribution, f"{kind}/{one.name}"):
                self._register(kind, distribution, [one.load(kind)])

    def _of_kind(self, kind: Kind) -> dict[str, list[Plugin]]:
        """Return all plugins of a kind, by every name they answer to."""
        self._load(kind)
        return self._plugins[kind]

    def get(self, kind: Kind, name: str) -> Plugin:
        """Return the plugin of a name, or of `distribution/name`.

        Raises
        ------
        PluginError
            If there is none (the nearest name is suggested, and what was set aside is named) or several
            distributions bring the name.
        """
        distribution, _, short = name.rpartition("/")
        self._load(kind, short)
        found = [one for one in self._named(kind, short, distribution) if one.entry.name == short]
        if not found:  # a name goes before what another plugin answers to beside its own
            self._load(kind)
            found = self._named(kind, short, distribution)
        if not found:
            raise PluginError(self.missing(f"no plugin {name!r} among the {kind}", name, (kind,)))
        if len(found) > 1:
            owners = sorted(f"{plugin.distribution}/{short}" for plugin in found)
            raise PluginError(f"{kind}: {name!r} is brought by several distributions: name one of {owners}")
        return found[0]

    def _named(self, kind: Kind, name: str, distribution: str) -> list[Plugin]:
        """Return the plugins that answer to a name, of a distribution if that is not empty."""
        found = self._plugins[kind].get(name, [])
        return [plugin for plugin in found if distribution in ("", plugin.distribution)]

    def missing(self, what: str, name: str, kinds: Iterable[Kind]) -> str:
        """Say that there is no plugin of a name: what may be meant, and what was set aside that may have it.

        Of `distribution/name` the distribution was meant: only what is wrong with it is said, if anything is.

        Parameters
        ----------
        kinds
            Those among which it was looked for.
        """
        distribution, _, short = name.rpartition("/")
        kinds = tuple(kinds)
        elsewhere = [kind for kind in KINDS if kind not in kinds and short in self._of_kind(kind)]
        aside = [str(one) for one in self.set_aside if distribution in ("", one.distribution)]
        hints = [self.nearest(short, kinds)] if not (distribution and aside) else []
        hints += [f"{short!r} is one of the {kind}" for kind in elsewhere]
        return "; ".join([what, *hints, *(f"set aside: {one}" for one in aside)])

    def entries(self, kinds: Iterable[Kind]) -> dict[str, Entry]:
        """Return entries of some kinds by every name they answer to."""
        return {known: plugins[0].entry for kind in kinds for known, plugins in self._of_kind(kind).items()}

    def nearest(self, name: str, kinds: Iterable[Kind]) -> str:
        """Say which plugin of some kinds is meant by a name as people write it, or which there are."""
        entries = self.entries(kinds)
        if found := meant(name, entries):
            return f"did you mean {found!r}?"
        return nearest(name, {entry.name for entry in entries.values()})

    def plugins(self, kind: Kind) -> Iterator[Plugin]:
        """Yield the plugins of a kind, by name."""
        for name, found in sorted(self._of_kind(kind).items()):
            yield from (plugin for plugin in found if plugin.entry.name == name)


def _called(hook: Any, kind: Kind) -> list[Entry | Deferred]:
    """Return the entries of a hook; PluginError if it returns anything else."""
    returned = hook()
    name = f"itscale_register_{kind}"
    if isinstance(returned, Entry | Deferred | str) or not isinstance(returned, Iterable):
        raise PluginError(f"{name} returned {_shown(returned)}, expected a list of entries of kind {kind!r}")
    entries = list(returned)
    for entry in entries:
        if isinstance(entry, Deferred):
            continue  # checked when it is imported
        if not isinstance(entry, Entry) or entry.kind != kind:
            raise PluginError(f"{name} returned {_shown(entry)}, expected entries of kind {kind!r}")
        entry.validate()
    return entries


def _shown(value: Any) -> str:
    if isinstance(value, Deferred):
        return f"{value.name}, a single entry"
    return f"{value.kind}/{value.name}, a single entry" if isinstance(value, Entry) else reprlib.repr(value)


def _reason(error: BaseException, place: str) -> str:
    """Say in one line what a package raised, and where."""
    said = " ".join(str(error).split())
    if isinstance(error, UserError):
        return said
    return f"{place}: {type(error).__name__}: {said}".removesuffix(": ")


def load(manager: pluggy.PluginManager) -> Registry:
    """Return a registry of a manager's plugins, all of them checked.

    Raises
    ------
    PluginError
        With the first thing that would be set aside.
    """
    found = lazy(manager)
    for kind in KINDS:
        for _ in found.plugins(kind):
            pass
    if found.set_aside:
        raise PluginError(str(found.set_aside[0]))
    return found


def lazy(manager: pluggy.PluginManager, set_aside: Iterable[SetAside] = ()) -> Registry:
    """Check a manager's hooks by their names; what they return is checked when it is asked for."""
    aside = list(set_aside)
    for name, module in manager.list_name_plugin():
        try:
            with _Interrupts() as interrupts:
                _check_hooks(manager, module)
        except BaseException as error:
            if interrupts.ended_by(error):
                raise
            manager.unregister(name=name)
            distribution, _, point = name.partition(":")
            aside.append(SetAside(distribution, _reason(error, f"entry point {point}")))
    manager.check_pending()
    return Registry(manager, aside)


def _check_hooks(manager: pluggy.PluginManager, module: Any) -> None:
    """Refuse a function that is called like a hook and is none."""
    hooks = {f"itscale_register_{kind}" for kind in KINDS}
    for attribute in dir(module):
        if not attribute.startswith("itscale_") or not callable(getattr(module, attribute)):
            continue
        if attribute not in hooks:
            raise PluginError(f"no hook {attribute!r}; {nearest(attribute, hooks)}")
        if manager.parse_hookimpl_opts(module, attribute) is None:
            raise PluginError(f"{attribute} is not marked, expected @itscale.hookimpl")


def new_manager() -> pluggy.PluginManager:
    """Return a plugin manager that knows the hooks and has no plugins."""
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def add_installed(manager: pluggy.PluginManager) -> list[SetAside]:
    """Register what the installed distributions offer in the entry-point group, as `distribution:name`.

    Not `load_setuptools_entrypoints`: that skips a second entry point of the same name without a word, and
    two distributions may well both call theirs `strategies`.

    Returns
    -------
    list of SetAside
        Entry points that cannot be imported, whatever they raise, or whose hooks take arguments they will
        not get.
    """
    aside = []
    for point in entry_points(group=hookspecs.PROJECT):
        distribution = point.dist.name if point.dist else point.module
        place = f"entry point {point.name} = {point.value}"
        name = f"{distribution}:{point.name}"
        try:
            with _Interrupts() as interrupts:
                manager.register(point.load(), name=name)
        except BaseException as error:  # a package may raise anything, sys.exit() too
            if interrupts.ended_by(error):
                raise
            if manager.has_plugin(name):
                manager.unregister(name=name)
            aside.append(SetAside(distribution, _reason(error, place)))
    return aside


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # registered by hand, as tests do
        return "0"


@cache
def registry() -> Registry:
    """Find the installed plugins once and return the registry; plugins of a kind are made when asked for."""
    manager = new_manager()
    return lazy(manager, add_installed(manager))
