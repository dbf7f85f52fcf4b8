"""The session: all a strategy sees of the world. It runs the engine, keeps the ledger, seeds and budget."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np

from itscale.errors import BudgetExhausted, ContractError
from itscale.outcomes import FloatArray
from itscale.plugins.given import own_problem
from itscale.plugins.place import Place, Shown
from itscale.plugins.process import LASTING, ProcessState
from itscale.sampling.ledger import Ledger
from itscale.sampling.progress import Tally, UnitTally
from itscale.seeds import entropy, generator, seed63
from itscale.types import (
    Completion,
    Engine,
    FinishReason,
    Generation,
    GenerationRequest,
    Problem,
    SamplingParams,
    Scorer,
    Step,
    Trajectory,
)

__all__ = ["Session", "Unit"]


@dataclass(frozen=True, kw_only=True)
class Unit:
    """What one session is to do: completions [start, stop) of a pool, or one run of a run-based strategy.

    `budget` and `replicate` are 0 for an exchangeable strategy.
    """

    problem_id: str
    budget: int = 0
    replicate: int = 0
    start: int = 0
    stop: int

    @property
    def completions(self) -> int:
        """Completions the session may hand in."""
        return self.stop - self.start


class Session:
    """A strategy's handle on one problem.

    Parameters
    ----------
    problem
        The problem.
    unit
        What is to be done.
    engine
        Shared by all sessions of a block: their requests run together.
    model
        Label of the engine's model, for the ledger.
    stream
        JSON values the random streams derive from, beside the problem and the run (study seed ...).
    token_limit
        Most tokens one completion may have; the session's budget is that times `unit.completions`.
    scorer, scorer_label
        What `score` asks, None if the strategy scores nothing.
    scorer_computes
        Whether a model reads the trajectories in order to score them: their tokens are charged then.
    tally
        Where what is generated is counted while it is.
    on_active
        Called with the number of trajectories that a call of `extend` continues, and with its negative when
        all of them are.
    place
        How messages call the strategy.

    Attributes
    ----------
    budget
        Completions' worth of generation: what `particles` or `beams` should be set to.
    ledger
        What was spent so far. Strategies have no business with it.
    """

    def __init__(
        self,
        problem: Problem,
        unit: Unit,
        engine: Engine,
        *,
        model: str,
        stream: Sequence[Any],
        token_limit: int,
        scorer: Scorer | None = None,
        scorer_label: str = "",
        scorer_computes: bool = False,
        tally: UnitTally | None = None,
        on_active: Callable[[int], None] | None = None,
        place: Place | None = None,
    ) -> None:
        self.problem = problem
        self._kept = own_problem(problem)
        self._process = ProcessState.now(LASTING)
        self.unit = unit
        self.budget = unit.completions
        self.ledger = Ledger()
        self._engine = engine
        self._model = model
        self._stream = entropy(*stream, problem.problem_id, unit.budget, unit.replicate)
        self._token_limit = token_limit
        self._tokens_left = token_limit * unit.completions
        self._scorer = scorer
        self._scorer_label = scorer_label
        self._scorer_computes = scorer_computes
        self._tally = tally or Tally().unit(unit.completions)
        self._on_active = on_active or (lambda change: None)
        self._place = place or Place("strategies", "unnamed")
        self._scores: dict[int, float] = {}
        self._made: dict[int, Trajectory] = {}
        self._rounds = 0
        self._context_tokens: int | None = 0

    @cached_property
    def rng(self) -> np.random.Generator:
        """Random generator of this problem and run: the same in every rerun."""
        return generator(*self._stream, "strategy", self.unit.start)

    def start(self) -> Trajectory:
        """Return the empty trajectory of the problem."""
        return Trajectory(self.problem)

    async def extend(self, trajectories: Sequence[Trajectory], params: SamplingParams) -> list[Trajectory]:
        """Continue each unfinished trajectory by one step, all at once; finished ones are handed back.

        A step ends at one of `params.stop`, after `params.max_tokens`, or where the model ends. Equal
        trajectories are asked for in one request, so their prompt is computed (and charged) once. The k-th
        trajectory of the j-th call always draws from the same random stream.

        Raises
        ------
        BudgetExhausted
            If fewer tokens are left than trajectories ask to be continued.
        ContractError
            If a trajectory is not one of this session's.
        """
        self._require_own("extend()", trajectories)
        active = [place for place, trajectory in enumerate(trajectories) if not trajectory.finished]
        if not active:
            return list(trajectories)
        round_number, self._rounds = self._rounds, self._rounds + 1
        requests = self._requests(trajectories, active, params)
        self._on_active(len(active))
        try:
            async with asyncio.TaskGroup() as group:  # one that fails takes the others along
                asked = [
                    group.create_task(
                        self._generate(
                            trajectories[places[0]],
                            limited,
                            [self._seed(round_number, place) for place in places],
                        )
                    )
                    for places, limited in requests
                ]
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None
        finally:
            self._on_active(-len(active))
        extended = list(trajectories)
        for (places, limited), answer in zip(requests, (task.result() for task in asked), strict=True):
            self._tokens_left += limited.max_tokens * len(places) - sum(made.tokens for made in answer)
            for place, made in zip(places, answer, strict=True):
                extended[place] = self._append(trajectories[place], made, limited.max_tokens)
        return extended

    def _requests(
        self, trajectories: Sequence[Trajectory], active: Sequence[int], params: SamplingParams
    ) -> list[tuple[list[int], SamplingParams]]:
        """Group equal trajectories, and set aside the tokens that each group may use."""
        share = self._tokens_left // len(active)
        if share < 1:
            raise BudgetExhausted(
                f"{self.problem.problem_id}: {self._tokens_left} tokens left for {len(active)} trajectories"
            )
        groups: dict[int, list[int]] = {}
        for place in active:
            groups.setdefault(trajectories[place].node, []).append(place)
        requests = []
        for places in groups.values():
            room = self._token_limit - trajectories[places[0]].tokens
            limited = replace(params, max_tokens=min(params.max_tokens, room, share))
            self._tokens_left -= limited.max_tokens * len(places)
            requests.append((places, limited))
        return requests

    async def score(self, trajectories: Sequence[Trajectory]) -> FloatArray:
        """Return the scorer's score of each trajectory as it stands, in [0, 1]; shape (len(trajectories),).

        A trajectory is scored once, however often it is asked about; scores are stored with the completions.
        """
        self._require_own("score()", trajectories)
        if self._scorer is None:
            raise RuntimeError("this session has no scorer: give the strategy's options a field `scorer`")
        new = {
            trajectory.node: trajectory
            for trajectory in trajectories
            if trajectory.node and trajectory.node not in self._scores
        }
        if new:
            scores = await self._scorer.score(list(new.values()), self._engine)
            self._scores.update(zip(new, scores, strict=True))
            self.ledger.charge(
                "score",
                self._scorer_label,
                sequences=len(new),
                prompt_tokens=self._tokens_read(new.values()) if self._scorer_computes else 0,
            )
        return np.array([self._scores[trajectory.node] for trajectory in trajectories])

    def complete(
        self, trajectories: Sequence[Trajectory], weights: Sequence[float] | FloatArray | None = None
    ) -> list[Completion]:
        """Hand in trajectories as completions, with the strategy's own final weights if it has any.

        What is not finished is marked `steps`, or `budget` if the session's budget ran out.
        """
        self._require_own("complete()", trajectories)
        if weights is not None and len(weights) != len(trajectories):
            expected = f"one for each of {len(trajectories)} trajectories"
            raise self._broken("complete(): weights", Shown(f"{len(weights)}"), expected)
        about, given = self.problem.problem_id, None
        if weights is not None:
            given = self._place.numbers("session.complete(): weights", weights, about)
        unfinished: FinishReason = "budget" if self._tokens_left < len(trajectories) else "steps"
        return [
            self._completion(
                self.unit.start + place,
                trajectory,
                trajectory.finish_reason or unfinished,
                None if given is None else float(given[place]),
            )
            for place, trajectory in enumerate(trajectories)
        ]

    def rebuild(self, completion: Completion) -> Completion | None:
        """Return what the engine and the scorer gave for a completion's nodes; None if they are no path.

        Place, reason of its end and weight, which are the strategy's to choose, are those of `completion`.
        """
        here = self.start()
        for node in completion.nodes:
            above, here = here, self._made.get(node, here)
            if here is above or here.parent is None or here.parent.node != above.node:
                return None
        return self._completion(completion.index, here, completion.finish_reason, completion.weight)

    def _require_own(self, what: str, trajectories: Sequence[Trajectory]) -> None:
        """Refuse trajectories that this session did not make: nobody generated their text, or paid for it."""
        self._place.put_back(self._process, f"session.{what}")
        if self.problem != self._kept:
            raise self._place.changed(f"session.{what}", self._kept.problem_id)
        for one in trajectories:
            if not isinstance(one, Trajectory):
                raise self._broken(what, one, "trajectories")
            known = self._made.get(one.node) if one.step else self.start()
            if known is None or one.step is not known.step or one.problem is not self.problem:
                found = Shown(f"a trajectory with the text {one.text[:40]!r} at node {one.node}")
                raise self._broken(what, found, "one that start() or extend() of this session returned")

    def _broken(self, what: str, found: Any, expected: str) -> ContractError:
        return self._place.broken(f"session.{what}", found, expected, self.problem.problem_id)

    async def _generate(
        self, trajectory: Trajectory, params: SamplingParams, seeds: list[int]
    ) -> list[Generation]:
        with _Watched(self._tally, whole=not params.stop) as watched:
            request = GenerationRequest(
                problem=self.problem,
                prefix=trajectory.steps,
                params=params,
                seeds=tuple(seeds),
                on_tokens=watched.tell,
                on_end=watched.end,
            )
            made = await self._engine.generate(request)
            for place, one in enumerate(made):  # what the engine did not tell before
                watched.tell(place, one.tokens - watched.told.get(place, 0))
                watched.end(place)
        generated = sum(one.tokens for one in made)
        counted = all(one.counted for one in made)
        self._context_tokens = made[0].context_tokens if counted else None
        self.ledger.charge(
            "generate",
            self._model,
            sequences=len(made),
            prompt_tokens=sum(one.prompt_tokens for one in made) if counted else None,
            cached_prompt_tokens=sum(one.cached_prompt_tokens for one in made) if counted else None,
            generated_tokens=generated if counted else None,
            seconds=sum(one.seconds for one in made),
        )
        return made

    def _tokens_read(self, trajectories: Iterable[Trajectory]) -> int | None:
        counts = [_counted(trajectory.steps) for trajectory in trajectories]
        if self._context_tokens is None or None in counts:
            return None
        return sum(self._context_tokens + (count or 0) for count in counts)

    def _seed(self, round_number: int, place: int) -> int:
        return seed63(*self._stream, round_number, self.unit.start + place)

    def _append(self, trajectory: Trajectory, made: Generation, allowed: int) -> Trajectory:
        step = Step(
            text=_unicode(made.text),
            token_ids=made.token_ids,
            tokens=made.tokens,
            logprob=made.logprob,
            node=len(self._made) + 1,
            counted=made.counted,
        )
        reason: FinishReason | None = None
        last = allowed >= self._token_limit - trajectory.tokens  # of all that the completion may have
        if made.finish_reason in ("eos", "filtered"):
            reason = made.finish_reason
        elif trajectory.tokens + made.tokens >= self._token_limit or (
            made.finish_reason == "length" and last
        ):
            reason = "length"
        self._made[step.node] = Trajectory(self.problem, trajectory, step, reason)
        return self._made[step.node]

    def _completion(
        self, index: int, trajectory: Trajectory, reason: FinishReason, weight: float | None
    ) -> Completion:
        steps = trajectory.steps
        ends = np.cumsum([len(step.text) for step in steps], dtype=int)
        logprobs = [step.logprob for step in steps]
        return Completion(
            problem_id=self.problem.problem_id,
            budget=self.unit.budget,
            replicate=self.unit.replicate,
            index=index,
            text=trajectory.text,
            finish_reason=reason,
            prompt_tokens=self._context_tokens,
            generated_tokens=_counted(steps),
            logprob=None if None in logprobs else float(sum(lp for lp in logprobs if lp is not None)),
            step_ends=[int(end) for end in ends],
            step_tokens=[step.tokens if step.counted else None for step in steps],
            step_logprobs=logprobs,
            step_scores=[self._scores.get(step.node) for step in steps],
            nodes=[step.node for step in steps],
            weight=weight,
        )


def _counted(steps: Sequence[Step]) -> int | None:
    """Return the tokens of steps; None if those of one were not counted."""
    return sum(step.tokens for step in steps) if all(step.counted for step in steps) else None


class _Watched:
    """The sequences of a request, from whatever the engine tells of them."""

    def __init__(self, tally: UnitTally, *, whole: bool) -> None:
        self.told: dict[int, int] = {}
        self._tally = tally
        self._whole = whole
        self._began: dict[int, float] = {}

    def tell(self, place: int, tokens: int) -> None:
        """Note tokens of a sequence, the first of which begin it."""
        if place not in self.told:
            self.told[place] = 0
            self._began[place] = self._tally.begin()
        if tokens:
            self.told[place] += tokens
            self._tally.generate(tokens)

    def end(self, place: int) -> None:
        """Note that a sequence ended, once."""
        if place in self._began:
            self._tally.end(self.told[place], self._began.pop(place), whole=self._whole)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        """End what an error left under way."""
        for place in list(self._began):
            self._tally.end(self.told[place], self._began.pop(place), whole=False)


def _unicode(text: str) -> str:
    """Return a text that can be stored: what a server writes may hold halves of characters (surrogates)."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
