"""The stages as the test of digests sees them: which modules of the core their outputs come from."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from builtins_of_itscale import source_digest

import itscale

FOLDER = Path(itscale.__file__).parent

STARTS = {
    "outcomes": "stages.imports",  # and that imports `stages.outcomes`
    "leaderboard_table": "stages.leaderboard",
    "manifest": "provenance.manifest",
}
"""The module of a stage, where it is not called after it."""

WITHOUT_EFFECT = frozenset(
    {
        # what a study may say, and what is said of it: values reach a stage by its params and fingerprints
        "study",
        *(f"plugins.{name}" for name in ("declarations", "entries", "ingredient", "place", "registry")),
        "hookspecs",
        "boundary",  # and what is refused of what a plugin returns: what passes is passed on as it is
        # where, when and on what a job runs
        *("cli", "planning", "running", "sampling.blocks", "sampling.throughput"),
        *("store.directory", "store.snakemake"),
        # words, and what is recorded beside the data
        "errors",
        *(f"messages.{name}" for name in ("mistakes", "printable", "secrets", "validation")),
        "provenance.fingerprints",
        *(f"stages.{name}" for name in ("declaration", "declared", "footer")),
        "testing",
    }
)
"""Modules and packages that change no data: a change to them is nobody's revision."""


def modules_of(stage: str) -> set[str]:
    """Modules that a stage imports, directly or not, by their names below `itscale`."""
    found: set[str] = set()
    waiting = [STARTS.get(stage, f"stages.{stage}")]
    while waiting:
        module = waiting.pop()
        if module not in found and not _without_effect(module):
            found.add(module)
            waiting += [name for name in _imported(_text(module)) if path_of(name).is_file()]
    return found


def _without_effect(module: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in WITHOUT_EFFECT)


def path_of(module: str) -> Path:
    place = FOLDER.joinpath(*module.split("."))
    return place.with_suffix(".py") if place.with_suffix(".py").is_file() else place / "__init__.py"


def _text(module: str) -> str:
    return path_of(module).read_text(encoding="utf-8")


@cache
def _imported(source: str) -> list[str]:
    """Names below `itscale` that a module imports, wherever in it it does: modules, and what is in them."""
    return list(_names(ast.parse(source)))


def _names(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            package, _, module = name.partition(".")
            if package == itscale.__name__ and module:
                yield module


_digest = cache(source_digest)


def stage_digest(stage: str) -> str:
    """Digest of the modules that a stage's outputs come from, formatting and words aside."""
    named = (f"{module} {_digest(_text(module))}" for module in modules_of(stage))
    return hashlib.sha256("\n".join(sorted(named)).encode()).hexdigest()
