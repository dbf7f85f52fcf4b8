"""Archon: layers of models that generate, criticise, rank, verify and fuse (Saad-Falcon et al. 2024)."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import Field

from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.prompts import fill, fills, shipped
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory
from itscale_builtin.strategies._archon_layers import MAKERS, Component, broken_rules, calls
from itscale_builtin.strategies._archon_replies import is_correct, passed, ranking
from itscale_builtin.strategies._chats import question
from itscale_builtin.strategies._panel import answers, instead, items, listed, numbered_parts, together

GENERAL: list[list[dict[str, Any]]] = [
    [{"role": "generator", "samples": 5}],
    [{"role": "critic"}],
    [{"role": "ranker", "keep": 3}],
    [{"role": "fuser"}],
]
"""Layers where a study names none."""


def _prompt(name: str) -> str:
    return shipped(__package__, "archon", name)


class ArchonOptions(SamplingOptions):
    """Options of an Archon."""

    layers: list[Annotated[list[Component], Field(min_length=1, max_length=100)]] = Field(
        default=[[Component.model_validate(one) for one in layer] for layer in GENERAL],
        min_length=1,
        max_length=50,
    )
    """Layers in order, each a list of components with a `role`."""
    temperature: float = Field(default=0.7, ge=0, le=100)
    """Softmax temperature of all components; 0 is greedy."""
    readable: int = Field(default=32, ge=1, le=1_000)
    """Most candidates that a critic, ranker or fuser reads at once; more are refused by `check`."""
    retries: int = Field(default=10, ge=0, le=100)
    """How often a critic is asked again that has not criticised every candidate."""
    criticise: Annotated[str, fills("problem", "candidates")] = _prompt("criticise")
    """Prompt of a critic."""
    rank: Annotated[str, fills("problem", "candidates")] = _prompt("rank")
    """Prompt of a ranker."""
    reason: Annotated[str, fills("problem", "candidate")] = _prompt("reason")
    """First prompt of a verifier."""
    verdict: Annotated[str, fills("problem", "candidate", "reasoning")] = _prompt("verdict")
    """Second prompt of a verifier."""
    write_tests: Annotated[str, fills("problem", "count")] = _prompt("write_tests")
    """Prompt of a unit-test generator."""
    evaluate: Annotated[str, fills("problem", "candidate", "tests")] = _prompt("evaluate")
    """Prompt of a unit-test evaluator."""
    fuse: Annotated[str, fills("problem", "candidates")] = _prompt("fuse")
    """Prompt of a fuser."""


@dataclass(frozen=True)
class State:
    """What goes from layer to layer. Whoever changes candidates makes a new one, without critiques.

    Attributes
    ----------
    critiques
        One for each candidate, empty where none was found; or none at all.
    tests
        For the next layer alone.
    best_first
        Whether candidates are in an order of merit.
    """

    candidates: Sequence[Trajectory] = ()
    critiques: Sequence[str] = ()
    tests: Sequence[str] = ()
    best_first: bool = False

    def __post_init__(self) -> None:
        if self.critiques and len(self.critiques) != len(self.candidates):
            raise RuntimeError("critiques of other candidates")

    def pick(self, places: Sequence[int], *, best_first: bool) -> "State":
        """Return the candidates at these places, in this order, with their critiques."""
        critiques = [self.critiques[place] for place in places] if self.critiques else ()
        return State([self.candidates[place] for place in places], critiques, best_first=best_first)

    def texts(self) -> list[str]:
        """Return the candidates' texts, each with its critique, if it has one."""
        critiques = self.critiques or [""] * len(self.candidates)
        return [
            f"{one.text.strip()}\n(Critique: {critique})" if critique else one.text
            for one, critique in zip(self.candidates, critiques, strict=True)
        ]


async def archon(problem: Question, session: Session, options: ArchonOptions) -> list[Completion]:
    """Let candidates go through the layers, and hand in one.

    Where several are left at the end, it is the best of an order that the last layers made, else one at
    random, as in the released code. Where tokens end, the layers so far count. Critiques belong to their
    candidates: they are permuted and dropped with them, and gone when candidates are fused. A reply that
    cannot be read is counted, and changes nothing: no critique, the order as it was, no test, a test or a
    verification not passed. Charged: `calls` of the layers, with the critic's retries where it needs them.
    """
    state = State()
    with suppress(BudgetExhausted):
        for number, layer in enumerate(options.layers):
            work = Layer(problem, session, options, number)
            if layer[0].role in MAKERS:
                made = await together(work.make(one, place, state) for place, one in enumerate(layer))
                candidates = [one for part in made for one in part or ()]
                state = State(candidates) if candidates else state
            else:
                state = await work.change(layer[0], state)
    left = state.candidates or [session.start()]
    first = 0 if state.best_first or len(left) == 1 else int(session.rng.integers(len(left)))
    return session.complete([left[first]])


@dataclass(frozen=True)
class Layer:
    """The work of one layer's components."""

    problem: Question
    session: Session
    options: ArchonOptions
    number: int

    async def ask(
        self, one: Component, prompt: str, reads: Sequence[Trajectory], key: str = "", **said: str
    ) -> Trajectory:
        """Return a component's reply to a prompt of its own chat."""
        chat = [{"role": "user", "content": fill(prompt, problem=question(self.problem), **said)}]
        key = f"layer {self.number} {key}"
        return await self.session.write(chat, self.options.completion(), by=one.model, key=key, reads=reads)

    async def make(self, one: Component, place: int, state: State) -> list[Trajectory]:
        """Return candidates: of a generator from the problem, of a fuser from those before."""
        params = self.options.completion()
        if one.role == "generator":
            return await answers(self.session, params, one.samples, by=one.model, inner=one.inner)
        asked = fill(self.options.fuse, problem=question(self.problem), candidates=listed(state.texts()))
        chat = instead(self.problem, asked)
        begun = self.session.start(chat, key=f"layer {self.number} {place}", reads=state.candidates)
        return await self.session.extend([begun] * one.samples, params, by=one.model)

    async def change(self, one: Component, state: State) -> State:
        """Return what a critic, ranker, verifier or one of the two of unit tests makes of a state."""
        if one.role == "critic":
            return replace(state, critiques=await self._criticised(one, state))
        if one.role == "ranker":
            asked = {"candidates": listed(state.texts())}
            reply = await self.ask(one, self.options.rank, state.candidates, **asked)
            if not (order := ranking(reply.text, len(state.candidates))):
                self.session.unreadable(reply)
                return state
            return state.pick(order[: one.keep], best_first=True)
        if one.role == "unit_test_generator":
            return replace(state, tests=await self._tests(one))
        judge = self._verified if one.role == "verifier" else self._passes
        found = await together(judge(one, candidate, state.tests) for candidate in state.candidates)
        if None in found:
            raise BudgetExhausted("found tokens for a part of the candidates, expected verdicts on all")
        passes = [one or 0 for one in found]
        if one.role == "verifier":
            fit = [place for place, count in enumerate(passes) if count] or range(len(passes))
            return state.pick(fit[: one.keep], best_first=state.best_first)
        # Sorting is stable and by the count alone: of equals, the earlier stays before, whatever it says.
        order = sorted(range(len(passes)), key=lambda place: -passes[place])
        return state.pick(order, best_first=bool(state.tests) or state.best_first)

    async def _criticised(self, one: Component, state: State) -> list[str]:
        """Return critiques by the first reply that has all; empty where the last one has none."""
        parts: dict[int, str] = {}
        asked = {"candidates": listed([candidate.text for candidate in state.candidates])}
        for attempt in range(1 + self.options.retries):
            reply = await self.ask(one, self.options.criticise, state.candidates, f"{attempt}", **asked)
            parts = numbered_parts(reply.text, len(state.candidates))
            if len(parts) == len(state.candidates):
                break
            self.session.unreadable(reply)
        return [parts.get(number, "") for number in range(1, len(state.candidates) + 1)]

    async def _verified(self, one: Component, candidate: Trajectory, tests: Sequence[str]) -> int:
        """Return whether a verifier takes a candidate for correct: first its reasons, then its verdict."""
        key, text = f"{candidate.node}", candidate.text
        reasons = await self.ask(one, self.options.reason, [candidate], key, candidate=text)
        said = {"candidate": text, "reasoning": reasons.text}
        reply = await self.ask(one, self.options.verdict, [candidate, reasons], key, **said)
        if (correct := is_correct(reply.text)) is None:
            self.session.unreadable(reply)
        return int(bool(correct))

    async def _tests(self, one: Component) -> list[str]:
        """Return statements that hold of a right answer."""
        reply = await self.ask(one, self.options.write_tests, (), count=str(one.tests))
        if not (found := items(reply.text)[: one.tests]):
            self.session.unreadable(reply)
        return found

    async def _passes(self, one: Component, candidate: Trajectory, tests: Sequence[str]) -> int:
        """Return how many tests a candidate passes, by the evaluator's word."""
        if not tests:
            return 0
        said = {"candidate": candidate.text, "tests": listed(tests)}
        reply = await self.ask(one, self.options.evaluate, [candidate], f"{candidate.node}", **said)
        if (count := passed(reply.text, len(tests))) is None:
            self.session.unreadable(reply)
        return count or 0


def check(options: ArchonOptions) -> Iterator[str]:
    """Yield what is wrong with the layers."""
    yield from broken_rules(options.layers, options.readable)


entry = StrategyEntry(
    name="archon",
    family="structured",
    factory=archon,
    options=ArchonOptions,
    check=check,
    draws="exchangeable",
    per="completion",
    worth=lambda options: max(1, calls(options.layers, options.retries)) * options.max_tokens,
    summary="Layers of models that generate, criticise, rank, verify, test and fuse.",
    reference="Saad-Falcon et al. 2024, Archon: An Architecture Search Framework, section 3",
)
