"""Debate: agents that answer, read each other and answer again (Du et al. 2023, section 2)."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from itscale.plugins import StrategyEntry
from itscale.plugins.prompts import fill, fills, shipped
from itscale.plugins.references import ModelLabel
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory
from itscale_builtin.strategies._chats import go_on, question
from itscale_builtin.strategies._drawing import DrawingOptions
from itscale_builtin.strategies._panel import answers, commonest, listed, together


class DebateOptions(DrawingOptions):
    """Options of a debate; with `inner`, that strategy makes the first answer of each agent."""

    agents: int = Field(default=3, ge=2, le=100)
    """Agents that debate."""
    rounds: int = Field(default=2, ge=1, le=100)
    """Answers of each agent; in the first round they do not know each other's."""
    others: list[ModelLabel] = Field(default=[], max_length=100)
    """Labels of models that speak beside the one that is sampled: agents are these models by turns."""
    reconsider: Annotated[str, fills("answers")] = shipped(__package__, "debate", "reconsider")
    """What an agent is asked from the second round on; `{answers}` are the latest of all other agents,
    `{problem}` is what the problem asks."""


async def debate(problem: Question, session: Session, options: DebateOptions) -> list[Completion]:
    """Let agents answer apart; then each reads the others' latest answers and answers again, all at once.

    An agent's chat holds all that it said and read before. Handed in is the majority: of the last answers,
    the first agent's of the answer that most agents give, ties at random; answers that cannot be found have
    no vote. A debate is thus one completion, so that pools of debates serve votes, and it may be another
    strategy's inner one; the tree has what all agents said. Charged: agents * rounds generations, and what
    they read.
    """
    speakers = list(dict.fromkeys([None, *options.others]))
    by = [speakers[number % len(speakers)] for number in range(options.agents)]
    firsts = await together(_first(session, options, by.count(speaker), speaker) for speaker in speakers)
    drawn = {speaker: iter(made or []) for speaker, made in zip(speakers, firsts, strict=True)}
    said = [next(drawn[who], session.start()) for who in by]
    chats, asked = [go_on(problem)] * options.agents, question(problem)
    for _ in range(1, options.rounds):
        for agent, mine in enumerate(said):
            others = [one.text for other, one in enumerate(said) if other != agent]
            chats[agent] = go_on(
                chats[agent], mine.text, fill(options.reconsider, problem=asked, answers=listed(others))
            )
        turns = (
            session.write(
                chat,
                options.completion(),
                by=who,
                key=f"agent {agent}",
                reads=[said[agent], *said[:agent], *said[agent + 1 :]],  # its own first: trees hang it there
            )
            for agent, (chat, who) in enumerate(zip(chats, by, strict=True))
        )
        made = await together(turns)
        said = [new or old for new, old in zip(made, said, strict=True)]
        if None in made:  # there are no tokens left
            break
    return session.complete([majority(session, said)])


async def _first(
    session: Session, options: DebateOptions, count: int, by: ModelLabel | None
) -> list[Trajectory]:
    """Return the first answers of the agents that are one model."""
    if not count:
        return []
    return await answers(session, options.completion(), count, by=by, inner=options.inner)


def majority(session: Session, said: Sequence[Trajectory]) -> Trajectory:
    """Return the first trajectory of the commonest answer, ties at random; said[0] if none has an answer."""
    found = [session.answer(one) for one in said]
    votes = Counter(answer for answer in found if answer is not None)
    return said[found.index(commonest(votes, session.rng))] if votes else said[0]


entry = StrategyEntry(
    name="debate",
    aliases=("multiagent_debate", "multi_agent_debate"),
    family="structured",
    factory=debate,
    options=DebateOptions,
    draws="exchangeable",
    per="completion",
    worth=lambda options: options.agents * options.rounds * options.max_tokens,
    summary="Agents, of one model or several, that read each other and answer again; their majority.",
    reference="Du et al. 2023, Improving Factuality and Reasoning through Multiagent Debate, section 2",
)
