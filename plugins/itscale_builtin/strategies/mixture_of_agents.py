"""Mixture of agents: layers of proposers that read the layer before, and an aggregator (Wang et al. 2024)."""

from contextlib import suppress
from typing import Annotated

from pydantic import Field

from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.prompts import fill, fills, shipped
from itscale.plugins.references import ModelLabel, StrategyLabel
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Message, Question, Trajectory
from itscale_builtin.strategies._chats import question
from itscale_builtin.strategies._panel import answers, instead, listed, together


class MixtureOfAgentsOptions(SamplingOptions):
    """Options of a mixture of agents; the defaults are the paper's with a single proposer."""

    temperature: float = Field(default=0.7, ge=0, le=100)
    """Softmax temperature; 0 is greedy."""
    layers: int = Field(default=3, ge=2, le=20)
    """Layers; the last one is the aggregator alone."""
    others: list[ModelLabel] = Field(default=[], max_length=100)
    """Labels of models that propose beside the one that is sampled."""
    samples: int = Field(default=6, ge=1, le=100)
    """Answers of each proposer in each layer; 1 where there are six `others`, as in the paper."""
    inner: list[StrategyLabel] = Field(default=[], max_length=100)
    """Labels of strategies that propose in the first layer, too, each as often as a model."""
    aggregator: ModelLabel | None = None
    """Label of the model that makes one answer of the last proposals; the one that is sampled if left out."""
    aggregate: Annotated[str, fills("problem", "answers")] = shipped(
        __package__, "mixture_of_agents", "aggregate"
    )
    """What proposers are asked from the second layer on, and the aggregator."""


async def mixture_of_agents(
    problem: Question, session: Session, options: MixtureOfAgentsOptions
) -> list[Completion]:
    """Draw proposals; let all proposers make answers of these, layer by layer; let one model make the last.

    From the second layer on, all read the problem and all answers of the layer before, not those of layers
    before that. Handed in is the aggregator's answer; where tokens end before it, the first answer of the
    last layer that has any. Charged: (layers - 1) * proposers * samples + 1 generations, and what they read.
    """
    proposals = await _first(session, options)
    with suppress(BudgetExhausted):
        for _ in range(options.layers - 2):
            proposals = await _next(problem, session, options, proposals) or proposals
        chat = _asked(problem, options, proposals)
        final = await session.write(
            chat, options.completion(), by=options.aggregator, key="aggregator", reads=proposals
        )
        return session.complete([final])
    return session.complete(proposals[:1])


async def _first(session: Session, options: MixtureOfAgentsOptions) -> list[Trajectory]:
    """Return the answers of the first layer; an empty trajectory if there were tokens for none."""
    params = options.completion()
    models = [answers(session, params, options.samples, by=by) for by in (None, *options.others)]
    drawn = [answers(session, params, options.samples, inner=label) for label in options.inner]
    made = await together([*models, *drawn])
    return [one for layer in made for one in layer or ()] or [session.start()]


async def _next(
    problem: Question, session: Session, options: MixtureOfAgentsOptions, before: list[Trajectory]
) -> list[Trajectory]:
    """Return the answers of all proposers that read those before."""
    chat = session.start(_asked(problem, options, before), reads=before)
    made = await together(
        session.extend([chat] * options.samples, options.completion(), by=by)
        for by in (None, *options.others)
    )
    return [one for layer in made for one in layer or ()]


def _asked(problem: Question, options: MixtureOfAgentsOptions, before: list[Trajectory]) -> list[Message]:
    """Return the problem's chat with answers to be made one of."""
    texts = listed([one.text for one in before])
    return instead(problem, fill(options.aggregate, problem=question(problem), answers=texts))


def worth(options: MixtureOfAgentsOptions) -> int:
    """Return how many tokens a completion may take."""
    proposers = 1 + len(options.others)
    proposals = ((options.layers - 1) * proposers + len(options.inner)) * options.samples
    return (proposals + 1) * options.max_tokens


entry = StrategyEntry(
    name="mixture_of_agents",
    aliases=("moa",),
    family="structured",
    factory=mixture_of_agents,
    options=MixtureOfAgentsOptions,
    draws="exchangeable",
    per="completion",
    worth=worth,
    summary="Layers of models that read the answers of the layer before; one model makes the last answer.",
    reference="Wang et al. 2024, Mixture-of-Agents Enhances Large Language Model Capabilities, section 2",
)
