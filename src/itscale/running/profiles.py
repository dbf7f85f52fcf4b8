"""Snakemake's profiles as `itscale run` meets them: those that come with it, and where they let jobs run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import yaml

__all__ = ["jobs_bring_their_own", "runs_elsewhere", "with_own_profiles"]

DEPLOYMENT = ("--sdm", "--software-deployment-method", "--deployment-method", "--deployment", "--use-conda")
"""Options of Snakemake that give jobs environments of their own."""


def with_own_profiles(arguments: Sequence[str], folder: Path) -> list[str]:
    """Return arguments for Snakemake in which a profile of `folder` that goes by its name has its path.

    A profile of that name in the working directory or among the user's own comes first, as in Snakemake.
    """
    found = list(arguments)
    for place, prefix, name in _named(arguments):
        if not any(path.exists() for path in _candidates(name)) and (folder / name).is_dir():
            found[place] = f"{prefix}{folder / name}"
    return found


def runs_elsewhere(arguments: Sequence[str]) -> bool:
    """Return whether arguments for Snakemake let another executor than the local one run jobs."""
    executors = [
        after if argument in ("--executor", "-e") else argument.partition("=")[2]
        for argument, after in zip(arguments, [*arguments[1:], ""], strict=False)
        if argument in ("--executor", "-e") or argument.startswith("--executor=")
    ]
    for name in [*(name for _, _, name in _named(arguments)), os.environ.get("SNAKEMAKE_PROFILE", "")]:
        executors += [_executor(file) for path in _candidates(name) if name for file in _files(path)]
    return any(executor not in ("", "local") for executor in executors)


def jobs_bring_their_own(arguments: Sequence[str]) -> bool:
    """Return whether jobs find what they need elsewhere than in this environment."""
    deployed = any(argument.partition("=")[0] in DEPLOYMENT for argument in arguments)
    return deployed or runs_elsewhere(arguments)


def _named(arguments: Sequence[str]) -> Iterator[tuple[int, str, str]]:
    """Yield place, prefix and name of every profile."""
    for place, (before, argument) in enumerate(zip(["", *arguments], arguments, strict=False)):
        if before == "--profile":
            yield place, "", argument
        elif argument.startswith("--profile="):
            yield place, "--profile=", argument.removeprefix("--profile=")


def _candidates(name: str) -> tuple[Path, Path]:
    return Path(name), Path.home() / ".config" / "snakemake" / name


def _files(path: Path) -> list[Path]:
    return [path] if path.is_file() else sorted(path.glob("*.yaml"))


def _executor(file: Path) -> str:
    try:
        profile = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return ""  # Snakemake says what is wrong with it
    return str(profile.get("executor", "")) if isinstance(profile, dict) else ""
