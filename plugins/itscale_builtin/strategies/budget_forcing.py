"""Budget forcing: thinking that is cut off, or made to go on (Muennighoff et al. 2025, s1, section 3.1)."""

from contextlib import suppress

from pydantic import Field

from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.sampling.session import Session
from itscale.types import Completion, Question
from itscale_builtin.strategies._thinking import ThinkingOptions, answered, begin, check, think


class BudgetForcingOptions(ThinkingOptions):
    """Options of budget forcing."""

    temperature: float = Field(default=0.0, ge=0, le=100)
    """Softmax temperature; 0 is greedy, as in the paper."""
    thinking_tokens: int = Field(default=32_000, ge=1, le=100_000_000)
    """Most tokens of thinking, those of suppressed ends included; at the limit the end is forced."""
    waits: int = Field(default=0, ge=0, le=1_000)
    """How often the end of thinking is suppressed, while thinking tokens are left."""
    wait: str = Field(default="Wait", min_length=1)
    """What is appended in its place."""


async def budget_forcing(
    problem: Question, session: Session, options: BudgetForcingOptions
) -> list[Completion]:
    """Think, go on at the end of thinking so often, end at the limit; then answer.

    The least: an end of thinking (its marker, or the end of the text) is taken back and the text `wait`
    appended, `waits` times, as long as thinking tokens are left. The most: where they run out, marker and
    `lead_in` are appended. Charged is all that was generated, suppressed markers too; each time the model
    goes on, it reads what it has again, as prompt (a prefix cache has it).

    The model answers at once where the paper's decoding goes on in one request, and a marker is a text, not
    a token id: what is fed back is what the model wrote, so no id is out of its vocabulary.
    """
    thinking, left = begin(problem, session, options), options.thinking_tokens
    with suppress(BudgetExhausted):
        for suppressed in range(options.waits + 1):
            before = thinking.tokens
            thinking = await think(session, thinking, options, left)
            left -= thinking.tokens - before
            goes_on = thinking.finish_reason in (None, "eos")
            if suppressed == options.waits or left < 1 or not goes_on:
                break
            thinking = session.append(await session.cut(thinking, options.end_of_think), options.wait)
        thinking = await answered(session, thinking, options)
    return session.complete([thinking])


entry = StrategyEntry(
    name="budget_forcing",
    aliases=("s1", "s1_budget_forcing"),
    family="sequential",
    factory=budget_forcing,
    options=BudgetForcingOptions,
    draws="exchangeable",
    per="completion",
    worth=lambda options: min(options.max_tokens, options.thinking_tokens + options.answer_tokens),
    needs=frozenset({"generate", "continue"}),
    check=check,
    summary="Thinking that is ended at a limit, or made to go on where it would end.",
    reference="Muennighoff et al. 2025, s1: Simple Test-Time Scaling, section 3.1",
)
