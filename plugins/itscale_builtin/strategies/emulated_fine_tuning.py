"""Emulated fine-tuning: a large model with the tuning of a small one (Mitchell et al. 2023; proxy-tuning)."""

from typing import Annotated

import numpy as np
from pydantic import Field

from itscale.plugins import StrategyEntry
from itscale.plugins.references import ModelLabel
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.reading import aligned
from itscale.sampling.session import Session
from itscale.types import Capability, Completion, NextLogprobs, Question, Trajectory
from itscale_builtin.strategies._next_token import FloatArray, IntArray, nucleus, probabilities
from itscale_builtin.strategies._panel import together


class EmulatedFineTuningOptions(SamplingOptions):
    """Options of emulated fine-tuning; the large model is the one that is sampled."""

    tuned: ModelLabel
    """Label of the small model, tuned."""
    untuned: ModelLabel
    """Label of the small model before it was tuned."""
    alpha: float = Field(default=1.0, ge=-100, le=100)
    """Scale of the tuning: 1 is emulated fine-tuning, 0 the large model as it is."""
    support: float = Field(default=1.0, gt=0, le=1)
    """Nucleus mass of the large model, at temperature 1, beyond which no token is taken; 1 keeps all."""
    top: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Next tokens that each model is asked for; all of them if left out, which takes longer."""


async def emulated_fine_tuning(
    problem: Question, session: Session, options: EmulatedFineTuningOptions
) -> list[Completion]:
    """Draw each token from the large model times the ratio of the small ones.

    Its logits are log p_large + alpha * (log p_tuned - log p_untuned).

    Temperature, min-p, top-k and top-p apply to this distribution, in that order, as they would to a model's
    own; `support` keeps the noise of improbable tokens out before that. With `top`, tokens that all three
    name are drawn from, and where they name none in common, the large model's own. A token that ends the text
    of the large or of the tuned model ends it. The models must share a tokenizer. Charged: three next tokens
    for each token, and the prompt three times for each (mostly from prefix caches).

    Token by token is not the product of the models' distributions over whole texts: that would take
    importance weights of whole texts.
    """
    writing, models = session.start(), (None, options.tuned, options.untuned)
    # The session's own limit may be larger, where another strategy draws from this one.
    while not writing.finished and writing.tokens < options.max_tokens:
        asked = await together(session.next_logprobs(writing, top=options.top, by=by) for by in models)
        found = [one for one in asked if one is not None]
        if len(found) < len(models):  # there are no tokens left
            break
        tokens, chances = combined(found, options)
        writing = await _take(session, found, int(session.rng.choice(tokens, p=chances)))
    return session.complete([writing])


def combined(found: list[NextLogprobs], options: EmulatedFineTuningOptions) -> tuple[IntArray, FloatArray]:
    """Return next tokens and the probability with which each is drawn.

    A token that one of the models rules out altogether is left out; where none is left, the large model
    chooses alone.
    """
    first, (tokens, rows) = found[0], aligned(*found)
    within = first.token_ids[nucleus(first.logprobs, options.support)]
    kept = np.isin(tokens, within)
    if not kept.any():
        tokens, rows = first.token_ids, first.logprobs[None].repeat(3, axis=0)
        kept = np.isin(tokens, within)
    tokens, rows = tokens[kept], rows[:, kept]
    possible = np.isfinite(rows).all(axis=0)
    if not possible.any():
        return tokens, probabilities(rows[0], options)
    large, tuned, untuned = rows[:, possible]
    return tokens[possible], probabilities(large + options.alpha * (tuned - untuned), options)


async def _take(session: Session, found: list[NextLogprobs], token: int) -> Trajectory:
    """Return the text with a token, from the model that says that it ends the text, if one does."""
    large, tuned, _ = found
    ends = token in tuned.ends - large.ends and tuned.place(token) is not None
    return await session.take(tuned if ends else large, token)


offered = frozenset[Capability]({"next_logprobs"})
entry = StrategyEntry(
    name="emulated_fine_tuning",
    aliases=("proxy_tuning", "logit_arithmetic"),
    family="structured",
    factory=emulated_fine_tuning,
    options=EmulatedFineTuningOptions,
    draws="exchangeable",
    per="completion",
    needs=offered,
    asks=offered,
    worth=lambda options: 3 * options.max_tokens,
    summary="A large model with the tuning of a small one, token by token.",
    reference="Mitchell et al. 2023, An Emulator for Fine-Tuning Large Language Models, section 3",
)
