"""The hooks a plugin may implement: one per kind, each returning the entries it brings."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    from itscale.plugins.deferred import Deferred
    from itscale.plugins.entries import (
        EngineEntry,
        FigureEntry,
        LawEntry,
        PriceEntry,
        SelectorEntry,
        TaskEntry,
        VerifierEntry,
    )
    from itscale.plugins.strategies import StrategyEntry

__all__ = ["PROJECT", "hookimpl"]

PROJECT = "itscale"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def itscale_register_tasks() -> Iterable[TaskEntry | Deferred]:
    """Register tasks: `factory(options)` returns an iterable of `Problem`."""
    raise AssertionError  # pragma: no cover - a specification is never called


@hookspec
def itscale_register_engines() -> Iterable[EngineEntry | Deferred]:
    """Register engines: `factory(options, seed=..., model_directory=...)` returns an `Engine`."""
    raise AssertionError  # pragma: no cover


@hookspec
def itscale_register_strategies() -> Iterable[StrategyEntry | Deferred]:
    """Register strategies: `await factory(problem, session, options)` returns completions."""
    raise AssertionError  # pragma: no cover


@hookspec
def itscale_register_verifiers() -> Iterable[VerifierEntry | Deferred]:
    """Register verifiers: `factory(options)` returns an `Oracle` or a `Scorer`."""
    raise AssertionError  # pragma: no cover


@hookspec
def itscale_register_selectors() -> Iterable[SelectorEntry | Deferred]:
    """Register selectors: `factory(options)` returns a `Selector`."""
    raise AssertionError  # pragma: no cover


@hookspec
def itscale_register_laws() -> Iterable[LawEntry | Deferred]:
    """Register laws: `factory(options)` returns a `Law`."""
    raise AssertionError  # pragma: no cover


@hookspec
def itscale_register_prices() -> Iterable[PriceEntry | Deferred]:
    """Register price tables: `factory(options)` returns USD per token, by class of tokens."""
    raise AssertionError  # pragma: no cover


@hookspec
def itscale_register_figures() -> Iterable[FigureEntry | Deferred]:
    """Register figures: `factory(options)` returns a `FigureMaker`."""
    raise AssertionError  # pragma: no cover
