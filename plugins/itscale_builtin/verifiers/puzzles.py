"""Answers to reasoning-gym's problems of which several are right: their form, and what scorers overlook.

Each check takes an answer and the data set's item. It returns the answer as the data set's own scorer should
see it, the reference where the check has shown that the answer is as right, or None where it is wrong. What
stands beside the answer, NaN, infinity and numbers that are not the puzzle's make it wrong.
"""

from __future__ import annotations

import ast
import json
import operator
import re
from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from itscale_builtin.verifiers.readings import as_json, number, numbers, plain

__all__ = ["CHECKS", "FUNCTIONS"]

Item = Mapping[str, Any]
Check = Callable[[str, Item], str | None]

OPERATORS: Mapping[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
LONGEST_EXPRESSION = 2_000
"""Most characters of an arithmetic expression."""
CENT = Decimal("0.01")
THOUSANDTH = Decimal("0.001")
EXPRESSION = re.compile(r"[\w\s.+\-*/(),]+")
NAME = re.compile(r"[^\W\d]\w*")
FUNCTIONS = frozenset(
    {"Abs", "acos", "asin", "atan", "cos", "cosh", "exp", "ln", "log", "sin", "sinh", "sqrt", "tan"}
)
"""Functions an answer may call: those that antiderivatives are made of."""


def of_form(pattern: str, separators: str = "", join: str = " ", case: Callable[[str], str] = str) -> Check:
    """Return a check that an answer is made of parts of a form and nothing else.

    Parts stand between `separators` (a pattern) and are put to the scorer between `join`.
    """
    whole = re.compile(pattern)

    def check(answer: str, item: Item) -> str | None:
        text = case(plain(answer))
        parts = [part.strip() for part in re.split(separators, text)] if separators else [text]
        return join.join(parts) if all(map(whole.fullmatch, parts)) else None

    return check


def lines_of(pattern: str) -> Check:
    """Return a check that an answer is lines of tokens of a form, with spaces between them."""
    token = re.compile(pattern)

    def check(answer: str, item: Item) -> str | None:
        lines = [line.split() for line in plain(answer).splitlines() if line.strip()]
        right = lines and all(token.fullmatch(part) for line in lines for part in line)
        return "\n".join(map(" ".join, lines)) if right else None

    return check


def list_of(pattern: str) -> Check:
    """Return a check that an answer is a JSON list of texts of a form."""
    text = re.compile(pattern)

    def check(answer: str, item: Item) -> str | None:
        value = as_json(answer)
        right = isinstance(value, list) and all(
            isinstance(part, str) and text.fullmatch(part) for part in value
        )
        return json.dumps(value) if right else None

    return check


def digits(answer: str, item: Item) -> str | None:
    """Check that an answer gives each letter one digit, once."""
    text = of_form(r"[A-Z]\s?=\s?\d", ",", ",")(answer, item)
    letters = [part[0] for part in text.split(",")] if text else []
    return text if letters and len(set(letters)) == len(letters) else None


def groups(answer: str, item: Item) -> str | None:
    """Check for the lists of texts of the solution, in any order, each once."""
    value = as_json(answer)
    if not _lists_of_texts(value):
        return None
    return item["answer"] if _counted(value) == _counted(item["metadata"]["solution"]) else None


def partitions(answer: str, item: Item) -> str | None:
    """Check for the partitions of the solution, in any order, each once; a partition has an order."""
    value = as_json(answer)
    if not _lists_of_texts(value):
        return None
    expected = item["metadata"]["solution"]
    return item["answer"] if Counter(map(tuple, value)) == Counter(map(tuple, expected)) else None


def _lists_of_texts(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(part, list) and all(isinstance(text, str) for text in part) for part in value
    )


def _counted(lists: list[list[str]]) -> Counter[tuple[str, ...]]:
    return Counter(tuple(sorted(part)) for part in lists)


def made_of_numbers(answer: str, item: Item) -> str | None:
    """Check that an arithmetic expression has the target's value and uses each given number once."""
    made = item["metadata"]
    text = plain(answer).replace("×", "*").replace("÷", "/")
    value = evaluate(text)
    used = sorted(int(digits) for digits in re.findall(r"\d+", text))
    if value is None or value != made.get("target", 24) or used != sorted(made["numbers"]):
        return None
    return text


def evaluate(text: str) -> Fraction | None:
    """Return the exact value of sums, differences, products and quotients, None if a text is more or less."""
    if len(text) > LONGEST_EXPRESSION or not re.fullmatch(r"[\d\s.+\-*/()]+", text):
        return None
    try:
        return _value(ast.parse(" ".join(text.split()), mode="eval").body)
    except (SyntaxError, ValueError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _value(node: ast.expr) -> Fraction:
    match node:
        case ast.BinOp() if type(node.op) in OPERATORS:
            return OPERATORS[type(node.op)](_value(node.left), _value(node.right))
        case ast.UnaryOp(op=ast.USub()):
            return -_value(node.operand)
        case ast.UnaryOp(op=ast.UAdd()):
            return _value(node.operand)
        case ast.Constant(value=int() | float()):
            return Fraction(ast.unparse(node))
    raise ValueError(f"{type(node).__name__} is no arithmetic")


def finite_expression(answer: str, item: Item) -> str | None:
    """Check that an expression has no infinity in it, whose derivative would be zero, and no words."""
    text = plain(answer)
    if not EXPRESSION.fullmatch(text):
        return None
    known = {*FUNCTIONS, "pi", item["metadata"].get("variable")}
    if any(len(name) > 1 and name not in known for name in NAME.findall(text)):
        return None
    import sympy

    try:
        parsed = sympy.parse_expr(text)
    except Exception:  # whatever sympy says of what it cannot read
        return None
    infinite = (sympy.nan, sympy.zoo, sympy.oo, -sympy.oo)
    return text if isinstance(parsed, sympy.Expr) and not parsed.has(*infinite) else None


def assignments(answer: str, item: Item) -> str | None:
    """Check that an answer says of each inhabitant once what they are, and nothing else."""
    said = r"(\w+) is an? (\w+)"
    text = " ".join(plain(answer).split())
    if not re.fullmatch(rf"{said}(?:(?:[,.;]? and|[,.;]) {said})*\.?", text, re.IGNORECASE):
        return None
    roles = re.findall(said, text, re.IGNORECASE)
    if len(roles) != len(item["metadata"]["names"]):
        return None
    return ", and ".join(f"{name} is a {role}" for name, role in roles)


def to_figures(answer: str, item: Item) -> str | None:
    """Check that an answer is one finite number, which the scorer rounds as the question asks."""
    value = number(answer)
    return None if value is None or value.adjusted() > 1_000 else str(value)


def candidate(answer: str, item: Item) -> str | None:
    """Check for a number that is the reference to three decimals, which all candidates have."""
    value = number(answer)
    near = value is not None and abs(value - Decimal(item["answer"])) < THOUSANDTH / 2
    return item["answer"] if near else None


def roots(answer: str, item: Item) -> str | None:
    """Check for the numbers of the reference, in any order."""
    found, expected = numbers(answer), numbers(item["answer"])
    right = found is not None and expected is not None and sorted(found) == sorted(expected)
    return item["answer"] if right else None


def calculated(answer: str, item: Item) -> str | None:
    """Check for the exact value of the question's expression, rounded to the digits that it asks for.

    The reference is not always that: it is rounded after each step.
    """
    value = number(answer)
    asked = re.search(r"maximum of (\d+) significant digits[^\n]*\n(.+) = \?", item["question"])
    exact = evaluate(asked[2]) if asked else None
    if value is None or asked is None or exact is None or abs(value.adjusted()) > 1_000:
        return None
    last = Fraction(10) ** (_magnitude(exact) - int(asked[1]) + 1)
    return item["answer"] if abs(Fraction(value) - exact) <= last / 2 else None


def _magnitude(value: Fraction) -> int:
    """Return the exponent of a number's first digit."""
    if value == 0:
        return 0
    exponent = len(str(abs(value.numerator))) - len(str(value.denominator))
    return exponent if abs(value) >= Fraction(10) ** exponent else exponent - 1


def pooled(answer: str, item: Item) -> str | None:
    """Check for the rows of the solution, each entry correct to two decimals."""
    rows = [list(map(number, line.split())) for line in plain(answer).splitlines() if line.strip()]
    expected = [[Decimal(float(entry)) for entry in row] for row in item["metadata"]["solution"]]
    if list(map(len, rows)) != list(map(len, expected)):
        return None
    pairs = [pair for found, row in zip(rows, expected, strict=True) for pair in zip(found, row, strict=True)]
    near = all(a is not None and abs(a - b) <= CENT / 2 + Decimal("1e-9") for a, b in pairs)
    return item["answer"] if near else None


def geometric(answer: str, item: Item) -> str | None:
    """Check that an answer is a number or, for an orthocentre, two; the scorer rounds them."""
    text = plain(answer)
    if item["metadata"]["task_type"] == "orthocenter":
        point = numbers(text)
        return (
            f"({point[0]:f}, {point[1]:f})"
            if point and len(point) == 2 and max(map(_size, point)) < 50
            else None
        )
    if item["metadata"]["task_type"] == "angle_measure":
        return to_figures(re.sub(r"(?:\s?°|\s?\^\{?\\circ\}?| degrees?)$", "", text), item)
    return None


def _size(value: Decimal) -> int:
    return abs(value.adjusted())


def filled(answer: str, item: Item) -> str | None:
    """Check a survo: what is given is kept, each number used once, and rows and columns have their sums."""
    made = item["metadata"]
    puzzle = made["puzzle"]
    rows = [list(map(number, line.split())) for line in plain(answer).splitlines() if line.strip()]
    if list(map(len, rows)) != list(map(len, puzzle)) or any(None in row for row in rows):
        return None
    cells = [pair for given, row in zip(puzzle, rows, strict=True) for pair in zip(given, row, strict=True)]
    kept = all(given in (0, found) for given, found in cells)
    used = Counter(found for given, found in cells if given == 0) == Counter(made["candidate_numbers"])
    sums = all(sum(line[:-1]) == line[-1] for line in (*rows, *zip(*rows, strict=True)))
    return item["answer"] if kept and used and sums else None


def capture(answer: str, item: Item) -> str | None:
    """Check that a black stone captures: as many as possible, where that is what the question asks for."""
    board = item["metadata"]["board"]
    size = len(board)
    move = re.fullmatch(r"([A-Z])(\d{1,2})", plain(answer).upper())
    if move is None:
        return None
    row, column = size - int(move[2]), ord(move[1]) - ord("A")
    if not (0 <= row < size and 0 <= column < size):
        return None
    captured = _captured(board, row, column)
    wanted = 1
    if "as many" in item["question"]:
        wanted = max(_captured(board, r, c) for r in range(size) for c in range(size))
    return item["answer"] if captured >= max(wanted, 1) else None


def _captured(board: list[list[str]], row: int, column: int) -> int:
    """Return how many white stones a black one on an empty point takes."""
    if board[row][column] != ".":
        return 0
    taken: set[tuple[int, int]] = set()
    for start in _beside(board, row, column):
        if board[start[0]][start[1]] != "O" or start in taken:
            continue
        group, queue, free = {start}, [start], False
        while queue:
            for place in _beside(board, *queue.pop()):
                stone = board[place[0]][place[1]]
                free = free or (stone == "." and place != (row, column))
                if stone == "O" and place not in group:
                    group.add(place)
                    queue.append(place)
        taken |= set() if free else group
    return len(taken)


def _beside(board: list[list[str]], row: int, column: int) -> list[tuple[int, int]]:
    around = ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1))
    return [(r, c) for r, c in around if 0 <= r < len(board) and 0 <= c < len(board[r])]


CHECKS: Mapping[str, Check] = {
    "advanced_geometry": geometric,
    "bitwise_arithmetic": of_form(r"[-+]?(?:0x[0-9a-f]+|0b[01]+|0o[0-7]+|[1-9]\d*|0)", case=str.lower),
    "countdown": made_of_numbers,
    "cryptarithm": digits,
    "decimal_arithmetic": calculated,
    "group_anagrams": groups,
    "intermediate_integration": finite_expression,
    "jugs": list_of(r"(?:fill|empty) [A-Z]|pour [A-Z]->[A-Z]"),
    "kakurasu": lines_of("[01]"),
    "knight_swap": list_of(r"[wB],[A-Z]\d+,[A-Z]\d+"),
    "knights_knaves": assignments,
    "n_queens": lines_of("[_Q]"),
    "number_format": candidate,
    "palindrome_generation": of_form("[A-Za-z]+"),
    "palindrome_partitioning": partitions,
    "polynomial_equations": roots,
    "polynomial_multiplication": finite_expression,
    "pool_matrix": pooled,
    "power_function": to_figures,
    "puzzle24": made_of_numbers,
    "quantum_lock": of_form("[A-Z]", r"(?:→|->|[\s,])+", " → ", case=str.upper),
    "shortest_path": of_form("up|down|left|right", r"[\s,]+", case=str.lower),
    "simple_integration": finite_expression,
    "sokoban": of_form("[LRUD]+", r"[\s,]+", "", case=str.upper),
    "survo": filled,
    "tower_of_hanoi": of_form(r"Move disk \d+ from Peg \d+ to Peg \d+", r"\n+", "\n"),
    "tsumego": capture,
    "word_ladder": of_form("[A-Za-z]+", ",", ","),
}
"""Data sets with several right answers, or one that may be rounded, and what is checked beside the scorer."""
