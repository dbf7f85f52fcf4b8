"""Prompts: templates that strategies and verifiers fill, data beside their modules, options to a user."""

from __future__ import annotations

import re
from collections.abc import Collection
from importlib.resources import files
from typing import Any

from pydantic import AfterValidator

from itscale.errors import nearest_name

__all__ = ["fill", "fills", "shipped"]

PLACEHOLDER = re.compile(r"\{(\w+)\}")


def fills(*names: str) -> AfterValidator:
    """Mark an option as a template, in which each of these placeholders stands at least once.

    `Annotated[str, fills("draft")]` is a text with `{draft}` in it. Whatever else is in braces stays as it
    is, so LaTeX needs no escaping.
    """

    def check(template: str) -> str:
        found = set(PLACEHOLDER.findall(template))
        if lacking := [f"{{{name}}}" for name in names if name not in found]:
            said = f"found no {' and no '.join(lacking)}, expected each placeholder at least once"
            raise ValueError(said + _meant(found, names))
        if meant := _meant(found - {*names}, {*names, "problem"}):
            raise ValueError(f"found a placeholder that nothing fills{meant}")
        return template

    return AfterValidator(check)


def _meant(found: Collection[str], names: Collection[str]) -> str:
    """Say which placeholders may be meant by what is in braces, if any is near one."""
    near = {name: nearest_name(name, names) for name in sorted(found) if name not in names}
    said = [f"{{{name}}}: did you mean {{{known}}}?" for name, known in near.items() if known]
    return "; " + ", ".join(said) if said else ""


def fill(template: str, **values: Any) -> str:
    """Return a template with values in place of their placeholders.

    All are replaced at once: a placeholder in what a model wrote stays what it wrote.
    """
    return PLACEHOLDER.sub(lambda found: str(values.get(found[1], found[0])), template)


def shipped(package: str, *path: str) -> str:
    """Return the template of a package's own in `prompts/`, below which `path` leads, without `.txt`.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    *folders, name = path
    file = files(package).joinpath("prompts", *folders, f"{name}.txt")
    return file.read_text(encoding="utf-8").strip("\n")
