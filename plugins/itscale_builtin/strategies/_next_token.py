"""Which next token is drawn: what sampling parameters make of a distribution that no engine samples from."""

import numpy as np
import numpy.typing as npt

from itscale.plugins.strategies import SamplingOptions

__all__ = ["FloatArray", "IntArray", "nucleus", "probabilities"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def probabilities(logits: FloatArray, options: SamplingOptions) -> FloatArray:
    """Return the probability of each token: temperature, then min-p, top-k and top-p, as vLLM orders them.

    Temperature 0 takes the most probable token; the first of equals.
    """
    if options.temperature == 0:
        chances = np.zeros(len(logits))
        chances[np.argmax(logits)] = 1.0
        return chances
    with np.errstate(over="ignore"):  # a temperature near 0 is greedy
        scaled = (logits - logits.max()) / options.temperature
    scaled = np.where(scaled >= np.log(options.min_p) if options.min_p else True, scaled, -np.inf)
    if 0 < options.top_k < len(scaled):
        kept = np.argsort(-scaled, kind="stable")[: options.top_k]
        scaled = np.where(np.isin(np.arange(len(scaled)), kept), scaled, -np.inf)
    scaled = np.where(nucleus(scaled, options.top_p), scaled, -np.inf)
    weights = np.exp(scaled)
    return np.asarray(weights / weights.sum())


def nucleus(logits: FloatArray, mass: float) -> npt.NDArray[np.bool_]:
    """Return which tokens are the fewest that have a mass together, the most probable ones; one at least."""
    if mass >= 1:
        return np.ones(len(logits), dtype=bool)
    weights = np.exp(logits - logits.max())
    order = np.argsort(-weights, kind="stable")
    before = np.cumsum(weights[order]) - weights[order]
    kept = np.zeros(len(logits), dtype=bool)
    kept[order[before < mass * weights.sum()]] = True
    return kept
