"""The built-ins as the tests of plugins see them: which contract, which source, which digest."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import itscale_builtin
from itscale.plugins import KINDS, Entry, Kind, LawEntry, Plugin, VerifierEntry, registry
from itscale.testing import (
    EngineContract,
    EntryContract,
    FigureContract,
    LawContract,
    OracleContract,
    PriceContract,
    ScorerContract,
    SelectorContract,
    StrategyContract,
    TableLawContract,
    TaskContract,
)

FOLDER = Path(itscale_builtin.__file__).parent

CONTRACTS: Mapping[Kind, type[EntryContract]] = {
    "tasks": TaskContract,
    "engines": EngineContract,
    "strategies": StrategyContract,
    "selectors": SelectorContract,
    "laws": LawContract,
    "prices": PriceContract,
    "figures": FigureContract,
}


def contract_of(entry: Entry) -> type[EntryContract]:
    if isinstance(entry, VerifierEntry):
        return OracleContract if entry.role == "oracle" else ScorerContract
    if isinstance(entry, LawEntry) and entry.takes == "table":
        return TableLawContract
    return CONTRACTS[entry.kind]


def builtins() -> Iterator[Plugin]:
    for kind in KINDS:
        yield from (plugin for plugin in registry().plugins(kind) if plugin.distribution == "itscale")


def key_of(entry: Entry) -> str:
    return f"{entry.kind}/{entry.name}"


def source_of(entry: Entry) -> Path:
    """The module of a built-in: one module a method, named after it."""
    return FOLDER / entry.kind / f"{entry.name}.py"


def sources_of(module: Path) -> set[Path]:
    """A module of the built-ins and those of them it imports, directly or not: what its outputs come from."""
    found, waiting = set(), [module]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported_builtins(path)
    return found


def _imported_builtins(path: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            f"{itscale_builtin.__name__}."
        ):
            place = FOLDER.joinpath(*str(node.module).split(".")[1:])
            names = [place / f"{alias.name}.py" for alias in node.names]
            yield from (module for module in (place.with_suffix(".py"), *names) if module.is_file())


def digest_of(entry: Entry) -> str:
    """Digest of everything among the built-ins that a plugin's outputs come from."""
    digests = sorted(source_digest(path.read_text(encoding="utf-8")) for path in sources_of(source_of(entry)))
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def source_digest(source: str) -> str:
    """Hash what a module does: formatting, comments and docstrings do not count."""
    tree: Any = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [line for line in body if not _is_text(line)]
    return hashlib.sha256(ast.dump(tree).encode()).hexdigest()


def _is_text(line: ast.AST) -> bool:
    return (
        isinstance(line, ast.Expr)
        and isinstance(line.value, ast.Constant)
        and isinstance(line.value.value, str)
    )
