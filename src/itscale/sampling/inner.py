"""Inner sessions: what a strategy sees of a session when another strategy draws a completion from it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from itscale.types import Message, SamplingParams, Trajectory

if TYPE_CHECKING:
    from itscale.sampling.session import Session

__all__ = ["InnerSession"]


class InnerSession:
    """One completion's worth of a session: all it makes is the session's, in its tree and in its ledger.

    What it begins with is told apart from what others begin with, so that neither timing nor chats that are
    equal change its streams. Everything that is not defined here is the session's own.

    Parameters
    ----------
    session
        The session of the strategy that draws.
    name
        What tells this completion from others that it draws.
    """

    def __init__(self, session: Session, name: str) -> None:
        self._session = session
        self._name = name
        self.budget = 1

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    @cached_property
    def rng(self) -> np.random.Generator:
        """Random generator of this completion: the same in every rerun."""
        return self._session.generator("inner", self._name)

    def start(
        self,
        messages: Sequence[Message] | None = None,
        *,
        key: str = "",
        reads: Sequence[Trajectory] = (),
    ) -> Trajectory:
        """Return an empty trajectory; parameters as `Session.start`."""
        return self._session.start(messages, key=f"{self._name}/{key}", reads=reads)

    async def write(
        self,
        messages: Sequence[Message] | None,
        params: SamplingParams,
        *,
        by: str | None = None,
        key: str = "",
        reads: Sequence[Trajectory] = (),
    ) -> Trajectory:
        """Return one answer to a chat; parameters as `Session.write`."""
        (made,) = await self._session.extend([self.start(messages, key=key, reads=reads)], params, by=by)
        return made
