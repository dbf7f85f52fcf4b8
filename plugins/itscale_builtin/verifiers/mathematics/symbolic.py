"""Symbolic expressions beyond the grammar (sums, integrals, limits), read by math-verify's parser.

Runs in the sandbox, which ends it when it takes too long: sympy evaluates what it is given.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Any

from itscale_builtin.verifiers.mathematics.arithmetic import (
    ANYWHERE,
    DIGITS,
    POSITIVE,
    key_of,
    point,
    simplest,
)
from itscale_builtin.verifiers.mathematics.errors import UnreadableError

__all__ = ["PRELOADED", "WARMING", "identity", "values_of_formula", "worth_trying"]

PRELOADED = ("math_verify",)
"""What the sandbox imports before the first call."""
WARMING = r"\int_0^1 \frac{x^2}{\sqrt{x+1}} dx + \sum_{k=1}^{n} k"
"""A formula evaluated beforehand, which fills sympy's caches."""
VALUE = re.compile(r"-?\d{0,80}\.?\d{0,80}(?:[eE][-+]?\d{1,4})?")
LONGEST = 300
DEEPEST = 12
OPERATORS = re.compile(
    r"\\(?:int|iint|oint|sum|prod|lim|gcd|lcm|max|min|det|log|ln|sin|cos|tan|frac|sqrt|binom|sup|inf|exp|arg|Re|Im|begin)"
    r"(?![A-Za-z])"
)


def worth_trying(text: str) -> bool:
    """Say whether sympy's parser may know what the grammar does not: a short formula with an operator."""
    if len(text) > LONGEST or not OPERATORS.search(text):
        return False
    depth = deepest = 0
    for sign in text:
        depth += (sign in "{([") - (sign in "})]")
        deepest = max(deepest, depth)
    return deepest <= DEEPEST


def values_of_formula(formula: str) -> list[list[str]] | None:
    """Return a formula's value at each point, as texts of real and imaginary part; None if it has none."""
    from math_verify import LatexExtractionConfig, parse
    from sympy import Expr, Pow, log

    found = parse(f"${formula}$", extraction_config=[LatexExtractionConfig()], parsing_timeout=None)
    expression = next((item for item in found if isinstance(item, Expr)), None)
    if expression is None:
        return None
    expression = expression.doit()
    roots = any(not power.exp.is_integer for power in expression.atoms(Pow)) or expression.has(log)
    return [_value(expression, index) for index in (POSITIVE if roots else ANYWHERE)]


def _value(expression: Any, index: int) -> list[str]:
    import sympy

    values = {
        letter: sympy.Rational(*point(str(letter), index).as_integer_ratio())
        for letter in expression.free_symbols
    }
    number = sympy.N(expression.subs(values).doit(), DIGITS)
    return [str(sympy.N(part, DIGITS)) for part in number.as_real_imag()]


def identity(values: Any) -> Hashable:
    """Return the key of a formula from its values: that which the grammar gives an equal expression.

    Raises
    ------
    UnreadableError
        If the values are none: they come out of the sandbox, and may be anything.
    """
    import mpmath

    if not isinstance(values, list) or len(values) != len(ANYWHERE):
        raise UnreadableError("no expression")
    if not all(isinstance(pair, list) and len(pair) == 2 and all(map(_is_value, pair)) for pair in values):
        raise UnreadableError("no finite value")
    with mpmath.workdps(DIGITS):
        return key_of([simplest(mpmath.mpc(*pair)) for pair in values])


def _is_value(text: object) -> bool:
    return isinstance(text, str) and VALUE.fullmatch(text) is not None and any(map(str.isdigit, text))
