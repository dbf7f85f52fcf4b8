"""The desk of scorers: what a scorer asks of models, answered once per unit and charged."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from itscale.errors import ContractError
from itscale.plugins.given import read_only
from itscale.plugins.place import Place, Shown, is_count, textual
from itscale.sampling.asked import own_chat, own_key, own_params, own_trajectories
from itscale.sampling.desk import Desk, storable
from itscale.sampling.ledger import TOKEN_COUNTS, Ledger, known_sum
from itscale.sampling.progress import Tally, UnitTally
from itscale.seeds import digest, seed63
from itscale.types import (
    Capability,
    Embedding,
    Engine,
    Generation,
    Message,
    NextLogprobs,
    Problem,
    Reward,
    SamplingParams,
    Step,
    TextLogprobs,
    Trajectory,
)

__all__ = ["Answers", "Asked", "ChargedDesk", "check_answer"]

ANSWERS = (Generation, TextLogprobs, NextLogprobs, Reward, Embedding)
"""What models answer, each told by its fields."""


def check_answer(record: Mapping[str, Any]) -> None:
    """Raise ValueError unless a JSON value is an answer of a model, as it is kept."""
    if not any(record.keys() == {one.name for one in fields(kind)} for kind in ANSWERS):
        raise ValueError(f"found {sorted(record)}, expected the fields of an answer")


MOST_NEXT = 1000
"""Next tokens that a scorer may ask for: its answers are kept in a journal."""


class Asked(NamedTuple):
    """What models read and generated for a verdict, whoever paid; None where nobody counted it."""

    by: str
    prompt_tokens: int | None
    cached_prompt_tokens: int | None
    generated_tokens: int | None

    def plus(self, other: Asked) -> Asked:
        """Return it with what else the model was asked."""
        return Asked(self.by, *map(known_sum, zip(self[1:], other[1:], strict=True)))


class Answers:
    """What models answered to a scorer's questions about one unit, and what that cost.

    Parameters
    ----------
    ledger
        What is charged.
    known, costs
        Answers (JSON values) by digests of the questions, and what each of them cost.
    """

    def __init__(
        self,
        ledger: Ledger,
        known: dict[str, Any] | None = None,
        costs: dict[str, Ledger] | None = None,
    ) -> None:
        self.ledger = ledger
        self.known = {} if known is None else known
        self.costs = {} if costs is None else costs
        self.asking: dict[str, asyncio.Lock] = {}  # by question: who asks it meanwhile waits

    def keep(self, answers: Mapping[str, Any], spent: Ledger) -> None:
        """Keep an answer, if there is one, and charge what was spent on it."""
        self.known.update(answers)
        self.costs.update(dict.fromkeys(answers, spent))
        self.ledger.add(spent)

    def save(self, scorer: str, cost: Ledger) -> None:
        """Note what an answer had cost that is given again, and is not paid for again."""
        for row in cost.rows():
            if not row["failed"]:
                saved = {f"saved_{name}": row[name] for name in TOKEN_COUNTS}
                self.ledger.charge(row["call"], row["by"], scorer=scorer, calls=0, sequences=0, **saved)


class ChargedDesk:
    """A scorer's way to the models, for one unit; `itscale.types.ScorerDesk` says how it is used.

    A question that was answered is not asked again. The stream of an answer is a function of scorer, problem,
    model, chat and key alone: neither order nor latency, nor how completions are cut into blocks, changes it.

    Parameters
    ----------
    problem
        What is scored is about it.
    engines
        By the labels that the scorer's options name; that of the model that is sampled by the empty one, if
        the scorer needs it.
    model
        Label of the model that is sampled.
    scorer
        Label of the scorer.
    stream
        JSON values the random streams derive from, beside problem and question.
    answers
        What was answered before, and where the rest is kept.
    knows
        Whether a trajectory begins as one of those that are scored.
    place
        How messages call the scorer.
    tally
        Where what is generated is counted while it is.

    Attributes
    ----------
    asked
        What it cost to answer each question that was asked here, whoever paid.
    paid
        That of them which was paid for here.
    """

    def __init__(
        self,
        problem: Problem,
        engines: Mapping[str, Engine],
        *,
        model: str,
        scorer: str,
        stream: Sequence[Any],
        answers: Answers,
        knows: Callable[[Trajectory], bool],
        place: Place | None = None,
        tally: UnitTally | None = None,
    ) -> None:
        self._problem = problem
        self._engines = engines
        self._model = model
        self._scorer = scorer
        self._stream = (*stream, problem.problem_id)
        self._answers = answers
        self._knows = knows
        self._place = place or Place("verifiers", scorer)
        self._tally = tally or Tally().unit(0)
        self.asked: dict[str, Ledger] = {}
        self.paid: dict[str, Ledger] = {}

    @property
    def asked_by_model(self) -> list[Asked]:
        """What it cost to answer all that was asked here, by the model that answered."""
        whole = Ledger()
        for cost in self.asked.values():
            whole.add(cost)
        found: dict[str, Asked] = {}
        for row in whole.rows():
            if not row["failed"]:
                one = Asked(**{name: row[name] for name in Asked._fields})
                found[one.by] = found[one.by].plus(one) if one.by in found else one
        return [found[label] for label in sorted(found)]

    async def generate(
        self, messages: Sequence[Message], params: SamplingParams, *, by: str | None = None, key: str = ""
    ) -> Generation:
        """Return a model's answer to a chat.

        Raises
        ------
        ContractError
            If `by` is no model of the scorer, or the chat is none.
        """
        by = self._named("desk.generate()", by)
        what, about = "desk.generate()", self._problem.problem_id
        chat = self._chat(what, messages)
        own_params(self._place, what, params, about), own_key(self._place, what, key, about)

        async def ask(desk: Desk) -> dict[str, Any]:
            seed = seed63(*self._stream, by, chat, key)
            (made,) = await desk.generate(self._begun(chat), params, [seed], by, [])
            return asdict(replace(made, token_ids=()))

        answer = await self._answered(["generate", by, chat, asdict(params), key], ask)
        return Generation(**{**answer, "token_ids": ()})  # JSON has no tuples

    async def logprobs(
        self, messages: Sequence[Message], text: str, *, by: str | None = None
    ) -> TextLogprobs:
        """Return the log-probability of each token of a text as the answer to a chat.

        Raises
        ------
        ContractError
            If `by` is no model of the scorer that offers `logprobs`, or the text is none.
        """
        what = "desk.logprobs()"
        label, chat = self._named(what, by, "logprobs"), self._chat(what, messages)
        if not isinstance(text, str) or not text:
            raise self._broken(f"{what}: text", text, "a text that is not empty")
        step = Step.unwritten(storable(text), node=1)

        async def ask(desk: Desk) -> dict[str, Any]:
            return asdict(await desk.logprobs(self._begun(chat), (step,), label))

        answer = await self._answered(["logprobs", label, chat, step.text], ask)
        own = {name: tuple(answer[name]) for name in ("token_ids", "logprobs", "texts")}
        return TextLogprobs(**{**answer, **own})

    async def next_logprobs(
        self, messages: Sequence[Message], text: str = "", *, top: int = 20, by: str | None = None
    ) -> NextLogprobs:
        """Return the `top` most probable tokens after a chat and the beginning of its answer.

        Raises
        ------
        ContractError
            If `by` is no model of the scorer that offers `next_logprobs`, or `top` is not from 1 to 1000.
        """
        what = "desk.next_logprobs()"
        label, chat = self._named(what, by, "next_logprobs"), self._chat(what, messages)
        if not isinstance(text, str):
            raise self._broken(f"{what}: text", text, "a text")
        if not (is_count(top, 1) and top <= MOST_NEXT):
            raise self._broken(f"{what}: top", top, f"a whole number from 1 to {MOST_NEXT}")
        begun, step = self._begun(chat), Step.unwritten(storable(text), node=1)
        if text:
            begun = replace(begun, parent=begun, step=step)

        async def ask(desk: Desk) -> dict[str, Any]:
            found = await desk.next_logprobs(begun, int(top), label)
            ids = found.token_ids.tolist()
            if not found.texts:
                texts = await asyncio.gather(*(desk.spell(begun, token, label) for token in ids))
                found = replace(found, texts=tuple(texts))
            told = {one.name: getattr(found, one.name) for one in fields(found)}
            arrays = {name: told[name].tolist() for name in ("token_ids", "logprobs")}
            return {**told, **arrays, "ends": sorted(found.ends)}

        answer = await self._answered(["next_logprobs", label, chat, step.text, int(top)], ask)
        arrays = {name: read_only(np.array(answer[name])) for name in ("token_ids", "logprobs")}
        own = {"texts": tuple(answer["texts"]), "ends": frozenset(answer["ends"])}
        return NextLogprobs(**{**answer, **arrays, **own})

    async def rewards(self, trajectories: Sequence[Trajectory], *, by: str | None = None) -> list[Reward]:
        """Return a model's reward of each trajectory; what one costs is charged even where another fails.

        Raises
        ------
        ContractError
            If `by` is no model of the scorer, or a trajectory none of those that are scored.
        """
        by = self._named("desk.rewards()", by)
        given = own_trajectories(self._place, "desk.rewards()", trajectories, self._problem.problem_id)
        for one in given:
            if not self._is_known(one):
                expected = "one that begins as what score() was given"
                raise self._broken("desk.rewards()", Shown(repr(one)[:80]), expected)

        async def ask(one: Trajectory, desk: Desk) -> dict[str, Any]:
            (reward,) = await desk.rewards([one], by)
            return asdict(reward)

        answers = await _all(self._answered(_question(by, one), partial(ask, one)) for one in given)
        return [Reward(**{**answer, "steps": tuple(answer["steps"])}) for answer in answers]

    async def embed(self, texts: Sequence[str], *, by: str | None = None) -> list[Embedding]:
        """Return a model's embedding of each text.

        Raises
        ------
        ContractError
            If `by` is no model of the scorer that offers `embed`, or something is no text.
        """
        label = self._named("desk.embed()", by, "embed")
        if isinstance(texts, str) or not all(map(textual, texts)):
            raise self._broken("desk.embed(): texts", texts, "a list of texts")

        async def ask(text: str, desk: Desk) -> dict[str, Any]:
            (made,) = await desk.embed([text], label)
            return asdict(made)

        answers = await _all(self._answered(["embed", label, text], partial(ask, text)) for text in texts)
        return [Embedding(**{**answer, "vector": tuple(answer["vector"])}) for answer in answers]

    async def _answered(self, question: Sequence[Any], ask: Callable[[Desk], Awaitable[Any]]) -> Any:
        """Return the answer to a question (JSON values), which is asked, kept and charged if it is new."""
        name = digest(question)
        async with self._answers.asking.setdefault(name, asyncio.Lock()):
            if name not in self._answers.known:
                spent = Ledger()
                try:
                    answer = await ask(self._desk(spent))
                except BaseException:
                    self._answers.keep({}, spent)  # of what is cancelled some was generated
                    raise
                self._answers.keep({name: answer}, spent)
                self.paid[name] = spent
        cost = self._answers.costs[name]
        if name not in self.paid and name not in self.asked:
            self._answers.save(self._scorer, cost)
        self.asked[name] = cost
        return self._answers.known[name]

    def _begun(self, chat: tuple[Message, ...]) -> Trajectory:
        return Trajectory(self._problem.question, messages=chat)

    def _chat(self, what: str, messages: Any) -> tuple[dict[str, str], ...]:
        return tuple(map(dict, own_chat(self._place, what, _storable(messages), self._problem.problem_id)))

    def _desk(self, spent: Ledger) -> Desk:
        return Desk(self._problem, self._engines, self._model, spent, self._tally, self._scorer)

    def _named(self, what: str, by: str | None, capability: Capability | None = None) -> str:
        """Return the label of a model as engines are filed by it; refuse one that may not be asked."""
        label = "" if by is None else by
        if label in self._engines and (label or by is None):
            if capability is not None and capability not in (offers := self._engines[label].offers):
                found = Shown(f"a model that offers {', '.join(sorted(offers))}")
                field = "asks" if label else "needs"
                expected = f"one that offers {capability}: declare it in {field} of the scorer's entry"
                raise self._broken(what, found, expected)
            return label
        if by is None:
            expected = "a label, or an entry with needs: else the sampled model is not started"
        else:
            named = " or ".join(sorted(filter(None, self._engines)))
            expected = named or "no label: the scorer's options name no model by ModelLabel"
        raise self._broken(f"{what}: by", by, expected)

    def _is_known(self, trajectory: Trajectory) -> bool:
        try:
            return self._knows(trajectory)
        except AttributeError:  # what it continues is no trajectory
            return False

    def _broken(self, what: str, found: Any, expected: str) -> ContractError:
        return self._place.broken(what, found, expected, self._problem.problem_id)


def _question(by: str, trajectory: Trajectory) -> list[Any]:
    chat = [dict(message) for message in trajectory.chat]
    steps = [(step.text, step.tokens, step.given) for step in trajectory.steps]
    return ["score", by, chat, steps, trajectory.finish_reason]


async def _all(asked: Iterable[Awaitable[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Return answers to questions that are asked at once; the first failure, when the others are paid for."""
    answers = await asyncio.gather(*asked, return_exceptions=True)
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
    return [answer for answer in answers if not isinstance(answer, BaseException)]


def _storable(messages: Any) -> Any:
    """Return a chat whose texts can be stored; whatever is no chat is returned as it is."""
    try:
        return [{name: storable(text) for name, text in message.items()} for message in messages]
    except (TypeError, AttributeError):
        return messages
