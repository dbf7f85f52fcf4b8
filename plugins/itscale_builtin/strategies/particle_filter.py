"""Particle filtering over reasoning steps (Puri et al. 2025)."""

from contextlib import suppress
from typing import Literal

import numpy as np
import scipy
from pydantic import Field

from itscale.errors import BudgetExhausted
from itscale.outcomes import FloatArray, IntArray
from itscale.plugins import StrategyEntry
from itscale.plugins.strategies import StepwiseOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question

CLIP = 1e-7
"""Rewards are kept this far from 0 and 1, so that their logits are finite."""


class ParticleFilterOptions(StepwiseOptions):
    """Options of the particle filter; the number of particles is the budget of the run."""

    weight_temperature: float = Field(default=1.0, gt=0)
    """Temperature of the softmax over reward logits."""
    resampling: Literal["multinomial", "systematic"] = "multinomial"
    """How the next generation of particles is drawn."""


async def particle_filter(
    problem: Question, session: Session, options: ParticleFilterOptions
) -> list[Completion]:
    """Sample solutions from the posterior that every step is right (Puri et al. 2025, section 3).

    Each round extends the unfinished particles by one step, weighs every particle by the odds of the score
    of the text it has so far, and resamples all of them. Finished particles keep their weight and compete.
    Weights are uniform again after resampling: the target multiplies the odds of the partial scores.
    """
    particles = [session.start() for _ in range(session.budget)]
    weights = np.full(len(particles), 1 / len(particles))
    survivors = np.arange(len(particles))
    with suppress(BudgetExhausted):
        for _ in range(options.max_steps):
            particles = await session.extend([particles[j] for j in survivors], options.step())
            weights = weigh(await session.score(particles), options.weight_temperature)
            if all(particle.finished for particle in particles):
                break
            survivors = RESAMPLING[options.resampling](weights, session.rng)
    return session.complete(particles, weights)


def weigh(scores: FloatArray, temperature: float) -> FloatArray:
    """Return normalised weights softmax(logit(score) / temperature); at temperature 1, normalised odds."""
    logits = scipy.special.logit(np.clip(scores, CLIP, 1 - CLIP))
    return np.asarray(scipy.special.softmax(logits / temperature), dtype=np.float64)


def multinomial(weights: FloatArray, rng: np.random.Generator) -> IntArray:
    """Draw as many indices as there are weights, with replacement."""
    return rng.choice(len(weights), size=len(weights), p=weights)


def systematic(weights: FloatArray, rng: np.random.Generator) -> IntArray:
    """Draw one index at each of n evenly spaced quantiles with one common random offset.

    Index i comes floor(n w_i) or ceil(n w_i) times.
    """
    count = len(weights)
    edges = np.cumsum(weights)
    edges[-1] = 1.0  # rounding must not leave the last quantile beyond the last edge
    return np.searchsorted(edges, (rng.random() + np.arange(count)) / count, side="right").astype(np.int64)


RESAMPLING = {"multinomial": multinomial, "systematic": systematic}

entry = StrategyEntry(
    name="particle_filter",
    aliases=("particle_filtering", "smc", "sequential_monte_carlo"),
    factory=particle_filter,
    family="probabilistic",
    options=ParticleFilterOptions,
    draws="runs",
    needs=frozenset({"generate", "continue"}),
    summary="Particles extended step by step and resampled by the odds of their scores.",
    reference="Puri et al. 2025, A Probabilistic Inference Approach to Inference-Time Scaling of LLMs",
)
