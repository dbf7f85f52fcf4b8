"""Keys of expressions, of the two sides of equations and inequalities, and the names they give to values."""

from __future__ import annotations

import re
from collections.abc import Hashable, Sequence
from fractions import Fraction

from itscale_builtin.verifiers.mathematics.arithmetic import ANYWHERE, POSITIVE, Number, evaluate, key_of
from itscale_builtin.verifiers.mathematics.errors import UnreadableError
from itscale_builtin.verifiers.mathematics.grammar import Tree, read_expression
from itscale_builtin.verifiers.mathematics.notation import CLOSE_WORDS, OPEN_WORDS, without_marks

__all__ = ["equation_key", "has", "has_letters", "inequality_key", "is_name", "key", "name_of"]

NAME = re.compile(
    r"(?:\\(?:alpha|beta|gamma|delta|theta|lambda|mu|phi|omega|sigma|tau|rho|angle|triangle|Delta|ell) ?)?"
    r"(?:[A-Za-z]'?|[A-Z]{1,4})?(?: ?_ ?(?:\{[^{}]{1,20}\}|\w))?"
    r"(?:(?: ?\^ ?(?:\{-1\}|-1))? ?\([A-Za-z0-9, _+-]{1,20}\))?"
    r"|P ?\((?:[A-Z]'?|\\(?:cap|cup)|[ |]){1,20}\)|\| ?[A-Z]{1,3} ?\||\\overline ?\{ ?[A-Z]{1,3} ?\}"
)
DERIVATIVE = re.compile(r"\\frac ?\{ ?d([a-z]) ?\} ?\{ ?d[a-z] ?\}")
COORDINATE = r"(?:[A-Za-z]|\\[A-Za-z]{2,8})(?: ?_ ?\w)?'? ?"
NAMED_TUPLE = re.compile(rf"\( ?{COORDINATE}(?:, ?{COORDINATE})+\)|\{{ ?[A-Za-z](?: ?, ?[A-Za-z])+ ?\}}")
CALL = r"[fghFGHPQpq] ?\( ?-?\d{1,6}(?:[./]\d{1,6})? ?\)"
VALUES = re.compile(rf"-? ?{CALL}(?: ?[-+*/]? ?{CALL}){{0,20}}")
"""Values of functions at numbers, which a left side names: `f(-2) + f(0)`."""
LEADING = re.compile(rf"{OPEN_WORDS}[A-Za-z ,]{{1,40}}{CLOSE_WORDS} ?(?=\S)")
"""Words before what is named: `\\text{the line } x`."""


def is_name(text: str) -> bool:
    """Say whether the left side of an equation only names what the right side is."""
    text = text.strip()
    if not text or len(text) > 80:
        return False
    text = LEADING.sub("", text, count=1) if text.startswith(OPEN_WORDS) else text
    if VALUES.fullmatch(text):
        return True
    words = DERIVATIVE.sub(r"\1'", without_marks(text)).strip().removeprefix("{").removesuffix("}").strip()
    if NAMED_TUPLE.fullmatch(words) or (NAME.fullmatch(words) and words not in {"e", "i"}):
        return True
    return bool(re.fullmatch(r"[A-Za-z][A-Za-z' .-]*", words)) and (text != words or len(words) > 3)


def name_of(text: str) -> str:
    """Return a name without spaces and braces."""
    text = text.strip()
    text = LEADING.sub("", text, count=1) if text.startswith(OPEN_WORDS) else text
    return re.sub(r"[\s{}]", "", DERIVATIVE.sub(r"\1'", without_marks(text)))


def equation_key(left: str, right: str) -> Hashable:
    """Return the identity of an equation: its two sides' difference, up to a factor."""
    try:
        trees = [_whole_expression(side) for side in (left, right)]
        values = [_difference(trees, index) for index in _points(*trees)]
    except UnreadableError:
        return None
    ratios = _ratios(values)
    return None if ratios is None else ("equation", ratios)


def _difference(sides: Sequence[Tree], index: int) -> Number:
    left, right = sides
    return evaluate(("+", left, ("*", ("number", Fraction(-1)), right)), index)


def _ratios(values: Sequence[Number], *, signed: bool = False) -> Hashable:
    """Return the values as multiples of the first (of its size, if `signed`); None if they are constant."""
    if all(value == values[0] for value in values) or values[0] == 0:
        return None
    trees: list[Tree] = [("value", value) for value in values]
    scale: Tree = ("abs", trees[0]) if signed else trees[0]
    return tuple(key_of([evaluate(("/", tree, scale))]) for tree in trees)


def inequality_key(left: str, right: str) -> Hashable:
    """Return the identity of an inequality: its two sides' difference, up to a positive factor."""
    trees = [_whole_expression(side) for side in (left, right)]
    return _ratios([_difference(trees, index) for index in _points(*trees)], signed=True)


def _whole_expression(text: str) -> Tree:
    text = without_marks(text).strip()
    tree, end = read_expression(text)
    if text[end:].strip(" ."):
        raise UnreadableError(f"found {text[end:][:30]!r} after an expression")
    return tree


def has_letters(text: str) -> bool:
    """Say whether a text is an expression with letters."""
    try:
        return has(_whole_expression(text), "letter")
    except UnreadableError:
        return False


def has(tree: Tree, kind: str) -> bool:
    """Say whether a kind of node occurs in a tree."""
    return tree[0] == kind or any(isinstance(part, tuple) and has(part, kind) for part in tree[1:])


def key(tree: Tree, sign: int = 1) -> Hashable:
    """Return the identity of an expression."""
    return key_of([evaluate(tree, index, sign) for index in _points(tree)])


def _points(*trees: Tree) -> Sequence[int]:
    """Return the points to evaluate at: one where there are no letters."""
    if not any(has(tree, "letter") for tree in trees):
        return ANYWHERE[:1]
    return POSITIVE if any(_takes_roots(tree) for tree in trees) else ANYWHERE


def _takes_roots(tree: Tree) -> bool:
    """Say whether a tree has a root or a logarithm of letters, or a power that may be a root."""
    kind = tree[0]
    if kind in {"root", "ln", "log", "log_base"} and has(tree, "letter"):
        return True
    if kind == "^" and has(tree[1], "letter") and _whole(tree[2]) is None:
        return True
    return any(isinstance(part, tuple) and _takes_roots(part) for part in tree[1:])


def _whole(tree: Tree) -> Fraction | None:
    """Return the value of an exponent that is a whole number, None for any other."""
    if has(tree, "letter"):
        return None
    value = evaluate(tree)
    return value if isinstance(value, Fraction) and value.denominator == 1 else None
