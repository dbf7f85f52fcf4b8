"""PlanSearch: ideas in words from sets of observations, each carried out (Wang et al. 2024, section 4)."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import combinations
from math import comb
from typing import Annotated, TypeVar

from pydantic import Field

from itscale.errors import BudgetExhausted, StudyError
from itscale.plugins import StrategyEntry
from itscale.plugins.prompts import fill, fills, shipped
from itscale.plugins.references import ModelLabel
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.desk import storable
from itscale.sampling.session import Session
from itscale.types import Completion, Message, Question, Trajectory
from itscale_builtin.strategies._chats import go_on, question
from itscale_builtin.strategies._diversity import IdeaJudge
from itscale_builtin.strategies._panel import instead, items, listed, together

T = TypeVar("T")

COMPARED = 25
"""Most codes of a problem whose ideas are compared, as in the paper."""


def _prompt(name: str) -> str:
    return shipped(__package__, "plan_search", name)


class PlanSearchOptions(SamplingOptions):
    """Options of PlanSearch; the number of codes is the budget of the run."""

    temperature: float = Field(default=0.9, ge=0, le=100)
    """Softmax temperature; 0 is greedy."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """Nucleus mass; 1 keeps the whole distribution."""
    max_tokens: int = Field(default=4096, ge=1, le=100_000_000)
    """Most tokens of each generation, of observations, ideas and codes."""
    first: int = Field(default=10, ge=0, le=20)
    """Most observations about the problem."""
    second: int = Field(default=5, ge=0, le=20)
    """Most observations that are derived from a set of these."""
    subset: int = Field(default=2, ge=0, le=3)
    """Most observations in a set."""
    tries: int = Field(default=3, ge=1, le=20)
    """How often a list is asked for until it can be read, each time 0.2 warmer, from 0."""
    diversity: bool = False
    """Whether ideas are compared with each other; at most 25 codes then. See `judge`."""
    judge: ModelLabel | None = None
    """Label of the model that compares them; the one that is sampled if left out."""
    observe: Annotated[str, fills("problem", "count")] = _prompt("observe")
    """Prompt of observations about the problem."""
    derive: Annotated[str, fills("problem", "observations", "count")] = _prompt("derive")
    """Prompt of observations that are derived from others."""
    enumerate: Annotated[str, fills()] = _prompt("enumerate")
    """Second turn: observations as a list."""
    filter: Annotated[str, fills()] = _prompt("filter")
    """Third turn: those that are useful."""
    parse: Annotated[str, fills()] = _prompt("parse")
    """Fourth turn: in a form that is read."""
    solve: Annotated[str, fills("problem", "observations")] = _prompt("solve")
    """Prompt of a solution in words."""
    criticise: Annotated[str, fills()] = _prompt("criticise")
    """Second turn: what is wrong with it."""
    fix: Annotated[str, fills()] = _prompt("fix")
    """Third turn: the fixed solution."""
    pseudocode: Annotated[str, fills("problem", "solution")] = _prompt("pseudocode")
    """Prompt of the steps of a solution."""
    implement: Annotated[str, fills("problem", "steps")] = _prompt("implement")
    """Prompt of the answer that carries the steps out."""
    summarise: Annotated[str, fills("problem", "answer")] = _prompt("summarise")
    """Prompt of the idea of an answer, in a few words."""
    compare: Annotated[str, fills("problem", "first", "second")] = _prompt("compare")
    """Prompt of the comparison of two ideas."""


async def plan_search(problem: Question, session: Session, options: PlanSearchOptions) -> list[Completion]:
    """Observe, combine observations, derive others; solve by each set in words; carry each solution out.

    Observations take four calls in one conversation: observe, list, filter, parse. Of those about the
    problem, all sets of at most `subset` are nodes, the empty one too; from each, others are derived by four
    more calls, and with it all their sets are nodes. Each node has two ideas: a solution, and what critique
    makes of it. Each idea is one code, by pseudocode. Sets that are the same are one node. What is a code
    depends on the problem: nothing asks for a program that does not ask for one.

    Of all ideas (1,792 by default), as many as the budget are drawn at random, and only what leads to them is
    made: observations are derived from the sets that are needed, critiques where the fixed solution is. Ideas
    that turn out not to exist, as there are fewer observations or one twice, are drawn again. Charged: what
    was made, at most 3 + `tries` calls for each set, and 5 for each code. With `diversity`, the weight of a
    completion is the share of the others that its idea differs from, so that their mean is the paper's D; a
    call for each code and for each two is charged, too.

    A node's solution is told the derived observations with those that they were derived from; the released
    code tells the derived ones alone.
    """
    search = IdeaSearch(problem, session, options)
    codes: list[Trajectory] = []
    with suppress(BudgetExhausted):
        nodes = await search.ideas(session.budget)
        made = await together(search.codes(node, wanted) for node, wanted in nodes.items())
        codes = [code for part in made for code in part or ()]
    return session.complete(codes or [session.start()], await search.weights(codes))


Node = tuple[str, ...]
"""Observations that a solution starts from."""


@dataclass(frozen=True)
class IdeaSearch:
    """The calls of a search."""

    problem: Question
    session: Session
    options: PlanSearchOptions
    derived: dict[int, list[str]] = field(default_factory=dict)

    async def ideas(self, count: int) -> dict[Node, set[bool]]:
        """Return nodes drawn at random, and which of their two ideas: the solution, the fixed one."""
        first = self.options.first
        about = fill(self.options.observe, **self._said(first))
        observed = (await self._observations(about, ""))[:first] if first else []
        sets = list(subsets(observed, self.options.subset))
        slots = list(subsets(range(self.options.second), self.options.subset))
        shuffled = self.session.rng.permutation(len(sets) * len(slots) * 2).tolist()
        nodes: dict[Node, set[bool]] = {}
        alike: dict[frozenset[str], Node] = {}
        while shuffled and (lacking := count - sum(map(len, nodes.values()))):
            batch, shuffled = shuffled[:lacking], shuffled[lacking:]
            places = [
                (place // 2 // len(slots), slots[place // 2 % len(slots)], place % 2) for place in batch
            ]
            await self._derive(sets, sorted({at for at, slot, _ in places if slot} - self.derived.keys()))
            for at, slot, fixed in places:
                found = self.derived.get(at, [])
                if all(place < len(found) for place in slot):
                    node = (*sets[at], *(found[place] for place in slot))
                    same = alike.setdefault(frozenset(map(plain, node)), node)
                    nodes.setdefault(same, set()).add(bool(fixed))
        return nodes

    async def _derive(self, sets: Sequence[Node], needed: Sequence[int]) -> None:
        """Derive observations from sets, as far as there are tokens."""
        prompts = (
            fill(self.options.derive, observations=_shown(sets[at]), **self._said(self.options.second))
            for at in needed
        )
        made = await together(
            self._observations(prompt, f"set {at}") for at, prompt in zip(needed, prompts, strict=True)
        )
        for at, found in zip(needed, made, strict=True):
            known = set(map(plain, sets[at]))
            self.derived[at] = [one for one in found or () if plain(one) not in known][: self.options.second]

    async def _observations(self, prompt: str, key: str) -> list[str]:
        """Observe, list, filter and parse; none if the list cannot be read."""
        params, said = self.options.completion(), list[Trajectory]()
        chat: list[Message] = [{"role": "user", "content": prompt}]
        for turn in (self.options.enumerate, self.options.filter, self.options.parse):
            said.append(await self.session.write(chat, params, key=key, reads=said[::-1]))
            chat = go_on(chat, said[-1].text, turn)
        for number in range(self.options.tries):
            warmer = replace(params, temperature=0.2 * number)
            reply = await self.session.write(chat, warmer, key=f"{key} try {number}", reads=said[::-1])
            if found := listing(reply.text):
                return found
            self.session.unreadable(reply)
        return []

    async def codes(self, node: Node, wanted: set[bool]) -> list[Trajectory]:
        """Return the codes of a node's ideas that are wanted."""
        prompt = fill(self.options.solve, observations=_shown(node), **self._said())
        chat: list[Message] = [{"role": "user", "content": prompt}]
        solution = await self._write(chat)
        branches = [self._code(solution, node)] if False in wanted else []
        branches += [self._fixed_code(chat, solution, node)] if True in wanted else []
        return [code for code in await together(branches) if code is not None]

    async def _fixed_code(self, chat: Sequence[Message], solution: Trajectory, node: Node) -> Trajectory:
        """Return the code of a solution that was criticised and fixed."""
        chat = go_on(chat, solution.text, self.options.criticise)
        critique = await self._write(chat, str(solution.node), [solution])
        chat = go_on(chat, critique.text, self.options.fix)
        fixed = await self._write(chat, str(critique.node), [solution, critique])
        return await self._code(fixed, node)

    async def _code(self, solution: Trajectory, node: Node) -> Trajectory:
        """Return what carries a solution out, by pseudocode."""
        prompt = fill(self.options.pseudocode, solution=solution.text, **self._said())
        steps = await self._write([{"role": "user", "content": prompt}], str(solution.node), [solution])
        asked = fill(self.options.implement, steps=steps.text, **self._said())
        return await self._write(instead(self.problem, asked), str(steps.node), [steps])

    async def _write(
        self, chat: Sequence[Message], key: str = "", reads: Sequence[Trajectory] = ()
    ) -> Trajectory:
        return await self.session.write(chat, self.options.completion(), key=key, reads=reads)

    def _said(self, count: int = 0) -> dict[str, str]:
        return {"problem": question(self.problem), "count": str(count)}

    async def weights(self, codes: Sequence[Trajectory]) -> list[float] | None:
        """Return of each code which share of the others' ideas its own differs from, if that is wanted."""
        if not self.options.diversity or len(codes) < 2:
            return None
        judge = IdeaJudge(
            self.problem,
            self.session,
            self.options.judge,
            self.options.summarise,
            self.options.compare,
            self.options.max_tokens,
        )
        with suppress(BudgetExhausted):
            return await judge.diversity(codes)
        return None


def subsets(things: Sequence[T], most: int) -> Iterator[tuple[T, ...]]:
    """Yield all sets of at most so many things, the empty one first."""
    for size in range(most + 1):
        yield from combinations(things, size)


def listing(text: str) -> list[str]:
    """Return a list of texts: as JSON, else the items of a list, each once; empty if there is none."""
    begin, end = text.find("["), text.rfind("]")
    try:
        found = json.loads(text[begin : end + 1])
    except (ValueError, RecursionError):
        found = None
    if not (isinstance(found, list) and found and all(isinstance(one, str) for one in found)):
        found = items(text)
    found = map(storable, reversed(found))  # an escape may stand for half a character
    return list({plain(one): one.strip() for one in found if plain(one)}.values())[::-1]


def plain(text: str) -> str:
    """Return what makes two observations one: their words."""
    return " ".join(text.casefold().split()).strip(" .")


def _shown(observations: Sequence[str]) -> str:
    return listed(observations) if observations else "(none)"


def counted(options: PlanSearchOptions) -> tuple[int, int]:
    """Return how many sets of first observations and how many nodes there are at most."""
    sets, slots = (
        sum(comb(count, size) for size in range(options.subset + 1))
        for count in (options.first, options.second)
    )
    return sets, sets * slots


def admits(options: PlanSearchOptions, budget: int) -> None:
    """Raise StudyError if there are not so many ideas, or too many to be compared."""
    most = 2 * counted(options)[1]
    if budget > most:
        raise StudyError(f"found budget {budget}, expected at most {most}, two ideas of each node")
    if options.diversity and budget > COMPARED:
        raise StudyError(
            f"found budget {budget} with diversity, expected at most {COMPARED} codes to compare"
        )


def grant(options: PlanSearchOptions, budget: int) -> int:
    """Return how many tokens a run may generate."""
    calls = (3 + options.tries) * (1 + counted(options)[0]) + 5 * budget
    if options.diversity:
        calls += budget + comb(budget, 2)
    return calls * options.max_tokens


entry = StrategyEntry(
    name="plan_search",
    aliases=("plansearch",),
    family="structured",
    factory=plan_search,
    options=PlanSearchOptions,
    draws="runs",
    admits=admits,
    grant=grant,
    summary="Answers that start from different sets of observations about the problem.",
    reference="Wang et al. 2024, Planning in Natural Language Improves LLM Search, section 4",
)
