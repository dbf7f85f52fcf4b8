"""Values: exact where they are rational, to 60 digits otherwise, and never larger than the bounds.

An expression with letters has the values it takes at a few fixed points, derived from the letters' names: two
expressions that agree there agree everywhere, but for a chance of about one in 10^24.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from fractions import Fraction
from functools import cache
from math import comb, factorial
from typing import Any

from itscale_builtin.verifiers.mathematics.errors import TooLargeError, UnreadableError
from itscale_builtin.verifiers.mathematics.grammar import Tree

__all__ = ["ANYWHERE", "POSITIVE", "Number", "evaluate", "key_of", "point", "simplest"]

Number = Any
"""A `Fraction`, or a complex number of mpmath where the value is irrational."""

ANYWHERE = (0, 1, 2, 3)
"""The points that an expression with letters is evaluated at; letters are negative at odd ones."""
POSITIVE = (0, 2, 4, 6)
"""Those for an expression with roots or logarithms of letters, which are taken to be positive."""
BITS = 40_000
"""Most bits of a numerator, a denominator or an exponent of two."""
DIGITS = 60
"""Significant digits of what is irrational."""
SHOWN = 30
"""Significant digits by which two irrational values are told apart."""
LARGEST_FACTORIAL = 500


@cache
def _context() -> Any:
    """Return mpmath with our precision; imported only where a value is irrational."""
    import mpmath

    context = mpmath.mp.clone()
    context.dps = DIGITS
    return context


@cache
def point(name: str, index: int) -> Fraction:
    """Return the value that stands for a letter at a point; negative at odd ones."""
    digest = hashlib.sha256(f"{name}/{index}".encode()).digest()
    return Fraction(int.from_bytes(digest[:4], "big") % 1_048_573 + 700_001, 1_000_003 * (-1) ** index)


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > BITS:
        raise TooLargeError("a number of too many digits")
    return value


def _float(value: Number) -> Any:
    """Return a value as a complex number of mpmath."""
    mp = _context()
    if isinstance(value, Fraction):
        return mp.mpc(mp.mpf(value.numerator) / value.denominator)
    return value


def simplest(value: Any) -> Number:
    """Return a number of mpmath as a fraction if it is one of ordinary size to all digits."""
    mp = _context()
    number = mp.mpc(value)
    if not (mp.isfinite(number.real) and mp.isfinite(number.imag)):
        raise UnreadableError("no finite value")
    for part in (number.real, number.imag):
        if part and abs(mp.mag(part)) > BITS:
            raise TooLargeError("a number of too many digits")
    size = max(abs(number.real), abs(number.imag))
    negligible = size * mp.mpf(10) ** (10 - DIGITS) if size > 1 else mp.mpf(10) ** (10 - DIGITS)
    real, imaginary = (mp.mpf(0) if abs(part) < negligible else part for part in (number.real, number.imag))
    if imaginary:
        return mp.mpc(real, imaginary)
    if abs(mp.mag(real)) > 200 and real:
        return mp.mpc(real)
    sign, mantissa, exponent, _ = real._mpf_
    exact = Fraction(int(mantissa)) * Fraction(2) ** int(exponent) * (-1) ** int(sign)
    near = exact.limit_denominator(10**12)
    if abs(exact - near) <= abs(exact) / 10 ** (DIGITS - 15):
        return near
    return mp.mpc(real)


def _add(one: Number, other: Number) -> Number:
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return _bounded(one + other)
    return simplest(_float(one) + _float(other))


def _multiply(one: Number, other: Number) -> Number:
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return _bounded(one * other)
    return simplest(_float(one) * _float(other))


def _divide(one: Number, other: Number) -> Number:
    if other == 0:
        raise UnreadableError("division by zero")
    if isinstance(one, Fraction) and isinstance(other, Fraction):
        return _bounded(one / other)
    return simplest(_float(one) / _float(other))


def _integer_root(number: int, degree: int) -> int | None:
    """Return the exact root of a non-negative integer, None if it has none."""
    low, high = 0, 1 << (number.bit_length() // degree + 1)
    while low < high:
        middle = (low + high + 1) // 2
        if middle**degree <= number:
            low = middle
        else:
            high = middle - 1
    return low if low**degree == number else None


def root(value: Number, degree: Number) -> Number:
    """Return the principal root; the real one of a negative number where the degree is odd."""
    if not isinstance(degree, Fraction) or degree.denominator != 1 or not 0 < degree <= 100:
        return power(value, _divide(Fraction(1), degree))
    times = int(degree)
    if isinstance(value, Fraction):
        if value < 0 and times % 2:
            return _multiply(Fraction(-1), root(-value, degree))
        if value >= 0:
            parts = [_integer_root(part, times) for part in (value.numerator, value.denominator)]
            if parts[0] is not None and parts[1] is not None:
                return Fraction(parts[0], parts[1])
    mp = _context()
    return simplest(mp.power(_float(value), mp.mpf(1) / times))


def power(base: Number, exponent: Number) -> Number:
    """Return a power; the exponent's size is bounded by that of the result."""
    if isinstance(base, Fraction) and isinstance(exponent, Fraction):
        if exponent.denominator == 1:
            if base == 0 and exponent < 0:
                raise UnreadableError("division by zero")
            size = max(base.numerator.bit_length(), base.denominator.bit_length())
            if base in (1, -1):
                return base ** (int(exponent) % 2)
            if base == 0 or abs(exponent) * size <= BITS:
                return base ** int(exponent)
            if base.denominator == 1:
                raise TooLargeError("a power of too many digits")
        elif exponent.denominator <= 100 and abs(exponent.numerator) <= 1000:
            return power(root(base, Fraction(exponent.denominator)), Fraction(exponent.numerator))
    if base == 0:
        raise UnreadableError("a power of zero")
    mp = _context()
    one, other = _float(base), _float(exponent)
    if abs(other) * (abs(mp.log(abs(one))) + 4) > BITS:
        raise TooLargeError("a power of too many digits")
    return simplest(mp.power(one, other))


def _factorial(value: Number) -> Number:
    if not isinstance(value, Fraction) or value.denominator != 1 or value < 0:
        raise UnreadableError("a factorial of no natural number")
    if value > LARGEST_FACTORIAL * 5:
        raise TooLargeError("a factorial of too many digits")
    return _bounded(Fraction(factorial(int(value))))


def _binomial(upper: Number, lower: Number) -> Number:
    whole = all(isinstance(part, Fraction) and part.denominator == 1 for part in (upper, lower))
    if not whole or upper < 0 or lower < 0:
        raise UnreadableError("a binomial coefficient of no natural numbers")
    if upper > 20_000:
        raise TooLargeError("a binomial coefficient of too many digits")
    return _bounded(Fraction(comb(int(upper), int(lower))))


def _real(value: Number) -> Fraction | Any:
    if isinstance(value, Fraction):
        return value
    if value.imag != 0:
        raise UnreadableError("no real number")
    return value.real


def _absolute(value: Number) -> Number:
    return abs(value) if isinstance(value, Fraction) else simplest(abs(value))


def _floor(value: Number) -> Number:
    return Fraction(int(_context().floor(_float(_real(value)).real)))


def _elementary(name: str) -> Callable[..., Number]:
    def apply(value: Number) -> Number:
        mp = _context()
        number = _float(value)
        if name in {"ln", "log"} and number == 0:
            raise UnreadableError("the logarithm of zero")
        if name not in {"ln", "log"} and abs(number) > 10_000:
            raise TooLargeError("an argument too large")
        function = getattr(mp, "log" if name == "ln" else name)
        try:
            return simplest(function(number))
        except (ZeroDivisionError, ValueError, OverflowError):
            raise UnreadableError("no finite value") from None

    return apply


def _logarithm(base: Number, value: Number) -> Number:
    return _divide(_elementary("ln")(value), _elementary("ln")(base))


ELEMENTARY = """
    sin cos tan cot sec csc asin acos atan acot asec acsc sinh cosh tanh coth sech csch asinh acosh
    atanh exp ln log
"""
FUNCTIONS: dict[str, Callable[..., Number]] = {
    **{name: _elementary(name) for name in ELEMENTARY.split()},
    "+": _add,
    "*": _multiply,
    "/": _divide,
    "^": power,
    "root": root,
    "!": _factorial,
    "binomial": _binomial,
    "abs": _absolute,
    "floor": _floor,
    "ceil": lambda value: -_floor(_multiply(Fraction(-1), value)),
    "log_base": _logarithm,
}


def _constant(name: str) -> Number:
    mp = _context()
    return {"pi": mp.mpc(mp.pi), "e": mp.mpc(mp.e), "i": mp.mpc(0, 1)}[name]


def evaluate(tree: Tree, index: int = 0, sign: int = 1) -> Number:
    """Return the value of a tree at a point; `sign` is that of every plus-minus in it.

    Raises
    ------
    UnreadableError
        If it has none, or none within the bounds.
    """
    kind = tree[0]
    if kind == "number":
        return _bounded(tree[1])
    if kind == "value":
        return tree[1]
    if kind == "letter":
        return point(tree[1], index)
    if kind == "constant":
        return _constant(tree[1])
    if kind == "plus-minus":
        return _multiply(Fraction(sign), evaluate(tree[1], index, sign))
    values = [evaluate(part, index, sign) for part in tree[1:]]
    return FUNCTIONS[kind](*values)


def _shown(value: Number) -> tuple[str, str]:
    """Return the leading digits of a value's real and imaginary part."""
    mp = _context()
    number = _float(value)
    real, imaginary = (mp.nstr(part, SHOWN) if part else "0" for part in (number.real, number.imag))
    return real, imaginary


def key_of(values: Sequence[Number]) -> Hashable:
    """Return the identity of an expression by its values at all points: of a number, where they are all one.

    A rational number is its own identity; whatever else is known by its leading digits.
    """
    if all(value == values[0] for value in values) and isinstance(values[0], Fraction):
        return ("number", values[0])
    shown = tuple(_shown(value) for value in values)
    return ("number", shown[0]) if len(set(shown)) == 1 else ("expression", shown)
