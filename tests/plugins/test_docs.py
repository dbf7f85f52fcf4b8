"""Every hook is documented with its arguments, by an example that runs and passes its contract."""

from __future__ import annotations

import doctest
import importlib.util
import inspect
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from builtins_of_itscale import contract_of

from itscale import estimators, hookspecs
from itscale.plugins import KINDS, Entry, Registry
from itscale.plugins.registry import load, new_manager

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "plugins.md").read_text(encoding="utf-8")
FOLDER = tempfile.TemporaryDirectory(prefix="itscale-docs-")
HOOKS = {name: hook for name, hook in vars(hookspecs).items() if name.startswith("itscale_")}

ATTRIBUTES: Mapping[str, Mapping[str, Any]] = {
    "criticised": {"options": {"critic": "other"}, "helpers": {"other": {}}},
    "geometric": {"tolerance": 1.0},
}


def run_example(hook: str) -> ModuleType:
    """Run the one example that implements a hook, from a file: the texts under options are read there."""
    (code,) = (
        block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if f"def {hook}(" in block
    )
    path = Path(FOLDER.name) / f"example_of_{hook}.py"
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def example_registry(hook: str) -> Registry:
    manager = new_manager()
    manager.register(run_example(hook), name="docs")
    return load(manager)


def example_entry(kind: Any) -> Entry:
    (plugin,) = example_registry(f"itscale_register_{kind}").plugins(kind)
    return plugin.entry


def test_there_is_a_hook_for_every_kind() -> None:
    assert HOOKS.keys() == {f"itscale_register_{kind}" for kind in KINDS}


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_is_documented_with_its_arguments(hook: str) -> None:
    arguments = ", ".join(inspect.signature(HOOKS[hook]).parameters)
    assert re.search(rf"^## \w+: `{re.escape(f'{hook}({arguments})')}`$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("hook", HOOKS)
def test_what_the_page_says_of_a_factory_is_what_the_hook_says(hook: str) -> None:
    call = re.search(r"`([^`]*factory\([^`]*\))`", inspect.getdoc(HOOKS[hook]) or "")
    assert call, f"the docstring of {hook} does not say how a factory is called"
    section = PAGE.split(f"`{hook}(", 1)[1].split("\n## ", 1)[0]
    assert call[0] in section


@pytest.mark.parametrize("hook", HOOKS)
def test_every_example_registers_one_plugin_of_its_kind(hook: str) -> None:
    found = example_registry(hook)
    assert [kind for kind in KINDS for _ in found.plugins(kind)] == [hook.removeprefix("itscale_register_")]


def _contract(entry: Entry) -> type:
    # No other process can import the example.
    attributes = {"entry": entry, "test_registering_it_imports_nothing_heavy": None}
    return type(
        f"TestExample{entry.kind}", (contract_of(entry),), {**attributes, **ATTRIBUTES.get(entry.name, {})}
    )


for _kind in KINDS:
    globals()[f"TestExampleOf{_kind.capitalize()}"] = _contract(example_entry(_kind))


def test_the_page_of_estimators_names_all_of_them_and_shows_what_they_return() -> None:
    page = DOCS / "estimators.md"
    found = doctest.testfile(str(page), module_relative=False, encoding="utf-8")
    assert (found.failed, found.attempted > 0) == (0, True)
    named = set(re.findall(r"\w+", page.read_text(encoding="utf-8")))
    functions = {name for name in estimators.__all__ if inspect.isfunction(getattr(estimators, name))}
    assert functions <= named
