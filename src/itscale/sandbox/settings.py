"""Settings of a zygote, none of which comes from a model."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

__all__ = ["RUNGS", "Rung", "Settings"]

Rung = Literal["bubblewrap", "landlock", "process"]
"""How calls are contained, the strongest first.

`bubblewrap`: namespaces of their own, an empty file system but for Python, no network, seccomp.
`landlock`: the kernel's Landlock and seccomp: files, network and other processes are out of reach, but no
namespaces, and nothing can be written, not even a temporary file.
`process`: a process of its own under limits, with seccomp where the machine has it: the user's files can be
read, and where it has not, changed.
"""
RUNGS: tuple[Rung, ...] = get_args(Rung)


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Settings of a zygote and of the children it makes.

    Attributes
    ----------
    target
        `package.module:function`: what its children call.
    preload
        Modules to import beforehand.
    warm
        Arguments of calls to make beforehand: libraries fill their caches.
    rung
        How children are contained.
    path
        `sys.path`.
    readable
        Files and folders that children may read where Landlock contains them.
    scratch
        Folder for temporary files, where children have one.
    uid
        User that children become; None if they stay who they are.
    memory
        Most address space of a child, in bytes.
    processor
        Processor time after which the kernel ends a child though nobody watches it, in whole seconds.
    file_size
        Most bytes of a file, and of all temporary files together.
    """

    target: str
    preload: tuple[str, ...]
    warm: tuple[tuple[Any, ...], ...]
    rung: Rung
    path: tuple[str, ...]
    readable: tuple[str, ...]
    scratch: str
    uid: int | None
    memory: int
    processor: int
    file_size: int

    def to_json(self) -> str:
        """Return the settings as text."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Settings:
        """Read what `to_json` wrote."""
        return cls(**json.loads(text))
