"""The chance that an answer class wins a plurality vote, exactly: compiled inner loops of the majority vote.

The counts of k completions drawn without replacement are independent binomials `B(m_c, k/n)`, given that they
sum to k. So the chance that a class wins with s votes is a coefficient of a product of polynomials, one per
rival, each cut off at s votes; a discrete Fourier transform over the sum gives it. What keeps this cheap:

- Votes too few to win, votes that win whatever the others got, and rivals that don't get as far as s are
  taken out of the product, where that changes the chance by `NEGLIGIBLE` at most.
- The classes outside the product are one binomial whose transform falls off fast: few frequencies count.

Imported when first used: numba takes half a second to load.
"""

import math

import numpy as np
import numpy.typing as npt
from numba import njit

from itscale.outcomes import FloatArray, IntArray

__all__ = ["NEGLIGIBLE", "chances_to_win"]

ComplexArray = npt.NDArray[np.complex128]

NEGLIGIBLE = 1e-9
"""Chance of what is left out; a result is some ten times as inexact at worst."""

TINY = 1e-120
"""Powers of what is smaller are taken for 0: denormal numbers would cost a hundred times as much."""

MOST_NODES = 32
"""Most nodes of a plain Gauss-Legendre rule; `GRADED` takes over where they are too few."""


def _legendre(most: int) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights on [0, 1] of 1 to `most` points, a row each."""
    nodes, weights = np.zeros((most, most)), np.zeros((most, most))
    for count in range(1, most + 1):
        places, masses = np.polynomial.legendre.leggauss(count)
        nodes[count - 1, :count], weights[count - 1, :count] = (places + 1) / 2, masses / 2
    return nodes, weights


def _graded(levels: int, points: int) -> tuple[FloatArray, FloatArray]:
    """Return a rule on [0, 1] of ever shorter pieces towards 1, where `y^t` is for many ties t."""
    places, masses = np.polynomial.legendre.leggauss(points)
    nodes, weights = [], []
    for level in range(levels):
        width = 0.5 ** min(level + 1, levels - 1)
        nodes.append(1 - 0.5**level + width * (places + 1) / 2)
        weights.append(width * masses / 2)
    return np.concatenate(nodes), np.concatenate(weights)


NODES, WEIGHTS = _legendre(MOST_NODES)
GRADED_NODES, GRADED_WEIGHTS = _graded(levels=20, points=10)


@njit(cache=True)
def chances_to_win(
    n: int,
    sizes: IntArray,
    multiplicity: IntArray,
    wanted: IntArray,
    budgets: IntArray,
    log_factorial: FloatArray,
) -> FloatArray:
    """Return the chance that one given class of each wanted size wins, ties shared, shape (m, wanted).

    Parameters
    ----------
    n
        Completions, those without an answer included.
    sizes, multiplicity
        Distinct sizes of the answer classes, and how many classes have each, shape (sizes,).
    wanted
        Positions in `sizes`.
    budgets
        1 <= k < n, shape (m,).
    log_factorial
        log j! for j = 0..n.
    """
    found = np.zeros((len(budgets), len(wanted)))
    for row in range(len(budgets)):
        for column in range(len(wanted)):
            found[row, column] = _chance(n, sizes, multiplicity, wanted[column], budgets[row], log_factorial)
    return found


@njit(cache=True)
def _chance(
    n: int, sizes: IntArray, multiplicity: IntArray, own: int, k: int, log_factorial: FloatArray
) -> float:
    """Sum over the votes s of the class: too few, contested, or enough whatever the others got."""
    rivals = multiplicity.copy()
    rivals[own] -= 1
    low, high = _support(n, sizes[own], k)
    low = max(low, 1)
    if high < low:
        return 0.0
    # tail[c, s - low]: chance of at least s votes, of a rival of each size and, last, of the class itself
    tail = np.zeros((len(sizes) + 1, high - low + 2))
    for c in range(len(sizes)):
        if rivals[c] > 0:
            _upper_tail(n, sizes[c], k, low, tail[c], log_factorial)
    _upper_tail(n, sizes[own], k, low, tail[-1], log_factorial)
    first = _fewest_to_win(tail, rivals, low, high)
    clear = first
    while clear <= high and _reached_by_others(tail, rivals, clear - low) > NEGLIGIBLE:
        clear += 1
    chance = float(tail[-1, clear - low])
    if clear > first:
        # the most votes at which a rival of this size is in the way
        tops = np.full(len(sizes), first - 1)
        for c in range(len(sizes)):
            while tops[c] < clear - 1 and (
                rivals[c] * tail[c, tops[c] + 1 - low] * tail[-1, tops[c] + 1 - low] > NEGLIGIBLE / len(sizes)
            ):
                tops[c] += 1
        near = tops >= first
        chance += _contested(
            n, sizes[own], sizes[near], rivals[near], tops[near], k, first, clear - 1, log_factorial
        )
    return chance


@njit(cache=True)
def _reach(variance: float, log_inverse: float) -> float:
    """Return t with P(X - mean >= t) <= exp(-log_inverse), by Bernstein's inequality.

    It holds for hypergeometric counts: each is a sum of independent Bernoulli variables (Vatutin and
    Mikhailov 1982).
    """
    return log_inverse / 3 + math.sqrt(log_inverse**2 / 9 + 2 * log_inverse * variance)


@njit(cache=True)
def _support(n: int, size: int, k: int) -> tuple[int, int]:
    """Return the least and the most of k draws that a class of this size gets."""
    mean = k * size / n
    reach = _reach(mean * (1 - size / n) * (n - k) / max(n - 1, 1), -math.log(NEGLIGIBLE))
    low = max(0, k - (n - size), math.ceil(mean - reach))
    return low, min(size, k, math.floor(mean + reach))


@njit(cache=True)
def _upper_tail(n: int, size: int, k: int, low: int, tail: FloatArray, log_factorial: FloatArray) -> None:
    """Fill `tail[i]` with the hypergeometric chance of at least `low + i` votes."""
    bottom, top = _support(n, size, k)
    constant = log_factorial[size] + log_factorial[n - size] + log_factorial[k] + log_factorial[n - k]
    constant -= log_factorial[n]
    total = 0.0
    for j in range(top, max(bottom, low) - 1, -1):
        ways = log_factorial[j] + log_factorial[size - j]
        ways += log_factorial[k - j] + log_factorial[n - size - k + j]
        total += math.exp(constant - ways)
        if j - low < len(tail):
            tail[j - low] = min(total, 1.0)
    for i in range(min(bottom - low, len(tail))):
        tail[i] = 1.0


@njit(cache=True)
def _fewest_to_win(tail: FloatArray, rivals: IntArray, low: int, high: int) -> int:
    """Return the least s for which winning with at most s votes is not negligible.

    Counts are negatively associated (Joag-Dev and Proschan 1983): that all are small is at most as likely as
    if they were independent.
    """
    for s in range(low, high + 1):
        bound = 1.0 - tail[-1, s + 1 - low]
        for c in range(len(rivals)):
            if rivals[c] > 0:
                bound *= (1.0 - tail[c, s + 1 - low]) ** rivals[c]
        if bound > NEGLIGIBLE:
            return s
    return high + 1


@njit(cache=True)
def _reached_by_others(tail: FloatArray, rivals: IntArray, i: int) -> float:
    """Bound the chance that any rival has so many votes."""
    total = 0.0
    for c in range(len(rivals)):
        if rivals[c] > 0:
            total += rivals[c] * tail[c, i]
    return total


@njit(cache=True)
def _contested(
    n: int,
    size: int,
    sizes: IntArray,
    rivals: IntArray,
    tops: IntArray,
    k: int,
    first: int,
    last: int,
    log_factorial: FloatArray,
) -> float:
    """Return the chance of winning with `first` to `last` votes against the relevant rivals."""
    rate = k / n
    log_sum = _log_binomial(n, k, rate, log_factorial)
    # sums that differ by a multiple of the period are not told apart: all but k itself must be negligible
    period = min(n + 1, int(_reach(k * (1 - rate), -math.log(NEGLIGIBLE) - log_sum)) + 1)
    rest, bottom = n - size, last
    passed = np.zeros(last - first + 1)  # completions of rivals that are not in the way of s any more
    for c in range(len(sizes)):
        rest -= sizes[c] * rivals[c]
        passed[tops[c] + 1 - first :] += sizes[c] * rivals[c]
        bottom = min(bottom, _support(n, sizes[c], k)[0])
    mass = _masses(sizes, bottom, last, rate, log_factorial)
    own = np.zeros(last - first + 1)
    for s in range(first, last + 1):
        own[s - first] = math.exp(_log_binomial(size, s, rate, log_factorial) - log_sum)
    nodes, weights = _tie_rule(mass, rivals, own, k, first)
    roots = np.exp(2j * np.pi / period * np.arange(period))
    total = 0.0
    for frequency in range(period // 2 + 1):
        shrunk = _log_modulus(rate, rest, 2 * np.pi / period * frequency)
        if shrunk < log_sum + math.log(NEGLIGIBLE):
            break  # the modulus only falls from here
        single = 1 - rate + rate * roots[frequency]
        factor = single**rest
        if 0 < 2 * frequency < period:
            factor *= 2  # the conjugate frequency gives the same real part
        shares = _win_or_tie(mass, rivals, tops, nodes, weights, roots, frequency, bottom, len(own))
        for i in range(len(own)):
            phase = roots[(frequency * (first + i - k)) % period]
            if passed[i] > 0:
                phase *= single ** passed[i]
            total += own[i] * (factor * phase * shares[i]).real
    return total / period


@njit(cache=True)
def _masses(sizes: IntArray, bottom: int, last: int, rate: float, log_factorial: FloatArray) -> FloatArray:
    """Return the binomial chance of `bottom` to `last` votes of a class of each size, a row each."""
    mass = np.zeros((len(sizes), last - bottom + 1))
    for c in range(len(sizes)):
        for j in range(bottom, min(last, sizes[c]) + 1):
            mass[c, j - bottom] = math.exp(_log_binomial(sizes[c], j, rate, log_factorial))
    return mass


@njit(cache=True)
def _log_binomial(m: int, j: int, rate: float, log_factorial: FloatArray) -> float:
    """Return the log-probability of j of m at this rate."""
    ways = log_factorial[m] - log_factorial[j] - log_factorial[m - j]
    return float(ways + j * math.log(rate) + (m - j) * math.log1p(-rate))


@njit(cache=True)
def _log_modulus(rate: float, size: int, angle: float) -> float:
    """Return the log-modulus of a binomial's characteristic function."""
    if size == 0:
        return 0.0
    square = 1 - 2 * rate * (1 - rate) * (1 - math.cos(angle))
    return 0.5 * size * math.log(square) if square > 0 else -np.inf


@njit(cache=True)
def _win_or_tie(
    mass: FloatArray,
    rivals: IntArray,
    tops: IntArray,
    nodes: FloatArray,
    weights: FloatArray,
    roots: ComplexArray,
    frequency: int,
    bottom: int,
    contested: int,
) -> ComplexArray:
    """Return the transform, at one frequency, of the rivals' having less than s or tying, for each s.

    Each rival has fewer than s votes, or as many, marked y; a tie with t of them counts `1 / (t + 1)`, the
    integral of `y^t` over [0, 1].
    """
    period = len(roots)
    skip = mass.shape[1] - contested
    product = np.ones((contested, len(nodes)), dtype=np.complex128)
    for c in range(len(rivals)):
        below, at = 0.0j, (frequency * bottom) % period
        for j in range(tops[c] - bottom + 1):
            term = mass[c, j] * roots[at]
            if j >= skip:
                for y in range(len(nodes)):
                    product[j - skip, y] *= _power(below + nodes[y] * term, rivals[c])
            below += term
            at += frequency
            if at >= period:
                at -= period
    shares = np.zeros(contested, dtype=np.complex128)
    for i in range(contested):
        for y in range(len(nodes)):
            shares[i] += weights[y] * product[i, y]
    return shares


@njit(cache=True)
def _power(base: complex, exponent: int) -> complex:
    """Return a positive integer power by squaring."""
    result = 1.0 + 0.0j
    while exponent > 1:
        if exponent & 1:
            result *= base
        base *= base
        exponent >>= 1
        if abs(base.real) + abs(base.imag) < TINY:
            return 0.0j
    return result * base


@njit(cache=True)
def _tie_rule(
    mass: FloatArray, rivals: IntArray, own: FloatArray, k: int, first: int
) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights for the integral over y.

    q Gauss-Legendre nodes are exact for up to 2q - 1 ties. More must be impossible or negligible, by
    Chernoff's bound of how many rivals have exactly s votes, of those that have at most s.
    """
    skip = mass.shape[1] - len(own)
    expected, bound = np.zeros(len(own)), own.copy()
    for c in range(len(rivals)):
        below = mass[c, :skip].sum()
        for i in range(len(own)):
            below += mass[c, skip + i]
            bound[i] *= below ** rivals[c]
            if below > 0:
                expected[i] += rivals[c] * mass[c, skip + i] / below
    most = min(rivals.sum(), (k - first) // first)
    for count in range(1, MOST_NODES + 1):
        ties = 2 * count
        missed = 0.0
        for i in range(len(own)):
            chance = 1.0
            if 0 < expected[i] < ties:
                chance = math.exp(ties - expected[i] + ties * math.log(expected[i] / ties))
            missed += bound[i] * chance / (ties + 1)
        if ties > most or missed <= NEGLIGIBLE:
            return NODES[count - 1, :count].copy(), WEIGHTS[count - 1, :count].copy()
    return GRADED_NODES.copy(), GRADED_WEIGHTS.copy()
