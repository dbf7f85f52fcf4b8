"""Particle filtering over reasoning steps (Puri et al. 2025)."""

from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import scipy
from pydantic import Field

from itscale.errors import BudgetExhausted
from itscale.outcomes import FloatArray
from itscale.plugins import StrategyEntry
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory
from itscale_builtin.strategies._resampling import ParticleOptions, logits, resample


class ParticleFilterOptions(ParticleOptions):
    """Options of the particle filter; the number of particles is the budget of the run."""

    weight_temperature: float = Field(default=1.0, ge=1e-6, le=1e6)
    """Temperature of the softmax over reward logits."""


async def particle_filter(
    problem: Question, session: Session, options: ParticleFilterOptions
) -> list[Completion]:
    """Sample solutions from the posterior that every step is right (Puri et al. 2025, section 3).

    Each round extends the unfinished particles by one step, weighs every particle by the odds of the score
    of the text it has so far, and resamples all of them. Finished particles keep their weight and compete.
    Nothing but the current score counts, and weights are uniform again after resampling, so the target is

        p(x_1 ... x_R) * product over rounds t = 1 ... R of odds(score(x_1 ... x_t)) ^ (1 / temperature),

    where a solution that ended before round R, the last one, has the odds of its last score in every later
    round. With `resample_below` the target is the same: a round multiplies the weight by
    odds(score) ^ (1 / temperature), finished particles included, and resampling resets it. The final weights
    are those since the latest resampling: `weight` of the completions.

    With `annealing` (the entropic particle filter) early resampling draws in proportion to weights to the
    power of 1 / T, T >= 1. That is not corrected for, as in the released code: factors of those rounds have
    the exponent 1 / T in the target. Final weights are never flattened.

    Charged: N answers' tokens (a prefix that copies share is read once a request) and N scores a round.
    """
    swarm = await sweep(session, options, session.budget, options.weight_temperature)
    return session.complete(swarm.particles, swarm.weights)


@dataclass(frozen=True)
class Swarm:
    """Particles after the last round and their weights.

    Attributes
    ----------
    whole
        Whether the session's tokens were enough for all rounds.
    """

    particles: list[Trajectory]
    weights: FloatArray
    whole: bool


async def sweep(
    session: Session,
    options: ParticleOptions,
    count: int,
    temperature: float,
    *,
    reference: Trajectory | None = None,
    rng: np.random.Generator | None = None,
    key: str = "",
) -> Swarm:
    """Run a particle filter; with a reference, a conditional one, whose last particle is the reference.

    The reference stands, round by round, at the step that the others have reached. It is never replaced.
    What resampling copies of it is its prefix up to that step, an ancestor in the tree, which others extend.
    """
    path = [] if reference is None else _prefixes(reference)
    free = count - bool(path)
    here = [session.start(key=key)] * free + path[:1]
    everyone = np.arange(count)
    carried = logs = np.zeros(count)
    survivors, whole = everyone, False
    with suppress(BudgetExhausted):
        for step in range(1, options.max_steps + 1):
            moved = await session.extend([here[j] for j in survivors[:free]], options.step())
            here = moved + [path[min(step, len(path) - 1)] for _ in path[:1]]
            logs = carried + logits(await session.score(here)) / temperature
            if all(particle.finished for particle in here):
                break
            drawn = resample(
                logs, step / options.max_steps, options, rng or session.rng, keep_last=bool(path)
            )
            carried, survivors = (logs, everyone) if drawn is None else (np.zeros(count), drawn)
        whole = True
    return Swarm(here, np.asarray(scipy.special.softmax(logs), dtype=np.float64), whole)


def _prefixes(trajectory: Trajectory) -> list[Trajectory]:
    """Return a trajectory's prefixes, from the one not yet begun to itself."""
    path = [trajectory]
    while path[-1].parent is not None:
        path.append(path[-1].parent)
    return path[::-1]


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
