"""Particle Gibbs: particle filters in a row, each with a solution of the one before (Puri et al. 2025)."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from itscale.errors import StudyError
from itscale.plugins import StrategyEntry
from itscale.sampling.session import Session
from itscale.types import Completion, Question
from itscale_builtin.strategies._resampling import draw_reference
from itscale_builtin.strategies.particle_filter import ParticleFilterOptions, Swarm, sweep

Kept = Literal["last", "all"]


class ParticleGibbsOptions(ParticleFilterOptions):
    """Options of particle Gibbs; the budget of a run is particles N times iterations T."""

    iterations: int = Field(default=4, ge=1, le=100_000)
    """Particle filters T that are run one after the other. The budget must be a multiple of it."""
    hands_in: Kept = "last"
    """The particles of the last iteration, or those of all."""


async def particle_gibbs(
    problem: Question, session: Session, options: ParticleGibbsOptions
) -> list[Completion]:
    """Iterate conditional particle filters (Puri et al. 2025, section 3; Andrieu et al. 2010, section 2.4).

    The first iteration is a particle filter of N particles. A reference is drawn in proportion to the final
    weights. The next iteration has N - 1 free particles and the reference, which is never replaced, but can
    be forked: the fork is the reference up to the current step, and is gone on from. Scores are compared at
    the same step, the reference's too. A reference that has ended keeps its last score, as others that have.

    Each iteration leaves the target of `particle_filter` as it is, if all solutions have as many steps.
    Shorter ones count their last score once for each further round, and rounds are as many as an
    iteration happens to need. Systematic resampling is that given that the reference stays.

    Charged: at most N T answers' tokens (the reference is not generated, or scored, again). If tokens run out
    in a later iteration, those before it are handed in.
    """
    rounds: list[Swarm] = []
    count, reference = session.budget // options.iterations, None
    for _ in range(options.iterations):
        swarm = await sweep(session, options, count, options.weight_temperature, reference=reference)
        rounds.append(swarm)
        if not swarm.whole:
            break
        reference = swarm.particles[draw_reference(swarm.weights, session.rng)]
    return hand_in(session, rounds, options.hands_in)


def hand_in(session: Session, rounds: Sequence[Swarm], what: Kept) -> list[Completion]:
    """Hand in the particles of the last iteration that was whole, or of all that were.

    Weights sum to 1: those of all iterations are their means over iterations.
    """
    done = [swarm for swarm in rounds if swarm.whole] or rounds[:1]
    kept = done if what == "all" else done[-1:]
    weights = np.concatenate([swarm.weights for swarm in kept]) / len(kept)
    return session.complete([particle for swarm in kept for particle in swarm.particles], weights)


def particles(budget: int, iterations: int, chains: int = 1) -> int:
    """Return the number of particles N of a budget N * T * M.

    Raises
    ------
    StudyError
        If there is no such number, or a later iteration would have nothing but its reference.
    """
    count, rest = divmod(budget, iterations * chains)
    least = 2 if iterations > 1 else 1
    if rest or count < least:
        of_chains = f" and {chains} chains" if chains > 1 else ""
        raise StudyError(
            f"found budget {budget} with {iterations} iterations{of_chains}, expected a multiple of "
            f"{iterations * chains}, at least {least * iterations * chains}"
        )
    return count


def admits(options: ParticleGibbsOptions, budget: int) -> None:
    """Raise StudyError if the budget is not particles times iterations."""
    particles(budget, options.iterations)


def hands_in(options: ParticleGibbsOptions, budget: int) -> int:
    """Return how many completions a run hands in."""
    return budget if options.hands_in == "all" else particles(budget, options.iterations)


entry = StrategyEntry(
    name="particle_gibbs",
    aliases=("pg",),
    factory=particle_gibbs,
    revision=2,
    family="probabilistic",
    options=ParticleGibbsOptions,
    draws="runs",
    admits=admits,
    hands_in=hands_in,
    grant=lambda options, budget: budget * options.max_tokens,
    needs=frozenset({"generate", "continue"}),
    summary="Particle filters one after the other, each with a solution of the last as its reference.",
    reference="Puri et al. 2025, A Probabilistic Inference Approach to Inference-Time Scaling of LLMs",
)
