"""Replies of a call, in words; the child may have been taken over, so nothing it sent is believed."""

from __future__ import annotations

import json
import os
import signal
from dataclasses import dataclass
from typing import Any, Literal

from itscale.sandbox.children import Limits, Outcome

__all__ = ["Reply", "Status", "ending", "overrun", "understood"]

Status = Literal["done", "timeout", "error"]

LONGEST_DETAIL = 200


@dataclass(frozen=True, slots=True)
class Reply:
    """What came of a call: its value, or why there is none."""

    status: Status
    value: Any = None
    detail: str = ""


def understood(content: bytes) -> Reply:
    """Read a reply, which can be anything."""
    try:
        match json.loads(content):
            case ["done", value, ""]:
                return Reply("done", value)
            case ["error", None, str(detail)]:
                return Reply("error", detail=" ".join(detail.split())[:LONGEST_DETAIL])
    except (ValueError, RecursionError):
        pass
    return Reply("error", detail="a reply that is none")


def overrun(outcome: Outcome, allowance: Limits) -> Reply:
    """Say which limit a call overran."""
    if outcome.kind == "processor":
        return Reply("timeout", detail=f"more than {allowance.seconds:g} s of processor time")
    if outcome.kind == "idle":
        return Reply("timeout", detail=f"more than {allowance.patience:g} s, some of them idle")
    return Reply("error", detail=f"more than {allowance.output} bytes of output")


def ending(status: int | None) -> str:
    """Say in words how a process ended."""
    if status is None:
        return "ended unexpectedly"
    if os.WIFSIGNALED(status):
        return f"was ended by {_signal(os.WTERMSIG(status))}"
    return f"ended early, with status {os.WEXITSTATUS(status)}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"  # a real-time signal has no name
