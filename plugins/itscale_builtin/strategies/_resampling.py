"""Weights of particles, and how the next generation is drawn by them."""

from typing import Literal

import numpy as np
import scipy
from pydantic import Field

from itscale.outcomes import FloatArray, IntArray
from itscale.plugins.strategies import StepwiseOptions

__all__ = [
    "ParticleOptions",
    "draw_reference",
    "effective_sample_size",
    "logits",
    "multinomial",
    "resample",
    "systematic",
    "tempering",
    "weigh",
]

CLIP = 1e-7
"""Rewards are kept this far from 0 and 1, so that their logits are finite."""


class ParticleOptions(StepwiseOptions):
    """How particles are resampled."""

    resampling: Literal["multinomial", "systematic"] | None = None
    """How the next generation is drawn; if left out, `systematic` where resampling is annealed, else
    `multinomial`."""
    resample_below: float = Field(default=1.0, gt=0, le=1)
    """Resample when the effective sample size is less than this share of the particles; 1 is after every
    step. Weights are multiplied up to the next resampling."""
    annealing: Literal["none", "ess", "entropy", "base"] = "none"
    """Flatten the weights that early resampling draws by, by a temperature that falls with the effective
    sample size (`ess`) or the entropy of the weights, or with the step alone (`base`)."""
    anneal_below: float = Field(default=0.5, gt=0, le=1)
    """Only when the effective sample size is less than this share of the particles."""
    anneal_until: float = Field(default=0.5, gt=0, le=1)
    """Only in this share of `max_steps`, from the first."""


def logits(scores: FloatArray) -> FloatArray:
    """Return ln(r / (1 - r)) of each score, finite."""
    clipped = np.clip(np.asarray(scores, dtype=np.float64), CLIP, 1 - CLIP)
    return np.asarray(scipy.special.logit(clipped), dtype=np.float64)


def weigh(scores: FloatArray, temperature: float) -> FloatArray:
    """Return normalised weights softmax(logit(score) / temperature); at temperature 1, normalised odds."""
    return np.asarray(scipy.special.softmax(logits(scores) / temperature), dtype=np.float64)


def effective_sample_size(weights: FloatArray) -> float:
    """Return 1 / sum(w^2): n for n equal weights, 1 where one has all."""
    return float(1 / np.sum(weights**2))


def tempering(weights: FloatArray, progress: float, options: ParticleOptions) -> float:
    """Return the temperature that resampling flattens weights by (entropic particle filter); 1 leaves them.

    Parameters
    ----------
    progress
        Steps taken, as a share of `max_steps`.
    """
    share = effective_sample_size(weights) / len(weights)
    if options.annealing == "none" or share >= options.anneal_below or progress >= options.anneal_until:
        return 1.0
    if options.annealing == "ess":
        return max(1.0, (1 - progress) / share)
    if options.annealing == "base":
        return max(1.0, 2 - progress)
    entropy = float(scipy.stats.entropy(weights)) / np.log(len(weights))
    return float(max(1.0, 1 / (entropy + (1 - entropy) * progress)))


def resample(
    logs: FloatArray, progress: float, options: ParticleOptions, rng: np.random.Generator, *, keep_last: bool
) -> IntArray | None:
    """Return which particles go on, or None if all do, with the weights that they have.

    Parameters
    ----------
    logs
        Logarithms of their weights.
    progress
        As of `tempering`.
    keep_last
        Whether the last particle stays, so that places for all but one are drawn.
    """
    weights = np.asarray(scipy.special.softmax(logs), dtype=np.float64)
    share = effective_sample_size(weights) / len(weights)
    if options.resample_below < 1 and share >= options.resample_below:
        return None
    temperature = tempering(weights, progress, options)
    flat = weights if temperature == 1 else np.asarray(scipy.special.softmax(logs / temperature))
    how = options.resampling or ("multinomial" if options.annealing == "none" else "systematic")
    drawn = (systematic if how == "systematic" else multinomial)(flat, rng, keep_last=keep_last)
    return np.append(drawn, len(flat) - 1) if keep_last else drawn


def multinomial(weights: FloatArray, rng: np.random.Generator, *, keep_last: bool = False) -> IntArray:
    """Draw an index for each particle, or for all but the last, with replacement."""
    return rng.choice(len(weights), size=len(weights) - keep_last, p=weights)


def systematic(weights: FloatArray, rng: np.random.Generator, *, keep_last: bool = False) -> IntArray:
    """Draw one index at each of n evenly spaced quantiles with one common random offset.

    Index i comes floor(n w_i) or ceil(n w_i) times. If the last is kept, the offset has the law that it has
    given that the last one is drawn, and one place is its own (Chopin and Singh 2015, On particle Gibbs
    sampling, section 3.3): the quantiles pass through a point that is uniform in its share. Which of the
    places that draw it is its own is random, and the others follow it around the circle: their order counts.
    """
    count = len(weights)
    edges = np.cumsum(weights)
    edges[-1] = 1.0  # rounding must not leave the last quantile beyond the last edge
    offset = rng.random()
    if keep_last:
        before = edges[-2] if count > 1 else 0.0
        offset = (count * (before + (1 - before) * offset)) % 1
    drawn = np.searchsorted(edges, (offset + np.arange(count)) / count, side="right")
    drawn = np.minimum(drawn, count - 1).astype(np.int64)
    if not keep_last:
        return drawn
    own = np.flatnonzero(drawn == count - 1)
    place = int(rng.choice(own)) if len(own) else count - 1  # rounding may leave it none
    return np.roll(drawn, -place - 1)[:-1]


def draw_reference(weights: FloatArray, rng: np.random.Generator) -> int:
    """Draw the index of one particle."""
    return int(rng.choice(len(weights), p=weights))
