r"""A grammar of numbers and plain expressions, as models write them: LaTeX, plain text and mixtures.

    sum      = ["+" | "-" | "\pm"] product {("+" | "-" | "\pm" | "\mp") product}
    product  = power {["*" | "/"] power}          juxtaposition multiplies
    power    = postfix ["^" argument]
    postfix  = primary {"!" | "%" | degrees}
    primary  = number | letter | constant | function argument | "(" sum ")" | "|" sum "|" | "{" sum "}"
             | "\frac" argument argument | "\sqrt" ["[" sum "]"] argument | "\binom" argument argument

A tree is a tuple: its kind, then its parts. Nesting is bounded, and reading takes time linear in the text.
"""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from itscale_builtin.verifiers.mathematics.errors import TooLargeError, UnreadableError
from itscale_builtin.verifiers.mathematics.notation import CLOSE_WORDS, OPEN_WORDS
from itscale_builtin.verifiers.mathematics.numerals import read_number
from itscale_builtin.verifiers.mathematics.quantities import SHORT_WORDS, UNITS
from itscale_builtin.verifiers.mathematics.symbols import CONSTANTS, FUNCTIONS, PLAIN_NAMES, SYMBOLS

__all__ = ["Tree", "read_expression"]

Tree = tuple[Any, ...]
"""A kind of node, then its parts: `("+", ("number", Fraction(1)), ("letter", "x"))`."""

DEEPEST = 40
"""Most levels of nesting."""
COMMAND = re.compile(r"\\([A-Za-z]+)")
LETTERS = re.compile(r"[A-Za-z]+")
REMARK = re.compile(
    r"\((?!(?:sqrt|sin|cos|tan|arcsin|arccos|arctan|log|floor|ceil)\b)[^()\d\\]{0,40}[A-Za-z]{4}"
)
"""A parenthesis that holds words, not a factor."""
HYPHENATED = re.compile(r"[A-Za-z]+(?:[-'][A-Za-z]{3}|&[A-Za-z])")
SUBSCRIPT = re.compile(r" ?_ ?(?:\{([^{}]{1,40})\}|\\([A-Za-z]+)|([A-Za-z0-9]))")
DEGREES = f"{OPEN_WORDS}degrees{CLOSE_WORDS}"
LONGEST_PRODUCT = 3
"""Most letters in a run that is read as a product; a longer one is a word."""


def read_expression(text: str, *, start: int = 0) -> tuple[Tree, int]:
    """Read the longest expression from `start`; return its tree and where it ends.

    Raises
    ------
    UnreadableError
        If there is none, or it is nested too deeply.
    """
    reader = _Reader(text, start)
    tree = reader.sum()
    return tree, reader.at


class _Reader:
    """Reads one text from left to right, by recursive descent."""

    def __init__(self, text: str, at: int) -> None:
        self.text = text
        self.at = at
        self.depth = 0
        self.bars = 0
        self.calls = 0

    def _skip(self) -> None:
        if self.at < len(self.text) and self.text[self.at] == " ":
            self.at += 1

    def _peek(self) -> str:
        self._skip()
        return self.text[self.at : self.at + 1]

    def _take(self, expected: str) -> bool:
        self._skip()
        if self.text.startswith(expected, self.at):
            self.at += len(expected)
            return True
        return False

    def _command(self) -> str | None:
        """Return the name of the command ahead without taking it."""
        self._skip()
        found = COMMAND.match(self.text, self.at)
        return found.group(1) if found else None

    def _take_command(self, *names: str) -> str | None:
        name = self._command()
        if name in names:
            self.at += len(name) + 1
            return name
        return None

    def _enter(self) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise TooLargeError(f"nested more than {DEEPEST} levels deep")

    def sum(self) -> Tree:
        self._enter()
        tree = self._signed()
        while True:
            before = self.at
            if self._take("+"):
                tree = ("+", tree, self._signed())
            elif self._take("-"):
                tree = ("+", tree, ("*", ("number", Fraction(-1)), self._signed()))
            elif (name := self._take_command("pm", "mp")) is not None:
                tree = ("+", tree, _plus_minus(name, self._product()))
            else:
                self.at = before
                break
        self.depth -= 1
        return tree

    def _signed(self) -> Tree:
        """Read a product with the signs before it."""
        self._enter()
        name = self._take_command("pm", "mp")
        if name is not None:
            tree = _plus_minus(name, self._product())
        elif self._take("+"):
            tree = self._signed()
        elif self._take("-"):
            tree = ("*", ("number", Fraction(-1)), self._signed())
        else:
            tree = self._product()
        self.depth -= 1
        return tree

    def _product(self) -> Tree:
        tree = self._power()
        while True:
            before = self.at
            if self.text.startswith("**", self.at) or not (self._take("*") or self._peek() in {"/"}):
                self.at = before
                if not self._starts_factor():
                    self.at = before
                    return tree
                tree = ("*", tree, self._power())
            elif self._take("/"):
                tree = ("/", tree, self._factor_with_sign())
            else:
                tree = ("*", tree, self._factor_with_sign())

    def _factor_with_sign(self) -> Tree:
        if self._take("-"):
            return ("*", ("number", Fraction(-1)), self._power())
        return self._power()

    def _starts_factor(self) -> bool:
        """Say whether a factor stands here: what is no factor ends the expression."""
        sign = self._peek()
        if not sign or sign in ")]}|,;:=<>+-*/^_!%&#'\"?$" or sign == OPEN_WORDS:
            return sign == "|" and not self.bars and "|" in self.text[self.at + 1 :]
        if sign == "\\":
            return self._known(self._command())
        if sign.isdigit() or sign == ".":
            return not self.text[self.at - 1 : self.at].isdigit() and not self._after_space_and_number()
        if sign.isascii() and sign.isalpha():
            return not self._is_word()
        return sign == "{" or (sign == "(" and not REMARK.match(self.text, self.at))

    def _after_space_and_number(self) -> bool:
        """Say whether two numbers stand side by side, which is no product."""
        return self.at >= 2 and self.text[self.at - 1] == " " and self.text[self.at - 2].isdigit()

    def _known(self, name: str | None) -> bool:
        return name is not None and (
            name in FUNCTIONS
            or name in SYMBOLS
            or name in CONSTANTS
            or name in {"frac", "sqrt", "binom", "lfloor", "lceil"}
        )

    def _is_word(self) -> bool:
        """Say whether the run of letters ahead is a word rather than a product of letters."""
        found = LETTERS.match(self.text, self.at)
        assert found is not None
        run = found.group()
        if run in PLAIN_NAMES:
            return False
        if self.text[found.end() : found.end() + 1].isalpha():
            return True  # of another alphabet: `dólares`
        if run in UNITS and len(run) > 1 and self.text[: self.at].rstrip()[-1:].isdigit():
            return True
        after_number = self.text[self.at - 1 : self.at] == " "
        if after_number and (run in SHORT_WORDS or HYPHENATED.match(self.text, self.at)):
            return True
        return (
            len(run) > LONGEST_PRODUCT
            or (after_number and len(run) > 1 and not run.islower())
            or (after_number and len(run) > 2)
        )

    def _power(self) -> Tree:
        self._enter()
        base = self._postfix()
        before = self.at
        if self._take("**") or self._take("^"):
            negative = self._take("-")
            exponent = self._power() if self._peek() != "{" else self._postfix()
            if negative:
                exponent = ("*", ("number", Fraction(-1)), exponent)
            base = ("^", base, exponent)
            while self._take("!"):
                base = ("!", base)
        else:
            self.at = before
        self.depth -= 1
        return base

    def _postfix(self) -> Tree:
        tree = self._primary()
        while True:
            if self.text.startswith("!", self.at) and not self.text.startswith("!=", self.at):
                self.at += 1
                tree = ("!", tree)
            elif self.calls and self.text.startswith(DEGREES, self.at):
                self.at += len(DEGREES)
                tree = ("*", tree, ("/", ("constant", "pi"), ("number", Fraction(180))))
            elif self.text.startswith("'", self.at) and tree[0] == "letter":
                self.at += 1
                tree = ("letter", tree[1] + "'")
            else:
                return tree

    def _primary(self) -> Tree:
        sign = self._peek()
        if sign.isdigit() or (sign == "." and self.text[self.at + 1 : self.at + 2].isdigit()):
            return self._number()
        if sign == "\\":
            return self._named()
        if sign == "(":
            return self._between("(", ")")
        if sign == "{":
            return self._between("{", "}")
        if sign == "[":
            return self._between("[", "]")
        if sign == "|":
            self.bars += 1
            tree = self._between("|", "|")
            self.bars -= 1
            return ("abs", tree)
        if sign.isascii() and sign.isalpha():
            return self._letters()
        raise UnreadableError(
            f"found {sign!r}, expected a number, a letter or a function" if sign else "ends early"
        )

    def _between(self, opening: str, closing: str) -> Tree:
        self._take(opening)
        tree = self.sum()
        if not self._take(closing):
            raise UnreadableError(f"{opening} is not closed")
        return tree

    def _number(self) -> Tree:
        value, self.at = read_number(self.text, self.at)
        return ("number", value)

    def _letters(self) -> Tree:
        found = LETTERS.match(self.text, self.at)
        assert found is not None
        run = found.group()
        names = sorted((name for name in PLAIN_NAMES if run.startswith(name)), key=len)
        if names and (run == names[-1] or names[-1] in {"sqrt", "pi"}):
            self.at += len(names[-1])
            return self._function(
                {"arcsin": "asin", "arccos": "acos", "arctan": "atan"}.get(names[-1], names[-1])
            )
        if len(run) > LONGEST_PRODUCT:
            raise UnreadableError(f"found the word {run[:30]!r}, expected a number, a letter or a function")
        self.at += 1
        return self._subscripted(run[0])

    def _subscripted(self, name: str) -> Tree:
        below = SUBSCRIPT.match(self.text, self.at)
        if below:
            self.at = below.end()
            return ("letter", f"{name}_{''.join(part for part in below.groups() if part).replace(' ', '')}")
        return ("constant", name) if name in {"e", "i"} else ("letter", name)

    def _named(self) -> Tree:
        name = self._command()
        if name is None:
            raise UnreadableError(f"found {self.text[self.at : self.at + 2]!r}")
        if name not in SYMBOLS and not self._known(name):
            raise UnreadableError(f"\\{name[:30]} is not read")
        self.at += len(name) + 1
        if name in SYMBOLS:
            return self._subscripted("\\" + name)
        return self._function(name)

    def _function(self, name: str) -> Tree:
        self._enter()
        tree = self._applied(name)
        self.depth -= 1
        return tree

    def _applied(self, name: str) -> Tree:
        if name == "pi":
            return ("constant", "pi")
        if name == "frac":
            return ("/", self._argument(), self._argument())
        if name == "binom":
            return ("binomial", self._argument(), self._argument())
        if name == "sqrt":
            degree = self._between("[", "]") if self._peek() == "[" else ("number", Fraction(2))
            return ("root", self._argument(), degree)
        if name == "cbrt":
            return ("root", self._argument(), ("number", Fraction(3)))
        if name in {"lfloor", "lceil"}:
            tree = self.sum()
            if self._take_command("rfloor" if name == "lfloor" else "rceil") is None:
                raise UnreadableError(f"\\{name} is not closed")
            return ("floor" if name == "lfloor" else "ceil", tree)
        if name in {"abs", "floor", "ceil"}:
            return (name, self._between("(", ")"))
        if name not in FUNCTIONS:
            raise UnreadableError(f"{name} is not read")
        return self._called(name)

    def _called(self, name: str) -> Tree:
        r"""Read what a function is applied to: `\sin^2 x`, `\log_2 8`, `\sin 2x`, `sin(x)`."""
        base = exponent = None
        for _ in range(2):
            if base is None and self._take("_"):
                base = self._argument()
            elif exponent is None and self._take("^"):
                exponent = self._exponent_of_function()
        self.calls += 1
        if self._peek() in {"(", "["}:
            argument = self._between("(", ")") if self._peek() == "(" else self._between("[", "]")
        else:
            argument = self._juxtaposed()
        self.calls -= 1
        tree: Tree = ("log_base", base, argument) if base is not None else (name, argument)
        if exponent == ("number", Fraction(-1)) and name in {"sin", "cos", "tan"}:
            return (f"a{name}", argument)
        return tree if exponent is None else ("^", tree, exponent)

    def _exponent_of_function(self) -> Tree:
        if self._peek() != "{":
            return self._argument()
        tree = self._between("{", "}")
        return (
            ("number", Fraction(-1))
            if tree == ("*", ("number", Fraction(-1)), ("number", Fraction(1)))
            else tree
        )

    def _juxtaposed(self) -> Tree:
        """Read the product after a function without parentheses, up to the next function."""
        negative = self._take("-")
        tree = self._power()
        while self._starts_factor() and self._command() not in FUNCTIONS and self._peek() not in {"(", "|"}:
            if (run := LETTERS.match(self.text, self.at)) and run.group() in FUNCTIONS:
                break
            tree = ("*", tree, self._power())
        if (
            self._command() is None
            and self.text.startswith("/", self.at)
            and self.text[self.at + 1 : self.at + 2]
        ):
            self.at += 1
            tree = ("/", tree, self._power())
        return ("*", ("number", Fraction(-1)), tree) if negative else tree

    def _argument(self) -> Tree:
        r"""Read an argument of a command: a group, one digit, one letter, one command."""
        sign = self._peek()
        if sign.isdigit():
            self.at += 1
            return ("number", Fraction(int(sign)))
        if sign.isascii() and sign.isalpha():
            self.at += 1
            return ("constant", sign) if sign in {"e", "i"} else ("letter", sign)
        return self._primary()


def _plus_minus(name: str, tree: Tree) -> Tree:
    both = ("plus-minus", tree)
    return both if name == "pm" else ("*", ("number", Fraction(-1)), both)
