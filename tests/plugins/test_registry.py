"""What is on disk is registered, and asking for it loads nothing heavy."""

import subprocess
import sys

import pytest
from builtins_of_itscale import FOLDER, builtins, key_of, source_of, sources_of

from itscale.plugins import KINDS
from itscale.testing.entries import HEAVY_MODULES

KINDS_ON_DISK = [kind for kind in KINDS if (FOLDER / kind / "__init__.py").exists()]


def public_modules(kind: str) -> set[str]:
    return {path.stem for path in (FOLDER / kind).glob("*.py") if not path.stem.startswith("_")}


def test_every_kind_on_disk_is_a_kind() -> None:
    folders = {path.parent.name for path in FOLDER.glob("*/*.py")}
    assert folders <= set(KINDS)


@pytest.mark.parametrize("kind", KINDS_ON_DISK)
def test_every_module_with_an_entry_is_registered(kind: str) -> None:
    with_entry = {
        name
        for name in public_modules(kind)
        if "\nentry = " in (FOLDER / kind / f"{name}.py").read_text(encoding="utf-8")
    }
    registered = {plugin.entry.name for plugin in builtins() if plugin.entry.kind == kind}
    assert with_entry == registered
    shared = {path.stem for name in with_entry for path in sources_of(FOLDER / kind / f"{name}.py")}
    useless = public_modules(kind) - shared
    assert not useless, f"neither with an entry nor imported by a module that has one: {sorted(useless)}"


@pytest.mark.parametrize("entry", [plugin.entry for plugin in builtins()], ids=key_of)
def test_each_is_a_module_of_its_own_name(entry) -> None:
    assert source_of(entry).is_file()
    assert entry.factory.__module__.startswith(f"itscale_builtin.{entry.kind}.")


PROGRAM = """
import sys
import itscale
heavy = {heavy!r}
print("core:", *sorted(heavy & sys.modules.keys()))
from itscale.plugins import KINDS, registry
import itscale.study.resolution
names = [plugin.entry.name for kind in KINDS for plugin in registry().plugins(kind)]
print("plugins:", *sorted(heavy & sys.modules.keys()))
print("testing:", *sorted({{"pytest", "itscale.testing"}} & sys.modules.keys()))
"""


def test_importing_and_registering_load_nothing_heavy() -> None:
    found = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(heavy=set(HEAVY_MODULES))],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.splitlines() == ["core:", "plugins:", "testing:"]
