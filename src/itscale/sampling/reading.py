"""Readings of a session: what models find probable, and tokens that a strategy chooses by that."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt

from itscale.errors import ContractError, StudyError
from itscale.plugins.place import Place, Shown, is_count, textual
from itscale.sampling.allowance import Allowance
from itscale.sampling.cutting import beginning
from itscale.sampling.desk import Desk
from itscale.sampling.lineage import Lineages, ends_drawn, node_of
from itscale.sampling.partners import Partners
from itscale.sampling.pending import Pending
from itscale.sampling.tree import Tree
from itscale.types import Embedding, NextLogprobs, Question, Step, TextLogprobs, Trajectory

__all__ = ["Reading", "aligned"]

MOST = 10_000_000
"""Tokens of any vocabulary."""


class _Read:
    """What came of a reading."""

    answer: TextLogprobs | NextLogprobs | None = None

    @property
    def used(self) -> int:
        """Tokens that it generated; one where nobody counted, none where nothing came of it."""
        if self.answer is None:
            return 0
        counted = self.answer.generated_tokens
        return 1 if counted is None else counted


class Reading(ABC):
    """The part of a session that reads what models find probable; `Session` says what its fields are."""

    problem: Question
    _allowance: Allowance
    _desk: Desk
    _lineages: Lineages
    _partners: Partners
    _place: Place
    _token_limit: int
    tree: Tree

    def __init__(self) -> None:
        self._pending = Pending()
        # What next tokens were found for, and by which model, as long as anybody holds them.
        self._followed: WeakKeyDictionary[NextLogprobs, tuple[Trajectory, str]] = WeakKeyDictionary()

    @abstractmethod
    def _own(self, what: str, given: Any) -> list[Trajectory]:
        """Return trajectories; refuse any that this session did not make."""

    @abstractmethod
    def _broken(self, what: str, found: Any, expected: str) -> ContractError:
        """Return what is wrong with a call of the session's."""

    async def logprobs(
        self, trajectory: Trajectory, text: str | None = None, *, by: str | None = None
    ) -> TextLogprobs:
        """Return a model's log-probability of each token of a text, given all before it (nats).

        Parameters
        ----------
        trajectory
            Of this session; nothing is added to it.
        text
            What would follow the trajectory; all that it holds after its chat if left out. A model that
            shares the tokenizer of who wrote that reads its very tokens.
        by
            Label of the helper model that reads; the model that is sampled if left out.

        Raises
        ------
        BudgetExhausted
            If there is no token left: an engine may generate one as it reads.
        ContractError
            If the model does not offer `logprobs`, or the trajectory is none of this session.
        """
        (trajectory,) = self._own("logprobs()", [trajectory])
        if text is not None and not textual(text):
            raise self._broken("logprobs(): text", text, "a text that can be stored, or None")
        label = self._offering("logprobs()", "logprobs", by)
        scored = trajectory.steps if text is None else (Step.unwritten(text, node=0),)
        if not any(step.text or step.token_ids for step in scored):
            raise self._broken("logprobs(): text", "", "a text that is not empty")
        before = trajectory.root if text is None else trajectory
        async with self._reading() as read:
            read.answer = found = await self._desk.logprobs(before, scored, label)
        return found

    async def next_logprobs(
        self, trajectory: Trajectory, *, top: int | None = None, by: str | None = None
    ) -> NextLogprobs:
        """Return a model's log-probabilities of the token after a trajectory (nats).

        `take` goes on by one of these tokens, `aligned` puts those of several models side by side.

        Parameters
        ----------
        trajectory
            Of this session, not finished; nothing is added to it.
        top
            How many tokens, the most probable ones; all that the model has if left out, which takes longer.
        by
            Label of the helper model that reads; the model that is sampled if left out.

        Raises
        ------
        BudgetExhausted
            If there is no token left: the next token's probabilities are charged as a generated token.
        ContractError
            If the model does not offer `next_logprobs`, or the trajectory is none of this session.
        """
        (trajectory,) = self._own("next_logprobs()", [trajectory])
        if trajectory.finished:
            found = Shown(f"a trajectory that is finished ({trajectory.finish_reason})")
            raise self._broken("next_logprobs()", found, "one that is not")
        if top is not None and not (is_count(top, 1) and top <= MOST):
            raise self._broken("next_logprobs(): top", top, f"a whole number from 1 to {MOST}, or None")
        label = self._offering("next_logprobs()", "next_logprobs", by)
        async with self._reading() as read:
            read.answer = told = await self._desk.next_logprobs(trajectory, top, label)
        self._followed[told] = trajectory, label
        return told

    async def take(self, found: NextLogprobs, token_id: int) -> Trajectory:
        """Return the trajectory that next tokens were found for, with one of them added.

        The token counts as generated by the model that named it, and has the log-probability that it gave.
        A token that ends the text ends the trajectory.

        Raises
        ------
        ContractError
            If `found` is not what `next_logprobs` of this session returned, or the token is none of it.
        """
        known = self._followed.get(found) if isinstance(found, NextLogprobs) else None
        if known is None:
            raise self._broken("take()", found, "what next_logprobs() of this session returned")
        trajectory, by = known
        place = found.place(int(token_id)) if is_count(token_id) else None
        if place is None:
            among = f"the id of one of the {len(found.token_ids)} tokens"
            raise self._broken("take(): token_id", token_id, among)
        chosen = int(token_id)
        ends = chosen in found.ends
        lineage = self._lineages.taken(trajectory.lineage, by, chosen)
        text = ""
        if not ends:
            text = found.texts[place] if found.texts else await self._desk.spell(trajectory, chosen, by)
        step = Step(
            text=text,
            token_ids=(chosen,),
            tokens=1,
            logprob=float(found.logprobs[place]),
            node=node_of(lineage),
            by=by,
        )
        self.tree.contexts[step.node] = found.context_tokens
        full = trajectory.tokens + 1 >= self._token_limit
        return self.tree.keep(trajectory, step, "eos" if ends else "length" if full else None, lineage)

    async def cut(self, trajectory: Trajectory, text: str) -> Trajectory:
        """Return a trajectory without the last place of a text in its last step, and without what follows.

        Stop strings stay in the text; this is how one is taken back, so that the model goes on as if it had
        not written it. What was generated is charged. What is left is read again by the next call, as the
        tokens that the model wrote, if their engine tells them and one of them ends there (or after white
        space, which is then taken back, too), else as text. A trajectory whose last step does not hold the
        text is handed back as it is.

        Raises
        ------
        ContractError
            If no model drew its last step, or the trajectory is none of this session.
        """
        (trajectory,) = self._own("cut()", [trajectory])
        if not textual(text) or not text:
            raise self._broken("cut(): text", text, "a text that is not empty")
        step = trajectory.step
        if step is None or not ends_drawn(trajectory.lineage):
            raise self._broken(
                "cut()", Shown("a trajectory whose last step no model drew"), "one that was drawn"
            )
        place = step.text.rfind(text)
        if place < 0:
            return trajectory
        lineage = self._lineages.cut(trajectory.lineage, step.text[place:])
        kept = await beginning(self._desk, trajectory, place, lineage)
        tokens = trajectory.tokens - step.tokens + kept.tokens
        return self.tree.cut(trajectory, kept, lineage, full=tokens >= self._token_limit)

    async def embed(self, texts: Sequence[str], *, by: str | None = None) -> list[Embedding]:
        """Return a model's embedding of each text; what it reads is charged, and takes nothing of the budget.

        Parameters
        ----------
        texts
            Of trajectories, answers, documents: whatever is compared.
        by
            Label of the helper model that embeds; the model that is sampled if left out.

        Raises
        ------
        ContractError
            If the model does not offer `embed`, or something is no text.
        """
        label = self._offering("embed()", "embed", by)
        if isinstance(texts, str) or not all(map(textual, texts)):
            raise self._broken("embed(): texts", texts, "a list of texts")
        with self._pending.call():
            return await self._desk.embed(list(texts), label)

    @asynccontextmanager
    async def _reading(self) -> AsyncIterator[_Read]:
        """Set aside the token that a reading may generate, and take back what it does not."""
        read = _Read()
        with self._pending.call():
            lent = await self._allowance.lend([1])
            try:
                yield read
            finally:
                self._allowance.settle(lent, read.used)

    def _named(self, what: str, by: Any) -> str:
        """Return the label that a model's engine is filed by; refuse one that the strategy may not ask."""
        if not isinstance(by, str | None) or (by or "") not in self._desk.engines:
            helpers = " or ".join(sorted(self._partners.helpers)) or "no helper model: none was started"
            raise self._broken(what, by, helpers)
        return by or ""

    def _offering(self, what: str, capability: Any, by: Any) -> str:
        """Return a model's label, as `_named`; refuse one that does not offer what is asked."""
        label = self._named(f"{what}: by", by)
        offers = self._desk.engines[label].offers
        if capability not in offers:
            field = "asks" if label else "needs"
            expected = f"one that offers {capability}: declare it in {field} of the strategy's entry"
            raise self._broken(what, Shown(f"a model that offers {', '.join(sorted(offers))}"), expected)
        return label


def aligned(*found: NextLogprobs) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return next tokens that several models have in common, and their log-probabilities.

    Returns
    -------
    token_ids
        Shape (tokens,), increasing.
    logprobs
        Shape (len(found), tokens), in nats.

    Raises
    ------
    StudyError
        If the models do not share a tokenizer: one token id would be two texts.
    """
    names = {one.tokenizer for one in found}
    if len(found) > 1 and (len(names) > 1 or "" in names):
        told = ", ".join(sorted(name or "unknown" for name in names))
        raise StudyError(
            f"next tokens of several models: found the tokenizers {told}, expected one and the same: models "
            "that share none can share a text, but no token ids"
        )
    same = all(np.array_equal(one.token_ids, found[0].token_ids) for one in found[1:])
    if same and found[0].full:
        return found[0].token_ids, np.stack([one.logprobs for one in found])
    common = found[0].token_ids
    for one in found[1:]:
        common = np.intersect1d(common, one.token_ids)
    common = np.sort(common)
    rows = []
    for one in found:
        order = np.argsort(one.token_ids)
        rows.append(one.logprobs[order[np.searchsorted(one.token_ids, common, sorter=order)]])
    return common, np.stack(rows)
