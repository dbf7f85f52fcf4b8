"""Inner sessions: what a strategy sees of a session when another strategy draws a completion from it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np

from itscale.sampling.scores import Scores
from itscale.sampling.session import Session
from itscale.types import Message, Trajectory

__all__ = ["InnerSession"]


class InnerSession(Session):
    """One completion's worth of a session: all it makes is the session's, in its tree and in its ledger.

    What it begins with is told apart from what others begin with, so that neither timing nor chats that are
    equal change its streams. Its trajectories end where its own strategy says; everything else is shared.

    Parameters
    ----------
    session
        The session of the strategy that draws.
    name
        What tells this completion from others that it draws.
    token_limit
        Most tokens one trajectory of it may have.
    """

    def __init__(self, session: Session, name: str, token_limit: int) -> None:
        self.__dict__.update(vars(session))
        self.__dict__.pop("rng", None)
        self._session = session
        self._name = name
        self._token_limit = token_limit
        self.budget = 1

    @cached_property
    def rng(self) -> np.random.Generator:
        """Random generator of this completion: the same in every rerun."""
        return self.generator("inner", self._name)

    def start(
        self,
        messages: Sequence[Message] | None = None,
        *,
        key: str = "",
        reads: Sequence[Trajectory] = (),
    ) -> Trajectory:
        """Return an empty trajectory; parameters as `Session.start`."""
        return super().start(messages, key=f"{self._name}/{key}", reads=reads)

    @cached_property
    def _scores(self) -> Scores:
        return self._session._scores
