"""Errors a user can mend: each is shown as one line, never as a traceback."""

import errno
import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path

__all__ = [
    "BudgetExhausted",
    "ColumnsError",
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
    "are_opposite",
    "describe_os_error",
    "nearest",
    "nearest_file",
    "nearest_name",
]


MOST_NAMED = 10
"""Files that a message lists."""

OPPOSITES = (
    *(("at", "hat"), ("pass", "fail"), ("correct", "incorrect"), ("any", "all"), ("first", "last")),
    *(("best", "worst"), ("max", "min"), ("most", "least"), ("majority", "minority")),
    *(("weighted", "unweighted"), ("with", "without"), ("low", "high"), ("left", "right")),
)
"""Words that turn a name into its opposite: one is never meant by the other. `pass@k` asks for one correct
completion of k, `pass^k` (hat) for all of them."""


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


class ColumnsError(DataError):
    """Several columns are missing: each has a line of its own, and its own nearest name."""

    def __init__(self, where: str, absent: Iterable[str], known: Iterable[str]) -> None:
        there = list(known)
        self.said = [f"{where}: no column {column!r}; {nearest(column, there)}" for column in absent]
        super().__init__("\n".join(self.said))

    def lines(self) -> list[str]:
        """Return a line for every column."""
        return [" ".join(line.split()) for line in self.said]


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
    if close := nearest_name(name, known):
        return f"did you mean {close!r}?"
    return f"known: {', '.join(known)}" if known else "there is none"


def nearest_name(name: str, known: Iterable[str]) -> str | None:
    """Return the known name that is nearest to a misspelt one, None if none is near.

    A name that differs from it by a word of the opposite meaning is not near, however few its letters.
    """
    fit = [one for one in known if not are_opposite(name, one)]
    return next(iter(get_close_matches(name, fit, n=1, cutoff=0.6)), None)


def are_opposite(name: str, other: str) -> bool:
    """Return whether two names differ by a word of the opposite meaning (`OPPOSITES`)."""
    words, others = (set(re.split(r"[^a-z0-9]+", one.lower())) for one in (name, other))
    return any(
        (one in words - others and its_opposite in others - words)
        or (its_opposite in words - others and one in others - words)
        for one, its_opposite in OPPOSITES
    )


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
