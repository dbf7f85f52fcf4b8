"""Errors a user can mend: each is shown as one line, never as a traceback."""

import errno
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

__all__ = [
    "BudgetExhausted",
    "ContractError",
    "DamagedError",
    "DataError",
    "DesignError",
    "EngineError",
    "EngineLostError",
    "PluginError",
    "SandboxError",
    "StudyError",
    "TooManyFailuresError",
    "UserError",
    "describe_os_error",
    "nearest",
    "nearest_file",
]


MOST_NAMED = 10
"""Files that a message lists."""


class UserError(Exception):
    """A mistake of the user's: the message names the place, what was found and what would be right."""

    def lines(self) -> list[str]:
        """Return the message as it is shown: one line."""
        return [" ".join(str(self).split())]


class StudyError(UserError):
    """The study file is wrong."""


class PluginError(UserError):
    """A plugin is missing, misdeclared, clashes with another or cannot run here."""


class DataError(UserError):
    """A data file (problems, completions, verdicts ...) is missing, damaged or not what it should be."""


class ContractError(PluginError, DataError):
    """A plugin gave what its kind must not: the message names it, what was found and what was expected."""


class DamagedError(DataError):
    """A data file is there, but not whole."""


class DesignError(UserError):
    """An estimator would be biased on data that were sampled this way; the message names one that isn't."""


class EngineError(UserError):
    """An engine cannot start or answers with an error that a retry does not mend."""


class SandboxError(UserError):
    """What a model wrote cannot be evaluated here: there is no sandbox, or it does not start."""


class EngineLostError(EngineError):
    """An engine will answer nobody any more: it died, nothing is reached there, or the key is refused."""


class TooManyFailuresError(UserError):
    """More units failed than the study allows (`max_failures`)."""


class BudgetExhausted(Exception):  # noqa: N818 - not a failure: a strategy that meets it returns what it has
    """The session's budget does not cover the generation a strategy asked for."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Say which known name is nearest to a misspelt one, or which names there are."""
    known = sorted(set(known))
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"known: {', '.join(known)}" if known else "there is none"


def nearest_file(path: Path, *endings: str) -> str:
    """Say which file beside a missing one has the nearest name, of those with its ending or with others.

    Names are compared without folders and endings, which make any two alike.
    """
    wanted = endings or (path.suffix,)
    siblings = {found.stem: str(found) for found in path.parent.glob("*") if found.suffix in wanted}
    if not siblings:
        return "none is near"
    if close := get_close_matches(path.stem, siblings, n=1, cutoff=0.6):
        return f"did you mean {siblings[close[0]]!r}?"
    told = sorted(siblings.values())
    more = f" and {len(told) - MOST_NAMED} more" if len(told) > MOST_NAMED else ""
    return f"there {'are' if len(told) > 1 else 'is'} {', '.join(told[:MOST_NAMED])}{more}"


_HINTS = {
    errno.EACCES: "work in a directory that you may write to, or change its permissions",
    errno.EPERM: "work in a directory that you may write to, or change its permissions",
    errno.EROFS: "work in a directory that can be written to",
    errno.ENOSPC: "free some space and run again; what is finished is kept",
    errno.EDQUOT: "free some space and run again; what is finished is kept",
    errno.ENAMETOOLONG: "choose shorter names",
}


def describe_os_error(error: OSError) -> str:
    """Say which file the system would not read or write, why, and what helps."""
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    hint = _HINTS.get(error.errno or 0)
    reason = error.strerror or str(error)
    where = f"{' and '.join(names)}: " if names else ""
    return f"{where}{reason}" + (f"; {hint}" if hint else "")
