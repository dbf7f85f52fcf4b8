"""Repeated sampling: independent completions, selected afterwards (Brown et al. 2024, section 2).

Bag of Tricks (Liu et al. 2025) sweeps temperature, nucleus mass and prompts: a study's `grid` makes a
strategy of each point, and its table of tricks says which pays.
"""

from typing import Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, field_validator, model_serializer

from itscale.plugins import StrategyEntry
from itscale.plugins.entries import Options
from itscale.plugins.prompts import shipped
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Message, Question


class Example(Options):
    """A worked example: two turns before the problem."""

    question: str
    """What the user asks."""
    answer: str
    """What the model is to have answered."""


class Prompt(Options):
    """What is said around a problem."""

    system: str = ""
    """A system message; added to that of the problem, if it has one."""
    examples: tuple[Example, ...] = ()
    """Worked examples, as turns before the problem."""
    instruction: str = ""
    """What is added to the problem, below its last turn."""


def _text(name: str) -> str:
    return shipped(__package__, "repeated_sampling", name)


SHIPPED = {
    "plain": Prompt(),
    "chain_of_thought": Prompt(instruction=_text("chain_of_thought")),
    "instructions": Prompt(system=_text("instructions")),
    "few_shot": Prompt(
        examples=tuple(Example(question=_text(f"question_{n}"), answer=_text(f"answer_{n}")) for n in (1, 2))
    ),
}
"""Prompts by name."""


class RepeatedSamplingOptions(SamplingOptions):
    """Options of repeated sampling."""

    prompt: Literal["plain", "chain_of_thought", "instructions", "few_shot"] | Prompt = Field(
        default="plain", validate_default=True
    )
    """What is said around a problem: nothing, an instruction to think step by step, a system message, worked
    examples of arithmetic, or words of one's own."""

    @field_validator("prompt")
    @classmethod
    def _by_name(cls, prompt: str | Prompt) -> Prompt:
        """Return the prompt of a name: completions depend on its words, and so does the fingerprint."""
        return SHIPPED[prompt] if isinstance(prompt, str) else prompt

    @model_serializer(mode="wrap")
    def _plain_is_left_out(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave the option out where nothing is said: it is younger than what was sampled without it."""
        values: dict[str, Any] = handler(self)
        if self.prompt == SHIPPED["plain"]:
            values.pop("prompt", None)
        return values


async def repeated_sampling(
    problem: Question, session: Session, options: RepeatedSamplingOptions
) -> list[Completion]:
    """Draw every completion independently from the model."""
    chat = prompted(problem, options)
    trajectories = [session.start(chat) for _ in range(session.budget)]
    return session.complete(await session.extend(trajectories, options.completion()))


def prompted(problem: Question, options: RepeatedSamplingOptions) -> list[Message] | None:
    """Return the problem's chat with what is said around it; None if that is nothing."""
    prompt = options.prompt
    if isinstance(prompt, str) or prompt == SHIPPED["plain"]:
        return None
    said = list(problem.messages)
    system = [str(said.pop(0)["content"])] if said and said[0]["role"] == "system" else []
    system += [prompt.system] if prompt.system else []
    turns = [(("user", one.question), ("assistant", one.answer)) for one in prompt.examples]
    head = [("system", "\n\n".join(system))] if system else []
    chat: list[Message] = [
        {"role": role, "content": text} for role, text in (*head, *(turn for pair in turns for turn in pair))
    ]
    chat += said
    if prompt.instruction and chat:
        last = chat[-1]
        chat[-1] = {**last, "content": f"{last['content']}\n\n{prompt.instruction}"}
    return chat


entry = StrategyEntry(
    name="repeated_sampling",
    aliases=("independent_sampling", "parallel_sampling", "iid"),
    factory=repeated_sampling,
    family="parallel",
    options=RepeatedSamplingOptions,
    draws="exchangeable",
    summary="Independent completions; one pool serves every budget and selector.",
    reference="Brown et al. 2024, Large Language Monkeys, section 2",
)
