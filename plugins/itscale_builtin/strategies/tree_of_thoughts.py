"""Tree of Thoughts: steps that a model proposes and values itself, searched (Yao et al. 2023)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.prompts import fill, fills, shipped
from itscale.plugins.references import ModelLabel
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question, SamplingParams, Trajectory
from itscale_builtin.strategies._chats import question
from itscale_builtin.strategies._panel import instead, items, together
from itscale_builtin.strategies._stance import stance


def _prompt(name: str) -> str:
    return shipped(__package__, "tree_of_thoughts", name)


MOST = 1e12
"""Largest value of a word, so that sums stay finite."""


class TreeOfThoughtsOptions(SamplingOptions):
    """Options of the search; the number of answers is the budget of the run, and the breadth b of `bfs`."""

    temperature: float = Field(default=0.7, ge=0, le=100)
    """Softmax temperature; 0 is greedy."""
    search: Literal["bfs", "dfs"] = "bfs"
    """In breadth: the best b states of each depth go on. In depth: the best child first, those whose value is
    not above `prune` never, until there are as many answers as the budget."""
    expansion: Literal["propose", "sample"] = "propose"
    """One call lists the next steps of a state, or each is a call of its own."""
    steps: int = Field(default=3, ge=1, le=100)
    """Depth of the tree: steps before an answer."""
    branches: int = Field(default=8, ge=1, le=1_000)
    """Next steps of a state: most that are taken from a list, or how many are sampled."""
    evaluations: int = Field(default=3, ge=1, le=1_000)
    """Times n_eval that a state is valued."""
    values: Mapping[str, float] = Field(
        default={"impossible": 0.001, "likely": 1.0, "sure": 20.0}, min_length=1, max_length=100
    )
    """What a valuation counts that ends in a word; the value of a state is their sum."""
    selection: Literal["greedy", "proportional"] = "greedy"
    """Of `bfs`: the b states of the highest values, or drawn in proportion to them."""
    prune: float = Field(default=0.0, ge=0, le=MOST)
    """Of `dfs`: value up to which a state is given up."""
    valuer: ModelLabel | None = None
    """Label of the model that values; the one that is sampled if left out."""
    step_tokens: int = Field(default=256, ge=1, le=100_000_000)
    """Most tokens of next steps."""
    value_tokens: int = Field(default=128, ge=1, le=100_000_000)
    """Most tokens of a valuation."""
    propose: Annotated[str, fills("problem", "steps", "count")] = _prompt("propose")
    """Prompt of a list of next steps."""
    sample: Annotated[str, fills("problem", "steps")] = _prompt("sample")
    """Prompt of one next step."""
    value: Annotated[str, fills("problem", "steps", "labels")] = _prompt("value")
    """Prompt of a valuation."""
    answer: Annotated[str, fills("problem", "steps")] = _prompt("answer")
    """Prompt of the answer, after the last step, in place of the problem's last turn."""


Steps = tuple[str, ...]


@dataclass(frozen=True)
class State:
    """Steps so far, what their last one was read from, and their value."""

    steps: Steps = ()
    reads: tuple[Trajectory, ...] = ()
    value: float = 0.0

    @property
    def text(self) -> str:
        """The steps, a line each."""
        return "\n".join(self.steps) or "(none)"


async def tree_of_thoughts(
    problem: Question, session: Session, options: TreeOfThoughtsOptions
) -> list[Completion]:
    """Let the model propose next steps and value what they lead to; answer from the best states.

    Breadth first: at each depth every state is expanded, every candidate valued by `evaluations` calls whose
    labels are summed, and the best b go on. Depth first: the best child of a state first, candidates at or
    below `prune` never. Steps that are already there are worth nothing and not asked about again. A valuation
    without a label counts nothing, and as unreadable, as does an expansion without a step; a state that has
    no next step answers from where it is.

    Handed in are the answers, with the values of their states as weights. Charged: every expansion,
    valuation and answer. Depth first, a search expands no more once what is left is due to answers.
    Departures: the paper's puzzles end in their last step, a general problem in an answer, which is one call
    more; thoughts are lines of a list, or a reply each.
    """
    tree = _Thoughts(problem, session, options)
    with suppress(BudgetExhausted):
        await (tree.in_breadth() if options.search == "bfs" else tree.in_depth(State()))
    if not tree.answers:
        await tree.answer([State()])
    made = tree.answers or [(session.start(), 0.0)]
    return session.complete([one for one, _ in made], [value for _, value in made])


class _Thoughts:
    """The calls of a search, and the answers that it has come to."""

    def __init__(self, problem: Question, session: Session, options: TreeOfThoughtsOptions) -> None:
        self.problem, self.session, self.options = problem, session, options
        self.answers: list[tuple[Trajectory, float]] = []
        self._spent = 0  # on steps and values
        self._seen: set[Steps] = set()

    async def in_breadth(self) -> None:
        """Go down a depth at a time."""
        states, ended = [State()], set[Steps]()
        for _ in range(self.options.steps):
            going = [one for one in states if one.steps not in ended]
            candidates, ends = await self._children(going)
            ended |= ends
            if not candidates:
                break
            states = self._selected([*(one for one in states if one.steps in ended), *candidates])
        await self.answer(states)

    async def in_depth(self, state: State) -> None:
        """Go down from a state, its best child first, until there are answers enough."""
        deepest = len(state.steps) == self.options.steps or not self._affords_a_state()
        children, _ = ([], set()) if deepest else await self._children([state])
        if not children and state.steps:
            await self.answer([state])
        order = self.session.rng.permutation(len(children))  # of equal ones, any first
        for child in sorted((children[place] for place in order), key=lambda one: -one.value):
            if len(self.answers) == self.session.budget:
                return
            if child.value > self.options.prune:
                await self.in_depth(child)

    async def answer(self, states: Sequence[State]) -> None:
        """Answer from states, as far as there are tokens."""
        made = await together(map(self._answered, states))
        known = zip(made, states, strict=True)
        self.answers += [(one, state.value) for one, state in known if one is not None]

    async def _answered(self, state: State) -> Trajectory:
        asked = fill(self.options.answer, problem=question(self.problem), steps=state.text)
        chat = instead(self.problem, asked) if state.steps else None
        return await self.session.write(chat, self.options.completion(), reads=state.reads)

    def _selected(self, candidates: Sequence[State]) -> list[State]:
        """Return the states that go on, the best first."""
        candidates = [candidates[place] for place in self.session.rng.permutation(len(candidates))]
        values = np.array([one.value for one in candidates])  # equal ones in no order of the lists
        count = min(self.session.budget, len(candidates))
        if self.options.selection == "proportional" and np.count_nonzero(values) >= count:
            places = self.session.rng.choice(len(values), size=count, replace=False, p=values / values.sum())
        else:
            places = np.argsort(-values, kind="stable")[:count]
        chosen = [candidates[int(place)] for place in places]
        return sorted(chosen, key=lambda one: -one.value)

    async def _children(self, states: Sequence[State]) -> tuple[list[State], set[Steps]]:
        """Return the next states of some, valued, each distinct one once; and those that have none."""
        expanded = await together(map(self._expanded, states))
        candidates = self._new(child for children in expanded for child in children or ())
        valued = [one for one in await together(map(self._valued, candidates)) if one is not None]
        return valued, {
            state.steps for state, children in zip(states, expanded, strict=True) if children == []
        }

    def _affords_a_state(self) -> bool:
        """Return whether a state can be expanded and its children valued, and answers be paid for."""
        options, budget = self.options, self.session.budget
        left = grant(options, budget) - self._spent - options.max_tokens * budget
        return left >= most_of_a_state(options)

    def _new(self, children: Iterable[State]) -> list[State]:
        """Return states that were not met before."""
        found = []
        for child in children:
            if child.steps not in self._seen:
                self._seen.add(child.steps)
                found.append(child)
        return found

    async def _expanded(self, state: State) -> list[State]:
        """Return the states that a state leads to."""
        options = self.options
        lists = options.expansion == "propose"
        prompt = options.propose if lists else options.sample
        said = {"problem": question(self.problem), "steps": state.text, "count": options.branches}
        replies = await self._ask(prompt, said, "expand", state, 1 if lists else options.branches)
        children = []
        for reply in replies:
            found = listed_steps(reply.text)[: options.branches] if lists else one_step(reply.text)
            if not found:
                self.session.unreadable(reply)
            children += [State((*state.steps, step), (reply,)) for step in found]
        return children

    async def _valued(self, state: State) -> State:
        """Return a state with the sum of what its valuations say."""
        labels = ", ".join(self.options.values)
        said = {"problem": question(self.problem), "steps": state.text, "labels": labels}
        by, times = self.options.valuer, self.options.evaluations
        total = 0.0
        for reply in await self._ask(self.options.value, said, "value", state, times, by):
            label = last_label(reply.text, self.options.values)
            if label is None:
                self.session.unreadable(reply)
            else:
                total += self.options.values[label]
        return replace(state, value=total)

    async def _ask(
        self,
        prompt: str,
        said: Mapping[str, object],
        what: str,
        state: State,
        times: int,
        by: str | None = None,
    ) -> list[Trajectory]:
        """Return replies to a chat of its own, in one request."""
        chat = [{"role": "user", "content": fill(prompt, **said)}]
        # Two paths may have the same texts, of which streams must not depend on who asks first.
        key = f"{what} {state.reads[0].node if state.reads else 0} {len(state.steps)}"
        start = self.session.start(chat, key=key, reads=state.reads)
        limit = self.options.value_tokens if what == "value" else self.options.step_tokens
        replies = await self.session.extend([start] * times, _limited(self.options, limit), by=by)
        self._spent += sum(one.tokens for one in replies)
        return replies


def _limited(options: TreeOfThoughtsOptions, tokens: int) -> SamplingParams:
    return replace(options.completion(), max_tokens=min(tokens, options.max_tokens))


LONGEST = 1_000
"""Characters of a step: what is longer is no step, but a text."""


def listed_steps(text: str) -> list[str]:
    """Return the items of a list, each once; every line is one where nothing is marked as such."""
    found = (one.strip(" \t*_`") for one in items(text) or text.splitlines())
    return list(dict.fromkeys(one for one in found if one and len(one) <= LONGEST))


def one_step(text: str) -> list[str]:
    """Return a reply as a step, if it is one."""
    step = " ".join(text.split())
    return [step] if step and len(step) <= LONGEST else []


def last_label(text: str, labels: Iterable[str]) -> str | None:
    """Return the label that a text names last, whatever its case; None if it names none, or denies it."""
    names = sorted(labels, key=len, reverse=True)
    pattern = "|".join(f"({re.escape(name)})" for name in names)
    found = list(re.finditer(rf"(?<!\w)(?:{pattern})(?!\w)", text, re.IGNORECASE))
    if not found or stance(text, found[-1].start()) != "plain":
        return None
    return names[(found[-1].lastindex or 1) - 1]


def check(options: TreeOfThoughtsOptions) -> Iterator[str]:
    """Yield values that cannot be."""
    for label, value in options.values.items():
        if not label.strip() or not 0 <= value <= MOST:
            yield f"values: found {label!r}: {value}, expected words, each with a number from 0 to {MOST:g}"
    for label, count in Counter(name.casefold() for name in options.values).items():
        if count > 1:
            yield f"values: found {label!r} {count} times, whatever the case, expected every word once"


def grant(options: TreeOfThoughtsOptions, budget: int) -> int:
    """Return the tokens of so many states at every depth, all that they lead to valued, and their answers."""
    return budget * (options.steps * most_of_a_state(options) + options.max_tokens)


def most_of_a_state(options: TreeOfThoughtsOptions) -> int:
    """Return the tokens that expanding a state, and valuing what it leads to, takes at most."""
    calls = 1 if options.expansion == "propose" else options.branches
    values = options.branches * options.evaluations * min(options.value_tokens, options.max_tokens)
    return calls * min(options.step_tokens, options.max_tokens) + values


entry = StrategyEntry(
    name="tree_of_thoughts",
    aliases=("tot",),
    family="search",
    factory=tree_of_thoughts,
    options=TreeOfThoughtsOptions,
    check=check,
    draws="runs",
    grant=grant,
    summary="Steps that a model proposes and values itself, searched in breadth or depth.",
    reference="Yao et al. 2023, Tree of Thoughts, sections 3 and 4",
)
