"""The session: all a strategy sees of the world. It runs engines, keeps ledger, streams and budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np

from itscale.errors import ContractError
from itscale.outcomes import FloatArray
from itscale.plugins.given import own_problem
from itscale.plugins.place import Place, Shown, textual
from itscale.plugins.process import LASTING, ProcessState
from itscale.sampling.allowance import Allowance
from itscale.sampling.asked import own_chat, own_key, own_params, own_trajectories
from itscale.sampling.desk import Desk, storable
from itscale.sampling.draws import Draw, draw_together, ending
from itscale.sampling.ledger import Ledger
from itscale.sampling.lineage import Lineages, is_drawn
from itscale.sampling.partners import Partners
from itscale.sampling.progress import Tally, UnitTally
from itscale.sampling.reading import Reading
from itscale.sampling.scores import Scores
from itscale.sampling.scoring import Answers, ChargedDesk
from itscale.sampling.tree import Tree
from itscale.sampling.units import Unit
from itscale.seeds import entropy, generator
from itscale.types import (
    Completion,
    Engine,
    FinishReason,
    Lineage,
    Message,
    Problem,
    SamplingParams,
    Trajectory,
)

__all__ = ["Session", "Unit"]


class Session(Reading):
    """A strategy's handle on one problem.

    Parameters
    ----------
    problem
        The problem; the strategy sees the question alone.
    unit
        What is to be done.
    engine
        Shared by all sessions of a block: their requests run together.
    model
        Label of the engine's model, for the ledger.
    stream
        JSON values the random streams derive from, beside the problem and the run (study seed ...).
    token_limit
        Most tokens one trajectory may have.
    worth
        Tokens that one completion is worth, those of helper models included: the session may generate so
        many for each of `unit.completions`. `token_limit` if left out.
    granted
        Tokens that the session may generate, where that is no multiple of completions.
    paired
        Whether runs of all budgets draw from one and the same streams.
    pooled
        Whether the unit, if it is no run, is a part of a pool: then no chat may be continued more often than
        there are completions, or parts would repeat each other. Else it is a completion with streams of its
        own.
    partners
        Helper models, scorer and oracle.
    tally
        Where what is generated is counted while it is.
    on_active
        Called with the number of trajectories that a call of `extend` continues, and with its negative when
        all of them are.
    place
        How messages call the strategy.

    Attributes
    ----------
    problem
        The question.
    budget
        What is to be spent, in units of the strategy's axis: completions, unless its entry names another.
    ledger
        What was spent so far. Strategies have no business with it, nor with the tree.
    tree
        All that was generated or given so far.
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
        worth: int | None = None,
        granted: int | None = None,
        paired: bool = False,
        pooled: bool = True,
        partners: Partners | None = None,
        tally: UnitTally | None = None,
        on_active: Callable[[int], None] | None = None,
        place: Place | None = None,
    ) -> None:
        super().__init__()
        self._kept = own_problem(problem)  # engines get this one, whatever is done to the other
        self.problem = own_problem(problem).question
        self._process = ProcessState.now(LASTING)
        self.unit = unit
        self.budget = unit.budget or unit.completions
        self.ledger = Ledger()
        self._partners = partners or Partners()
        engines = {"": engine, **self._partners.helpers}
        self._desk = Desk(self._kept, engines, model, self.ledger, tally or Tally().unit(unit.completions))
        self._model = model
        self._drawn: Counter[str] = Counter()  # completions of inner strategies, by label
        self._pooled = pooled and not unit.budget
        own = () if self._pooled or unit.budget else ("completion", unit.start)
        self._stream = entropy(
            *stream, problem.problem_id, 0 if paired else unit.budget, unit.replicate, *own
        )
        self._lineages = Lineages(self._stream, unit.start if self._pooled else 0)
        self._token_limit = token_limit
        tokens = (token_limit if worth is None else worth) * unit.completions
        self._allowance = Allowance(tokens if granted is None else granted, problem.problem_id)
        self._on_active = on_active or (lambda change: None)
        self._place = place or Place("strategies", "unnamed")
        self.tree = Tree(self.problem, unit)

    @cached_property
    def rng(self) -> np.random.Generator:
        """Random generator of this problem and run: the same in every rerun."""
        return self.generator("strategy")

    def generator(self, *what: str) -> np.random.Generator:
        """Return a random generator of this problem and run for a purpose."""
        return generator(*self._stream, *what, self.unit.start)

    def start(
        self,
        messages: Sequence[Message] | None = None,
        *,
        key: str = "",
        reads: Sequence[Trajectory] = (),
    ) -> Trajectory:
        """Return the empty trajectory of the problem, or of a chat of one's own.

        Parameters
        ----------
        messages
            The chat; the problem's own if left out.
        key
            Tells two trajectories with one chat apart, where they are continued at the same time and which
            is which matters.
        reads
            Trajectories that the chat quotes: drawings show what it follows, below the first of them that the
            same model wrote, or else the first. Nothing else depends on them.
        """
        asked = self._place, "session.start()"
        about = self.problem.problem_id
        chat = None if messages is None else own_chat(*asked, messages, about)
        lineage = self._lineages.root(chat, own_key(*asked, key, about))
        return self.tree.begin(chat, lineage, self._own("start(): reads", reads) if reads else ())

    async def write(
        self,
        messages: Sequence[Message] | None,
        params: SamplingParams,
        *,
        by: str | None = None,
        key: str = "",
        reads: Sequence[Trajectory] = (),
    ) -> Trajectory:
        """Return one answer to a chat: `start` and `extend` of a single trajectory."""
        (made,) = await self.extend([self.start(messages, key=key, reads=reads)], params, by=by)
        return made

    async def extend(
        self, trajectories: Sequence[Trajectory], params: SamplingParams, *, by: str | None = None
    ) -> list[Trajectory]:
        """Continue each unfinished trajectory by one step, all at once; finished ones are handed back.

        A step ends at one of `params.stop`, after `params.max_tokens`, or where the model ends. Equal
        trajectories are asked for in one request, so their prompt is computed (and charged) once. What is
        drawn depends on what is continued and on how often that was continued before, and on nothing else.

        Parameters
        ----------
        trajectories
            Of this session.
        params
            How to sample.
        by
            Label of the helper model that writes; the model that is sampled if left out.

        Raises
        ------
        BudgetExhausted
            If fewer tokens are left than trajectories ask to be continued.
        ContractError
            If a trajectory is not one of this session's, or `by` is no helper model of the strategy.
        """
        trajectories = self._own("extend()", trajectories)
        own_params(self._place, "session.extend()", params, self.problem.problem_id)
        label = self._named("extend(): by", by)
        if params.confidence_top:
            self._offering("extend()", "generated_confidences", by)
        with self._pending.call():
            return await self._extend(trajectories, params, label)

    async def _extend(
        self, trajectories: list[Trajectory], params: SamplingParams, label: str
    ) -> list[Trajectory]:
        # Lineages are settled before anything is waited for: whoever calls first, continues first.
        draws = self._draws(trajectories, label)
        places = sorted(place for draw in draws for place in draw.places)
        if not places:
            return list(trajectories)
        left = [self._token_limit - trajectories[place].tokens for place in places]
        room = [min(params.max_tokens, tokens) for tokens in left]
        lent = await self._allowance.lend(room)
        granted = dict(zip(places, lent, strict=True))
        for draw in draws:
            draw.tokens = min(granted[place] for place in draw.places)
        used: list[int] = []
        self._on_active(len(places))
        try:
            await draw_together(draws, self._desk, self.tree, params, used)
        finally:
            self._on_active(-len(places))
            self._allowance.settle(lent, sum(used))
        whole = dict(zip(places, (one == most for one, most in zip(lent, room, strict=True)), strict=True))
        extended = list(trajectories)
        for draw in draws:
            for place, made, lineage in zip(draw.places, draw.made, draw.lineages, strict=True):
                limit = self._token_limit - draw.parent.tokens
                reason = ending(made, params, limit, whole=whole[place])
                text = storable(made.text)
                extended[place] = self.tree.grow(draw.parent, made, text, reason, lineage, draw.by)
        return extended

    async def inner(self, label: str) -> Trajectory:
        """Return a completion of another strategy, named by its label, which is made within this session.

        Raises
        ------
        BudgetExhausted
            If there are not tokens enough to make it.
        ContractError
            If the strategy's options name no such strategy, or it hands in anything but one completion.
        """
        if label not in self._partners.inner:
            expected = " or ".join(sorted(self._partners.inner)) or "no label: the options name no strategy"
            raise self._broken("inner()", label, expected)
        number = self._drawn[label] = self._drawn[label] + 1
        return await self._partners.inner[label](self, f"{label} {number}")

    def append(self, trajectory: Trajectory, text: str) -> Trajectory:
        """Return a trajectory with a text that no model wrote, to be gone on from even if it was finished.

        The next call reads the text as a part of its prompt, without the end that came before it. A
        trajectory that has no tokens left is handed back as it is.
        """
        self._own("append()", [trajectory])
        if not textual(text):
            raise self._broken("append(): text", text, "a text that can be stored")
        if not text or trajectory.tokens >= self._token_limit:
            return trajectory
        return self.tree.give(trajectory, text, self._lineages.appended(trajectory.lineage, text))

    async def score(self, trajectories: Sequence[Trajectory]) -> FloatArray:
        """Return the scorer's score of each trajectory as it stands, in [0, 1]; shape (len(trajectories),).

        A trajectory is scored once, however often it is asked about; scores are stored with the completions.
        """
        trajectories, scores = self._own("score()", trajectories), self._scores
        for one in trajectories:
            if one.step is None:
                raise self._broken("score()", Shown("a trajectory not yet begun"), "one with a step")
        with self._pending.call():
            await scores.ask({trajectory.node: trajectory for trajectory in trajectories})
        return np.array([self.tree.scores[trajectory.node] for trajectory in trajectories])

    def answer(self, trajectory: Trajectory) -> str | None:
        """Return the final answer in a trajectory, None if there is none: never whether it is right."""
        self._own("answer()", [trajectory])
        return self._partners.answer(trajectory.text)

    def passes(self, trajectory: Trajectory) -> bool:
        """Return whether the oracle takes a trajectory's text for correct.

        Only for a strategy whose entry declares `asks_oracle`: outcomes carry the design that follows.
        """
        self._own("passes()", [trajectory])
        return self._partners.passes(trajectory.text)

    def unreadable(self, trajectory: Trajectory) -> None:
        """Count a trajectory as a reply in which the strategy did not find what it had asked for.

        The ledger has it beside the calls of the model that wrote it. A strategy guesses nothing then: it
        goes on without, as its documentation says.
        """
        (trajectory,) = self._own("unreadable()", [trajectory])
        if trajectory.step is None or trajectory.step.given:
            raise self._broken("unreadable()", Shown("one that no model wrote"), "a reply of a model")
        if trajectory.node not in self.tree.unreadable:
            self.tree.unreadable.add(trajectory.node)
            by = trajectory.step.by or self._model
            self.ledger.charge("generate", by, calls=0, sequences=0, unreadable=1)

    def complete(
        self, trajectories: Sequence[Trajectory], weights: Sequence[float] | FloatArray | None = None
    ) -> list[Completion]:
        """Hand in trajectories as completions, with the strategy's own final weights if it has any.

        What is not finished is marked `steps`, or `budget` if the session's budget ran out.
        """
        trajectories = self._own("complete()", trajectories)
        given = None
        if weights is not None:
            what = "session.complete(): weights"
            given = self._place.numbers(what, weights, self.problem.problem_id)
            if given.shape != (len(trajectories),):
                expected = f"one for each of {len(trajectories)} trajectories"
                found = Shown(f"{len(given)}" if given.ndim == 1 else f"an array of shape {given.shape}")
                raise self._place.broken(what, found, expected, self.problem.problem_id)
        ended = self._allowance.exhausted or self._allowance.left < len(trajectories)
        unfinished: FinishReason = "budget" if ended else "steps"
        return [
            self.tree.completion(
                self.unit.start + place,
                trajectory,
                trajectory.finish_reason or unfinished,
                None if given is None else float(given[place]),
            )
            for place, trajectory in enumerate(trajectories)
        ]

    async def end(self) -> None:
        """End what is still under way when the strategy has ended; what that had generated is charged."""
        await self._pending.end()

    def rebuild(self, completion: Completion) -> Completion | None:
        """Return what the engines and the scorer gave for a completion's nodes; None if they are no path.

        Place, reason of its end and weight, which are the strategy's to choose, are those of `completion`.
        """
        made = self.tree.path(completion.nodes)
        if made is None:
            return None
        return self.tree.completion(completion.index, made, completion.finish_reason, completion.weight)

    def _own(self, what: str, given: Any) -> list[Trajectory]:
        """Return trajectories; refuse any that this session did not make: nobody generated it, or paid."""
        self._place.put_back(self._process, f"session.{what}")
        if self.problem != self._kept.question:
            raise self._place.changed(f"session.{what}", self._kept.problem_id)
        trajectories = own_trajectories(self._place, f"session.{what}", given, self.problem.problem_id)
        for one in trajectories:
            if not self.tree.has(one):
                found = Shown(f"a trajectory with the text {one.text[:40]!r} at node {one.node}")
                raise self._broken(what, found, "one that start() or extend() of this session returned")
        return trajectories

    def _broken(self, what: str, found: Any, expected: str) -> ContractError:
        return self._place.broken(f"session.{what}", found, expected, self.problem.problem_id)

    def _draws(self, trajectories: Sequence[Trajectory], by: str) -> list[Draw]:
        """Return the requests that continue what is not finished, equal trajectories in one."""
        draws: dict[Lineage, Draw] = {}
        for place, trajectory in enumerate(trajectories):
            if not trajectory.finished:
                draw = draws.setdefault(trajectory.lineage, Draw(trajectory, by))
                lineage = self._continue(trajectory, by)
                draw.places.append(place)
                draw.lineages.append(lineage)
                draw.seeds.append(self._lineages.seed(lineage))
        return list(draws.values())

    def _continue(self, trajectory: Trajectory, by: str) -> Lineage:
        """Return the lineage of the next continuation; refuse one that another part of the pool has, too."""
        if self._pooled and not is_drawn(trajectory.lineage):
            most = self.unit.completions
            if self._lineages.draws(trajectory.lineage) >= most:
                expected = "at most one each: declare per='completion' in the strategy's entry to draw more"
                found = Shown(f"more than {most} draws from one chat for {most} completions")
                raise self._broken("extend()", found, expected)
        return self._lineages.continued(trajectory.lineage, by)

    @cached_property
    def _scores(self) -> Scores:
        """What the scorer is asked by: it asks models at a desk of its own, in the session's ledger."""
        scorer = self._partners.scorer
        if scorer is None:
            raise RuntimeError(
                "this session has no scorer: give the strategy an option of the type ScorerLabel"
            )
        desk = partial(
            ChargedDesk,
            self._kept,
            scorer.engines,
            model=self._model,
            scorer=scorer.label,
            stream=scorer.stream,
            answers=Answers(self.ledger),
            knows=self.tree.began,
            tally=self._desk.tally,
        )
        return Scores(scorer.scorer, desk, self.tree.scores, alone=bool(scorer.engines))
