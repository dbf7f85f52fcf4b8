"""The ledger: what was spent, one row per call class; written by sessions, never by a strategy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from operator import itemgetter
from typing import Any, Literal, NamedTuple

__all__ = ["TOKEN_COUNTS", "Account", "Call", "Ledger", "TokenClass", "known_sum"]

Call = Literal["generate", "score", "embed", "logprobs", "next_logprobs"]
"""Kinds of calls; those for rewards are `score`."""

TokenClass = Literal["prompt", "cached_prompt", "generated"]
"""What tokens are charged as: read, read from a cache of prefixes (also counted as read), generated."""

TOKEN_COUNTS = ("prompt_tokens", "cached_prompt_tokens", "generated_tokens")
"""Names of the counts of tokens, by class."""


def known_sum(counts: Iterable[int | None]) -> int | None:
    """Return a sum; None if one of the counts is unknown."""
    known = list(counts)
    return None if None in known else sum(count or 0 for count in known)


@dataclass
class Account:
    """Sums over calls of one kind; tokens None where those of one were not counted.

    What is saved are tokens of answers that were there before, and were not paid for again. What is
    unreadable are replies in which the strategy did not find what it had asked for.
    """

    calls: int = 0
    sequences: int = 0
    prompt_tokens: int | None = 0
    cached_prompt_tokens: int | None = 0
    generated_tokens: int | None = 0
    saved_prompt_tokens: int | None = 0
    saved_cached_prompt_tokens: int | None = 0
    saved_generated_tokens: int | None = 0
    unreadable: int = 0
    seconds: float = 0.0

    def add(self, other: Account, sign: int = 1) -> None:
        """Add the sums of another account."""
        for name in (one.name for one in fields(self)):
            mine, theirs = getattr(self, name), getattr(other, name)
            setattr(self, name, None if mine is None or theirs is None else mine + sign * theirs)

    def subtract(self, other: Account) -> None:
        """Take out the sums of an account that had been added."""
        self.add(other, -1)

    @property
    def counted(self) -> bool:
        """Whether all its tokens were counted."""
        return None not in (getattr(self, one.name) for one in fields(self))


class _Key(NamedTuple):
    """What calls of one account have in common."""

    call: Call
    by: str
    scorer: str
    failed: bool
    counted: bool


class Ledger:
    """Accounts of one unit: by call class, the label of the model that was called, and who asked.

    The last is the label of a scorer, or empty where the strategy itself asked. What came to nothing is apart
    (`failed`): replies that could not be used, requests that failed, all of a unit that failed. So are calls
    whose tokens were not counted, or the sums of others would not be known either.

    Parameters
    ----------
    observe
        Called with each row that is added, as `rows` returns them.
    """

    def __init__(self, observe: Callable[[dict[str, Any]], None] | None = None) -> None:
        self.observe = observe
        self._accounts: dict[_Key, Account] = {}

    def charge(
        self,
        call: Call,
        by: str,
        *,
        scorer: str = "",
        failed: bool = False,
        calls: int = 1,
        sequences: int,
        **spending: Any,
    ) -> None:
        """Add a call, or several of one kind, to their account; `spending` as an `Account` has it."""
        spent = Account(calls, sequences, **spending)
        self._add(_Key(call, by, scorer, failed, spent.counted), spent)

    def add(self, other: Ledger) -> None:
        """Add the accounts of another ledger."""
        for key, account in other._accounts.items():
            self._add(key, account)

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Add an account as `rows` returns it, whoever's it is."""
        spent = Account(**{one.name: row[one.name] for one in fields(Account)})
        self._add(_Key(row["call"], row["by"], row["scorer"] or "", row["failed"], spent.counted), spent)

    def fail(self, other: Ledger) -> None:
        """Count as failed what is in another ledger and was added to this one."""
        for key, account in other._accounts.items():
            if key.failed:
                continue
            mine = self._accounts[key]
            mine.subtract(account)
            if not (mine.calls or mine.saved_prompt_tokens):
                del self._accounts[key]
            self._add(key._replace(failed=True), account)

    def _add(self, key: _Key, spent: Account) -> None:
        self._accounts.setdefault(key, Account()).add(spent)
        if self.observe is not None:
            self.observe(_row(key, spent))

    @property
    def accounts(self) -> dict[tuple[Call, str, str], Account]:
        """Accounts by call class, model and who asked, whatever came of the calls."""
        found: dict[tuple[Call, str, str], Account] = {}
        for key, account in self._accounts.items():
            found.setdefault((key.call, key.by, key.scorer), Account()).add(account)
        return found

    @property
    def generated_tokens(self) -> int | None:
        """Tokens generated so far, over all accounts."""
        whole = Account()
        for account in self._accounts.values():
            whole.add(account)
        return whole.generated_tokens

    def rows(
        self, identity: Mapping[str, Any] | None = None, *, failed: bool = False
    ) -> list[dict[str, Any]]:
        """Return the accounts as rows of the ledger's table.

        Parameters
        ----------
        identity
            What names whose they are, in front of each.
        failed
            Whether all of it came to nothing, whatever came of single calls.
        """
        told = self
        if failed:
            told = Ledger()
            for key, account in self._accounts.items():
                told._add(key._replace(failed=True), account)
        accounts = sorted(told._accounts.items(), key=itemgetter(0))
        return [{**(identity or {}), **_row(key, account)} for key, account in accounts]


def _row(key: _Key, account: Account) -> dict[str, Any]:
    identity = {"call": key.call, "by": key.by, "scorer": key.scorer or None, "failed": key.failed}
    return identity | asdict(account)
