"""The rooms of the house: every import points down the list, and no modules import each other in a circle."""

import ast
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import itscale

FOLDER = Path(itscale.__file__).parent

ROOMS = (
    "__main__",
    "testing",
    "cli",
    "running",
    "planning",
    "provenance",
    "stages",
    "study",
    "importing",
    "power",
    "fitting",
    "curves",
    "boundary",
    "sampling",
    "plugins",
    "sandbox",
    "store",
    "estimators",
    "outcomes",
    "types",
    "seeds",
    "messages",
    "errors",
    "hookspecs",
)
"""From the top of the house to its ground; docs/architecture.md says what is in each."""

ANNOTATIONS = {"hookspecs": {"plugins"}}
"""What a room names in annotations alone though it lies above: importing `itscale` must cost nothing."""


@cache
def modules() -> dict[str, Path]:
    """Files of `itscale` by the names of their modules below it."""
    found = {}
    for path in FOLDER.rglob("*.py"):
        parts = path.relative_to(FOLDER).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(module: str) -> Iterator[tuple[str, bool]]:
    """Modules of `itscale` that one imports, wherever in it, and whether for annotations alone."""
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    annotations = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if _own(name) in modules() else node.module for name in names]
        else:
            continue
        yield from ((_own(name), id(node) in annotations) for name in names if _own(name) in modules())


def _own(name: str) -> str:
    package, _, module = name.partition(".")
    return module if package == itscale.__name__ else "another package"


def room(module: str) -> str:
    return module.partition(".")[0]


def test_every_room_has_its_place() -> None:
    assert {room(module) for module in modules()} == {*ROOMS, ""}
    assert len(ROOMS) <= 25


@pytest.mark.parametrize("module", sorted(name for name in modules() if name))
def test_imports_point_down(module: str) -> None:
    place = ROOMS.index(room(module))
    for other, annotation in imports(module):
        if annotation and room(other) in ANNOTATIONS.get(room(module), ()):
            continue
        assert not other or ROOMS.index(room(other)) >= place, f"{module} imports {other}, which is above it"


def test_no_modules_import_each_other_in_a_circle() -> None:
    below = {
        module: {other for other, _ in imports(module) if other and room(other) == room(module)} - {module}
        for module in modules()
    }
    order = TopologicalSorter(below)
    order.prepare()  # CycleError names the circle
    assert order.is_active()
