"""Parallel tempering: particle Gibbs at several temperatures that swap references (Puri et al. 2025)."""

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from itscale.plugins import StrategyEntry
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory
from itscale_builtin.strategies._resampling import ParticleOptions, draw_reference, logits
from itscale_builtin.strategies.particle_filter import Swarm, sweep
from itscale_builtin.strategies.particle_gibbs import Kept, hand_in, particles

Temperature = Annotated[float, Field(ge=1e-6, le=1e6)]


class ParallelTemperingOptions(ParticleOptions):
    """Options of parallel tempering; the budget of a run is particles N times iterations T times chains M."""

    temperatures: Annotated[tuple[Temperature, ...], Field(min_length=1, max_length=10_000)] = (2.0, 1.0)
    """Temperature of the softmax over reward logits of each chain, none above the one before it. The last
    chain is the one that is handed in. The paper gives no ladder; this one is ours."""
    iterations: int = Field(default=4, ge=1, le=100_000)
    """Particle filters T of each chain. The budget must be a multiple of it times the chains."""
    swap_by: Literal["path", "last"] = "path"
    """What swaps compare of two references: the sum of the logits of the scores of all their steps, which is
    what the target of a chain is made of, or the logit of the last score alone."""
    hands_in: Kept = "last"
    """The particles of the last iteration of the last chain, or those of all its iterations."""


async def parallel_tempering(
    problem: Question, session: Session, options: ParallelTemperingOptions
) -> list[Completion]:
    """Run M chains of particle Gibbs, and let neighbours swap references (Puri et al. 2025, section 3).

    Chain k weighs by odds ^ (1 / T_k). After each iteration but the last, the references of chains k and
    k + 1 are swapped with the probability `acceptance`, pair by pair from the hottest chain. Equal
    temperatures always swap. One chain is `particle_gibbs`, draw by draw.

    The paper states the acceptance by targets pi_k. Those of the chains are products over all steps, hence
    `swap_by: path`; with `last`, pi_k is exp(w / T_k) of the final weight, and the last chain's target is
    approximated. The paper's own results are of M chains with one iteration, in which nothing is swapped.

    Charged: at most N T M answers' tokens. Chains run one after the other, problems side by side. If tokens
    run out, the iterations that the last chain has ended are handed in. A solution that ends before others of
    its filter counts its last score there once for each further round, in `path` once.
    """
    ladder = options.temperatures
    count = session.budget // (options.iterations * len(ladder))
    rngs = [session.rng, *(session.generator("chain", f"{k}") for k in range(1, len(ladder)))]
    swaps = session.generator("swaps")
    references: list[Trajectory | None] = [None] * len(ladder)
    rounds: list[Swarm] = []
    for iteration in range(options.iterations):
        swarms = []
        # One after the other: which chain meets the end of the budget must not be a matter of timing.
        for k, (temperature, reference, rng) in enumerate(zip(ladder, references, rngs, strict=True)):
            key = f"chain {k}" if k else ""
            swarm = await sweep(session, options, count, temperature, reference=reference, rng=rng, key=key)
            swarms.append(swarm)
        rounds.append(swarms[-1])
        if not all(swarm.whole for swarm in swarms):
            break
        drawn = [
            swarm.particles[draw_reference(swarm.weights, rng)]
            for swarm, rng in zip(swarms, rngs, strict=True)
        ]
        if iteration + 1 < options.iterations:
            references = list(await swapped(session, options, drawn, swaps))
    return hand_in(session, rounds, options.hands_in)


async def swapped(
    session: Session,
    options: ParallelTemperingOptions,
    references: Sequence[Trajectory],
    rng: np.random.Generator,
) -> list[Trajectory]:
    """Return the references of all chains after a try to swap those of each pair of neighbours."""
    found = list(references)
    worths = [await _worth(session, options, one) for one in found]
    for k in range(len(found) - 1):
        hot, cold = options.temperatures[k : k + 2]
        if rng.random() < acceptance(worths[k], worths[k + 1], hot, cold):
            found[k : k + 2] = found[k + 1], found[k]
            worths[k : k + 2] = worths[k + 1], worths[k]
    return found


def acceptance(worth: float, next_worth: float, temperature: float, next_temperature: float) -> float:
    """Return the probability that chains k and k + 1 swap references.

    min(1, pi_k(x_{k+1}) pi_{k+1}(x_k) / (pi_k(x_k) pi_{k+1}(x_{k+1}))) with pi_k(x) in proportion to
    exp(w(x) / T_k), w being the worth: log A = (1 / T_k - 1 / T_{k+1}) (w_{k+1} - w_k).
    """
    return math.exp(min(0.0, (1 / temperature - 1 / next_temperature) * (next_worth - worth)))


async def _worth(session: Session, options: ParallelTemperingOptions, reference: Trajectory) -> float:
    """Return the logit of a reference's score, or their sum over its steps; all were scored before."""
    prefixes, here = [reference], reference.parent
    while options.swap_by == "path" and here is not None and here.step is not None:
        prefixes.append(here)
        here = here.parent
    return float(logits(await session.score(prefixes)).sum())


def check(options: ParallelTemperingOptions) -> Iterator[str]:
    """Yield what is wrong with options that are right one by one."""
    ladder = options.temperatures
    for place, (hot, cold) in enumerate(pairwise(ladder), 1):
        if cold > hot:
            yield f"temperatures[{place}]: found {cold:g} after {hot:g}, expected none above the one before"


def admits(options: ParallelTemperingOptions, budget: int) -> None:
    """Raise StudyError if the budget is not particles times iterations times chains."""
    particles(budget, options.iterations, len(options.temperatures))


def hands_in(options: ParallelTemperingOptions, budget: int) -> int:
    """Return how many completions a run hands in."""
    count = particles(budget, options.iterations, len(options.temperatures))
    return count * options.iterations if options.hands_in == "all" else count


entry = StrategyEntry(
    name="parallel_tempering",
    aliases=("replica_exchange",),
    factory=parallel_tempering,
    revision=2,
    family="probabilistic",
    options=ParallelTemperingOptions,
    check=check,
    draws="runs",
    admits=admits,
    hands_in=hands_in,
    grant=lambda options, budget: budget * options.max_tokens,
    needs=frozenset({"generate", "continue"}),
    summary="Particle Gibbs at several temperatures, whose chains swap references.",
    reference="Puri et al. 2025, A Probabilistic Inference Approach to Inference-Time Scaling of LLMs",
)
