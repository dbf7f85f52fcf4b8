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
    prompt_tokens: int = 0
    cached_prompt_tokens: int = 0
    generated_tokens: int = 0
    seconds: float = 0.0


@dataclass
class Ledger:
    """Accounts of one session, by call class and by who was called (label of a model or a scorer)."""

    accounts: dict[tuple[Call, str], _Account] = field(default_factory=dict)

    def charge(
        self,
        call: Call,
        by: str,
        *,
        sequences: int,
        prompt_tokens: int = 0,
        cached_prompt_tokens: int = 0,
        generated_tokens: int = 0,
        seconds: float = 0.0,
    ) -> None:
        """Add one call to its account."""
        account = self.accounts.setdefault((call, by), _Account())
        account.calls += 1
        account.sequences += sequences
        account.prompt_tokens += prompt_tokens
        account.cached_prompt_tokens += cached_prompt_tokens
        account.generated_tokens += generated_tokens
        account.seconds += seconds

    @property
    def generated_tokens(self) -> int:
        """Tokens generated so far, over all accounts."""
        return sum(account.generated_tokens for account in self.accounts.values())

    def rows(self, **identity: Any) -> list[dict[str, Any]]:
        """Return the accounts as rows of the ledger's table, each with `identity` in front."""
        return [
            {**identity, "call": call, "by": by, **asdict(account)}
            for (call, by), account in sorted(self.accounts.items())
        ]
