"""Atom of Thoughts: decompose, contract what is known, solve what is left (Teng et al. 2025, section 3)."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from typing import Annotated

from pydantic import Field

from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.prompts import fill, fills, shipped
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory
from itscale_builtin.strategies._chats import question
from itscale_builtin.strategies._drawing import DrawingOptions, draw
from itscale_builtin.strategies._panel import instead, listed
from itscale_builtin.strategies._sub_questions import SubQuestion, depth, new_question, sub_questions


def _prompt(name: str) -> str:
    return shipped(__package__, "atom_of_thoughts", name)


class AtomOfThoughtsOptions(DrawingOptions):
    """Options of Atom of Thoughts; with `inner`, that strategy makes the direct answer."""

    depth: int = Field(default=3, ge=1, le=20)
    """Most transitions; that of the first graph of sub-questions, if it is less."""
    iterate: bool = True
    """Whether a contracted question is decomposed again, as in the paper; the released code never does."""
    retries: int = Field(default=5, ge=0, le=100)
    """How often a model is asked again that wrote no acyclic graph, or no question."""
    decompose: Annotated[str, fills("problem")] = _prompt("decompose")
    """Prompt of the answer by sub-questions."""
    label: Annotated[str, fills("problem", "solution")] = _prompt("label")
    """Prompt of its graph: sub-questions, and which needs which."""
    contract: Annotated[str, fills("problem", "known", "open")] = _prompt("contract")
    """Prompt of the question that is left when what is known is given."""
    ensemble: Annotated[str, fills("problem", "answers")] = _prompt("ensemble")
    """Prompt of the answer made of all."""


async def atom_of_thoughts(
    problem: Question, session: Session, options: AtomOfThoughtsOptions
) -> list[Completion]:
    """Answer directly, by sub-questions and by a simpler question; hand in what the ensemble agrees with.

    A transition: answer by sub-questions, and say which depends on which; take the answers of independent
    ones as given, and contract the others into one question that stands alone; answer that; make an answer of
    the two or three. While the contracted question's answer agrees with it, that question takes the problem's
    place, for min(`depth`, depth of the first graph) transitions. Handed in is the direct answer if it agrees
    with the last ensemble, else that by sub-questions, else that of the contracted question, else the
    ensemble's own, which the released code never returns.

    A graph with a cycle, or that names what is not there, is counted as unreadable and asked for again;
    without one, or where nothing depends on anything, nothing is contracted. That a contracted question is
    equivalent is unchecked, so the ensemble always reads the problem itself. Charged: 6 generations, 5 for
    each further transition, and retries.
    """
    chosen, asked, most = session.start(), question(problem), options.depth if options.iterate else 1
    with suppress(BudgetExhausted):
        (direct,) = await draw(session, options, 1)
        chosen, step = direct, 0
        while step < most:
            work = _Transition(problem, session, options, step)
            by_parts = await work.answer(options.decompose, "decompose", problem=asked)
            graph = await work.graph(asked, by_parts)
            most = min(most, depth(graph)) if step == 0 else most
            simpler = await work.contracted(asked, graph, by_parts)
            solved = [await work.answer("{problem}", "solve", problem=simpler)] if simpler else []
            found = [direct, by_parts, *solved]
            texts = listed([one.text for one in found])
            said = {"problem": question(problem), "answers": texts}
            together = await work.answer(options.ensemble, "ensemble", reads=found, **said)
            chosen = agreed(session, found, together)
            if not (solved and agreed(session, solved, together) is solved[0]):
                break
            asked, direct, step = simpler, solved[0], step + 1
    return session.complete([chosen])


class _Transition:
    """The calls of one transition, told apart from those of others."""

    def __init__(
        self, problem: Question, session: Session, options: AtomOfThoughtsOptions, step: int
    ) -> None:
        self.problem, self.session, self.options, self.step = problem, session, options, step

    async def answer(
        self, prompt: str, key: str, reads: Sequence[Trajectory] = (), **said: str
    ) -> Trajectory:
        """Return an answer to a prompt in place of the problem's last turn."""
        chat, key = instead(self.problem, fill(prompt, **said)), f"{key} {self.step}"
        return await self.session.write(chat, self.options.completion(), key=key, reads=reads)

    async def graph(self, asked: str, solution: Trajectory) -> dict[int, SubQuestion] | None:
        """Return the sub-questions of a solution; None if the model writes no graph of them."""
        said = {"problem": asked, "solution": solution.text}
        async for reply in self._replies(self.options.label, "label", solution, said):
            if graph := sub_questions(reply.text):
                return graph
            self.session.unreadable(reply)
        return None

    async def contracted(
        self, asked: str, graph: Mapping[int, SubQuestion] | None, solution: Trajectory
    ) -> str:
        """Return the question that is left when independent ones are given; empty if there is none."""
        if not depth(graph):
            return ""
        known, left = (
            "\n".join(f"- {one.text}" for one in (graph or {}).values() if bool(one.needs) == dependent)
            for dependent in (False, True)
        )
        said = {"problem": asked, "known": known, "open": left}
        async for reply in self._replies(self.options.contract, "contract", solution, said):
            if simpler := new_question(reply.text):
                return simpler
            self.session.unreadable(reply)
        return ""

    async def _replies(
        self, prompt: str, key: str, solution: Trajectory, said: Mapping[str, str]
    ) -> AsyncIterator[Trajectory]:
        """Yield replies to a chat of its own, as often as it may be tried."""
        chat = [{"role": "user", "content": fill(prompt, **said)}]
        for attempt in range(1 + self.options.retries):
            name = f"{key} {self.step} {attempt}"
            yield await self.session.write(chat, self.options.completion(), key=name, reads=[solution])


def agreed(session: Session, found: Sequence[Trajectory], together: Trajectory) -> Trajectory:
    """Return the first trajectory with the ensemble's answer, the ensemble where none has it.

    An ensemble without an answer is counted as unreadable: then the first trajectory stands.
    """
    if (answer := session.answer(together)) is None:
        session.unreadable(together)
        return found[0]
    return next((one for one in found if session.answer(one) == answer), together)


def worth(options: AtomOfThoughtsOptions) -> int:
    """Return how many tokens a completion may take."""
    transitions = options.depth if options.iterate else 1
    return (1 + transitions * (5 + 2 * options.retries)) * options.max_tokens


entry = StrategyEntry(
    name="atom_of_thoughts",
    aliases=("aot",),
    family="structured",
    factory=atom_of_thoughts,
    options=AtomOfThoughtsOptions,
    draws="exchangeable",
    per="completion",
    worth=worth,
    summary="A problem is decomposed and contracted to a simpler one; an ensemble chooses among the answers.",
    reference="Teng et al. 2025, Atom of Thoughts for Markov LLM Test-Time Scaling, section 3",
)
