"""Plugins: what each kind registers, and the look-up of a name. What an author of plugins imports."""

from itscale.plugins.costs import VerdictCost
from itscale.plugins.deferred import Deferred, deferred
from itscale.plugins.entries import (
    KINDS,
    EngineEntry,
    Entry,
    FigureEntry,
    Kind,
    LawEntry,
    Options,
    PriceEntry,
    SelectorEntry,
    TaskEntry,
    VerifierEntry,
)
from itscale.plugins.registry import Plugin, Registry, SetAside, registry
from itscale.plugins.strategies import StrategyEntry

__all__ = [
    "KINDS",
    "Deferred",
    "EngineEntry",
    "Entry",
    "FigureEntry",
    "Kind",
    "LawEntry",
    "Options",
    "Plugin",
    "PriceEntry",
    "Registry",
    "SelectorEntry",
    "SetAside",
    "StrategyEntry",
    "TaskEntry",
    "VerdictCost",
    "VerifierEntry",
    "deferred",
    "registry",
]
