"""Files that a confined process sees: Python, what is installed, and the packages it is asked to import.

The user's other files are not among them: of a folder on the path that holds no installed packages (an
editable checkout), only the package asked for is shown.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

__all__ = ["DEVICES", "INTERPRETER", "LOADER", "SYSTEM", "Places", "places"]

INTERPRETER = Path(sys.executable).resolve()
"""The interpreter itself: a virtual environment's is a link to it."""

INSTALLED = ("site-packages", "dist-packages")
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
LOADER = ("/etc/ld.so.cache", "/etc/alternatives")
# One by one: bubblewrap's own /dev is writable, and costs an ordinary user a second user namespace.
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
SCRATCH = ("/tmp", "/var/tmp", "/run")
"""Where temporary files may go: what is shown there would be hidden behind them."""
STORES = ("/nix/store", "/gnu/store")
"""Where some systems keep all libraries, readable to everybody."""


@dataclass(frozen=True)
class Places:
    """Files to show, and `sys.path` as it leads to them."""

    shown: tuple[Path, ...]
    path: tuple[str, ...]

    @property
    def world_readable(self) -> bool:
        """Whether another user could read them, given a way to them."""
        return all(
            _others_may_read(place) for place in (*self.shown, *map(Path, self.path)) if place.exists()
        )

    @property
    def scratch(self) -> str:
        """The folder for temporary files: `/tmp` unless the environment lies there."""
        shown = [*self.shown, *map(Path, self.path)]
        free = (place for place in SCRATCH if not any(_within(other, Path(place)) for other in shown))
        return next(free, SCRATCH[-1])


def places(modules: Iterable[str]) -> Places:
    """Return what is shown to a process that imports these modules."""
    roots = {top for module in modules if (top := module.partition(".")[0])} | {"itscale"}
    return _places(frozenset(roots))


@cache
def _places(packages: frozenset[str]) -> Places:
    base = [Path(sys.base_prefix), Path(sys.base_exec_prefix), INTERPRETER.parents[1]]
    standard = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib")]
    standard.append(str(Path(standard[0]) / "lib-dynload"))
    installed = [entry for entry in sys.path if Path(entry).name in INSTALLED and Path(entry).is_dir()]
    path, shown = list(dict.fromkeys([*standard, *installed])), [*base, *map(Path, installed)]
    for package in sorted(packages):
        for folder, importable in _importable(package):
            if not any(Path(entry) == folder for entry in installed):
                path.append(str(folder))
                shown.append(importable)
    shown += [Path(store) for store in STORES if any(_within(place, Path(store)) for place in shown)]
    shown += _loaded_libraries()
    return Places(tuple(_outermost(shown)), tuple(dict.fromkeys(path)))


def _importable(package: str) -> Iterator[tuple[Path, Path]]:
    """Yield the folders on the path that hold a package, and what of each is the package."""
    try:
        spec = find_spec(package)
    except (ImportError, ValueError):
        return
    if spec is None:
        return
    if spec.submodule_search_locations is not None:
        for location in spec.submodule_search_locations:
            yield Path(location).absolute().parent, Path(location).absolute()
    elif spec.origin and Path(spec.origin).is_file():
        yield Path(spec.origin).absolute().parent, Path(spec.origin).absolute()


def _loaded_libraries() -> list[Path]:
    """Return the shared libraries that this interpreter itself runs on, wherever they lie."""
    try:
        lines = Path("/proc/self/maps").read_text().splitlines()
    except OSError:
        return []
    found = {line.split(maxsplit=5)[5] for line in lines if line.count("/") and len(line.split()) > 5}
    return sorted(Path(name) for name in found if ".so" in Path(name).name and Path(name).is_file())


def _outermost(shown: Iterable[Path]) -> list[Path]:
    """Return those that lie in none of the others, nor in a folder of the system; missing ones left out."""
    roots = [Path(root) for root in SYSTEM if Path(root).is_dir()]
    kept: list[Path] = []
    for place in sorted({place for place in shown if place.exists()}, key=lambda place: len(place.parts)):
        if not any(_within(place, root) for root in [*roots, *kept]):
            kept.append(place)
    return kept


def _within(place: Path, root: Path) -> bool:
    return place == root or root in place.parents


def _others_may_read(place: Path) -> bool:
    needed = 0o005 if place.is_dir() else 0o004
    return place.stat().st_mode & needed == needed
