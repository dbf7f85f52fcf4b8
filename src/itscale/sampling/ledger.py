"""The ledger: what was spent, one row per call class; written by sessions, never by a strategy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["Account", "Call", "Ledger"]

Call = Literal["generate", "score"]


@dataclass
class Account:
    """Sums over calls of one kind; tokens None where those of one were not counted."""

    calls: int = 0
    sequences: int = 0
    prompt_tokens: int | None = 0
    cached_prompt_tokens: int | None = 0
    generated_tokens: int | None = 0
    seconds: float = 0.0


@dataclass
class Ledger:
    """Accounts of one unit, by call class, by the label of the model that was called, and by who asked.

    The last is the label of a scorer, or empty where the strategy itself asked. Tokens are None where those
    of one call were not counted: a sum without them would be too low.
    """

    accounts: dict[tuple[Call, str, str], Account] = field(default_factory=dict)

    def charge(
        self,
        call: Call,
        by: str,
        *,
        scorer: str = "",
        calls: int = 1,
        sequences: int,
        prompt_tokens: int | None = 0,
        cached_prompt_tokens: int | None = 0,
        generated_tokens: int | None = 0,
        seconds: float = 0.0,
    ) -> None:
        """Add a call, or several of one kind, to their account."""
        account = self.accounts.setdefault((call, by, scorer), Account())
        account.calls += calls
        account.sequences += sequences
        account.prompt_tokens = _sum(account.prompt_tokens, prompt_tokens)
        account.cached_prompt_tokens = _sum(account.cached_prompt_tokens, cached_prompt_tokens)
        account.generated_tokens = _sum(account.generated_tokens, generated_tokens)
        account.seconds += seconds

    def add(self, other: Ledger) -> None:
        """Add the accounts of another ledger."""
        for (call, by, scorer), account in other.accounts.items():
            self.charge(call, by, scorer=scorer, **asdict(account))

    def add_row(self, row: Mapping[str, Any]) -> None:
        """Add an account as `rows` returns it, whoever's it is."""
        account = {name: row[name] for name in Account.__dataclass_fields__}
        self.charge(row["call"], row["by"], scorer=row["scorer"] or "", **account)

    @property
    def generated_tokens(self) -> int | None:
        """Tokens generated so far, over all accounts."""
        total: int | None = 0
        for account in self.accounts.values():
            total = _sum(total, account.generated_tokens)
        return total

    def rows(self, **identity: Any) -> list[dict[str, Any]]:
        """Return the accounts as rows of the ledger's table, each with `identity` in front."""
        return [
            {**identity, "call": call, "by": by, "scorer": scorer or None, **asdict(account)}
            for (call, by, scorer), account in sorted(self.accounts.items(), key=lambda item: item[0])
        ]


def _sum(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else first + second
