"""The ledger: what was spent, one row per call class; written by sessions, never by a strategy."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["Call", "Ledger"]

Call = Literal["generate", "score"]


@dataclass
class _Account:
    calls: int = 0
    sequences: int = 0
    prompt_tokens: int | None = 0
    cached_prompt_tokens: int | None = 0
    generated_tokens: int | None = 0
    seconds: float = 0.0


@dataclass
class Ledger:
    """Accounts of one session, by call class and by who was called (label of a model or a scorer).

    Tokens are None where those of one call were not counted: a sum without them would be too low.
    """

    accounts: dict[tuple[Call, str], _Account] = field(default_factory=dict)

    def charge(
        self,
        call: Call,
        by: str,
        *,
        sequences: int,
        prompt_tokens: int | None = 0,
        cached_prompt_tokens: int | None = 0,
        generated_tokens: int | None = 0,
        seconds: float = 0.0,
    ) -> None:
        """Add one call to its account."""
        account = self.accounts.setdefault((call, by), _Account())
        account.calls += 1
        account.sequences += sequences
        account.prompt_tokens = _sum(account.prompt_tokens, prompt_tokens)
        account.cached_prompt_tokens = _sum(account.cached_prompt_tokens, cached_prompt_tokens)
        account.generated_tokens = _sum(account.generated_tokens, generated_tokens)
        account.seconds += seconds

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
            {**identity, "call": call, "by": by, **asdict(account)}
            for (call, by), account in sorted(self.accounts.items())
        ]


def _sum(first: int | None, second: int | None) -> int | None:
    return None if first is None or second is None else first + second
