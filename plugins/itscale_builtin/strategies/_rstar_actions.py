"""The five actions of rStar: what follows a partial solution, and how sure the model is of an answer."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import Field

from itscale.plugins.prompts import fill, fills, shipped
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Question, Trajectory
from itscale_builtin.strategies._chats import question
from itscale_builtin.strategies._panel import instead, together

__all__ = ["ActionOptions", "Node", "expand", "most_tokens", "root"]

Action = Literal["root", "thought", "finish", "sub_question", "again", "rephrase"]

ACTIONS: dict[Action, tuple[Action, ...]] = {
    "root": ("thought", "finish", "sub_question", "rephrase"),
    "rephrase": ("thought", "finish", "sub_question"),
    "thought": ("thought", "finish", "sub_question"),
    "sub_question": ("thought", "finish", "sub_question", "again"),
    "again": ("thought", "finish", "sub_question"),
    "finish": (),
}
"""What may follow what: a sub-question is answered again only right after it, the problem rephrased first."""

LONGEST = 4_000
"""Characters of a step: what is longer is cut."""


def _prompt(name: str) -> str:
    return shipped(__package__, "rstar", name)


class ActionOptions(SamplingOptions):
    """Options of the actions."""

    temperature: float = Field(default=0.8, ge=0, le=100)
    """Softmax temperature; 0 is greedy."""
    top_k: int = Field(default=40, ge=0, le=10_000_000)
    """Sample among the k most probable tokens; 0 keeps all."""
    top_p: float = Field(default=0.95, gt=0, le=1)
    """Nucleus mass; 1 keeps the whole distribution."""
    depth: int = Field(default=5, ge=1, le=100)
    """Most actions of a solution, the one that finishes it included."""
    votes: int = Field(default=10, ge=1, le=1_000)
    """Answers that are drawn where one is given: that of the most common one is taken."""
    step_tokens: int = Field(default=256, ge=1, le=100_000_000)
    """Most tokens of whatever does not finish a solution."""
    thought: Annotated[str, fills("problem", "steps")] = _prompt("thought")
    """Prompt of action 1: one more step."""
    finish: Annotated[str, fills("problem", "steps")] = _prompt("finish")
    """Prompt of action 2: all steps that are left."""
    sub_question: Annotated[str, fills("problem", "steps")] = _prompt("sub_question")
    """Prompt of action 3: the next sub-question."""
    sub_answer: Annotated[str, fills("problem", "steps", "question")] = _prompt("sub_answer")
    """Prompt of its answer."""
    again: Annotated[str, fills("problem", "steps", "question")] = _prompt("again")
    """Prompt of action 4: the answer to the last sub-question once more."""
    rephrase: Annotated[str, fills("problem")] = _prompt("rephrase")
    """Prompt of action 5: the problem in other words."""


@dataclass(eq=False)
class Node:
    """A partial solution: its last action, with what came of the roll-outs through it.

    Attributes
    ----------
    problem
        The problem as it is asked from here on.
    steps
        What was written since, one text for each action.
    asked
        The last sub-question, if it was that.
    made
        What its text was read from; of a finished solution, the answer that is handed in.
    confidence
        Of a finished solution, the share of votes for its answer.
    """

    action: Action
    problem: str
    steps: tuple[str, ...] = ()
    asked: str = ""
    made: Trajectory | None = None
    confidence: float = 0.0
    parent: Node | None = None
    children: list[Node] = field(default_factory=list)
    visits: int = 0
    value: float = 0.0
    name: str = "0"

    @property
    def text(self) -> str:
        """The steps so far."""
        return "\n".join(self.steps) or "(nothing yet)"

    @property
    def depth(self) -> int:
        """Number of actions from the root."""
        return self.name.count(".")


async def expand(node: Node, problem: Question, session: Session, options: ActionOptions) -> None:
    """Give a node all its children: one for each action that may follow, if the model can take it.

    At the last depth a solution can but be finished.
    """
    last = node.depth + 1 >= options.depth
    actions = [action for action in ACTIONS[node.action] if action == "finish" or not last]
    work = _Actions(node, problem, session, options)
    made = await together(work.take(action, f"{node.name}.{place}") for place, action in enumerate(actions))
    node.children = [child for child in made if child is not None]


class _Actions:
    """The calls of one node's actions."""

    def __init__(self, node: Node, problem: Question, session: Session, options: ActionOptions) -> None:
        self.node, self.problem, self.session, self.options = node, problem, session, options

    async def take(self, action: Action, name: str) -> Node | None:
        """Return the child of an action; None if what the model wrote is no such step."""
        node = self.node
        child = Node(action, node.problem, node.steps, parent=node, name=name)
        if action == "finish":
            found, child.confidence = self._voted(await self._ask("finish", name, self.options.votes))
            return self._with(child, found, None)
        if action in ("thought", "rephrase"):
            (reply,) = await self._ask(action, name)
            text = reply.text.strip()[:LONGEST]
            if action == "rephrase":
                child.problem = f"{node.problem}\n\nIn other words:\n{text}"
            return self._with(child, reply, text, shown=action == "thought")
        return await self._answered(child, action, name)

    async def _answered(self, child: Node, action: Action, name: str) -> Node | None:
        """Return a child with a sub-question, or the last one, and its answer."""
        options, steps = self.options, self.node.steps
        child.asked = self.node.asked
        if action == "sub_question":
            (reply,) = await self._ask("sub_question", name)
            child.asked = asked_in(reply.text)
            if not child.asked:
                return self._with(child, reply, "")
        prompt = "sub_answer" if action == "sub_question" else "again"
        replies = await self._ask(prompt, name, options.votes, asked=child.asked)
        found, _ = self._voted(replies)
        text = found.text.strip()[:LONGEST]
        child.steps = steps if action == "sub_question" else steps[:-1]  # in place of the last answer
        return self._with(child, found, f"{child.asked} {text}" if text else "")

    def _with(self, child: Node, made: Trajectory, text: str | None, *, shown: bool = True) -> Node | None:
        """Return a child with what it was read from, and its text as a step; count it where that is empty."""
        if text == "":
            self.session.unreadable(made)
            return None
        child.made = made
        child.steps += (text,) if text and shown else ()
        return child

    def _voted(self, replies: Sequence[Trajectory]) -> tuple[Trajectory, float]:
        """Return the first reply of the most common answer, and its share of all replies."""
        answers = [self.session.answer(one) for one in replies]
        votes = Counter(answer for answer in answers if answer is not None)
        if not votes:
            return replies[0], 0.0
        answer, count = votes.most_common(1)[0]
        return replies[answers.index(answer)], count / len(replies)

    async def _ask(self, prompt: str, name: str, times: int = 1, asked: str = "") -> list[Trajectory]:
        """Return replies in a chat of their own, in one request."""
        node, options = self.node, self.options
        said = {"problem": node.problem, "steps": node.text, "question": asked}
        chat = instead(self.problem, fill(getattr(options, prompt), **said))
        reads = [node.made] if node.made else []
        start = self.session.start(chat, key=f"{name} {prompt}", reads=reads)
        params = options.completion()
        if prompt != "finish":
            params = replace(params, max_tokens=min(options.step_tokens, options.max_tokens))
        return await self.session.extend([start] * times, params)


def asked_in(text: str) -> str:
    """Return the first question in a text; empty if there is none."""
    end = re.search(r"[?\uff1f]", text)
    if not end:
        return ""
    begun = re.split(r"[.!\n]", text[: end.start()])[-1]
    return (begun + end[0]).strip(" \t*_`>-")


def root(problem: Question) -> Node:
    """Return the beginning of a search."""
    return Node("root", question(problem))


def most_tokens(options: ActionOptions) -> int:
    """Return how many tokens the actions of one roll-out may take, to the last depth."""
    step = min(options.step_tokens, options.max_tokens)
    return options.depth * (options.votes * options.max_tokens + (3 + 2 * options.votes) * step)
