"""Correct is what says the same as the reference, or what the data set's own scorer rightly gives full marks.

Where one answer is right, the scorer is only asked whether case and spaces matter: some give full marks to
NaN, to numbers that are near, or to the reference with something after it. Where several are right, it is
believed of answers that pass a check of ours (`puzzles`). Nothing below full marks counts. Models rarely put
the answer alone on a page: it is found first, then judged.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

from pydantic import Field

from itscale.errors import DataError
from itscale.plugins import Options, VerifierEntry
from itscale.sandbox import Reply, Sandbox
from itscale.types import Problem, Verdict
from itscale_builtin.tasks.reasoning_gym import opened_item
from itscale_builtin.verifiers.answers import Locator, is_number, last_number, locate
from itscale_builtin.verifiers.puzzles import CHECKS, FUNCTIONS
from itscale_builtin.verifiers.readings import alike, plain, read, same
from itscale_builtin.verifiers.wrappers import tidy

TOGETHER = 100
"""Answers that one process scores where they are compared only: making the problem again costs more."""

NEEDED = ("dataset", "seed", "size", "config", "index", "question")

EVALUATING = frozenset(
    {
        "binary_matrix",
        "countdown",
        "intermediate_integration",
        "n_queens",
        "polynomial_multiplication",
        "puzzle24",
        "simple_integration",
        "spiral_matrix",
        "string_insertion",
    }
)
"""Data sets whose scorer evaluates the answer as Python (`eval`, or sympy's `parse_expr`, which calls it)."""

VERBATIM = frozenset({"base_conversion", "bf"})
"""Data sets whose answers are texts even where they look like numbers: `1e2` to the base 16 is not 100."""
FIGURES = re.compile(r"[\deE\s.,:;+\-*/^()\[\]]+")
"""Numbers and signs only; several numbers are then a list or a calculation, of which none is the answer."""
GROUP = re.compile(r"\d(?:[\d.,]|[eE][-+]?\d)*")
WORD = re.compile(r"\w*\d\w*")
ANSWER_LINE = re.compile(r"[ *_]*(?:The )?(?:final )?answer is(?::| )(.+)", re.IGNORECASE)
"""The last line as the prompt asks for it. Elsewhere what follows a comma may be beside the answer."""
LONGEST_LINE = 10_000
"""Most characters of that line."""
BEFORE = re.compile(r"(?:[+*/^]\s*|-\s*[-(]\s*|\d\.)$")
AFTER = re.compile(r"\s*(?:[+*/^]|hundred\b|thousand\b|million\b|billion\b)|\.\d|[eE]\d|[ijx]\w*\d|[ijk]\b")
"""What makes a number a part of another one, or of a calculation."""
HARMLESS = (
    ast.Expression,
    ast.Constant,
    ast.List,
    ast.Tuple,
    ast.BinOp,
    ast.UnaryOp,
    ast.operator,
    ast.unaryop,
    ast.Name,
    ast.Load,
    ast.Call,
)


class ReasoningGymOptions(Options):
    """Options of the reasoning_gym oracle."""

    find: Annotated[tuple[Locator, ...], Field(min_length=1)] = ("tags", "boxed", "answer_is", "last_line")
    """Where the answer is looked for: the first of these places that holds one counts. Where the reference
    is a number, the last number in that place is taken, or else the last one in the text."""
    seconds: float = Field(default=3.0, gt=0)
    """Most processor time of scoring one answer; longer has status `timeout`."""


class ReasoningGym:
    """The oracle; see the module.

    Scorers that evaluate the answer run in the sandbox, a process for each answer. The others need a limit on
    time and a fixed hash seed, no more, so that they run where there is no sandbox, too.
    """

    def __init__(self, options: ReasoningGymOptions) -> None:
        self.options = options
        scorer = partial(Sandbox, f"{__name__}:score", seconds=options.seconds, preload=["reasoning_gym"])
        self._evaluating = scorer()
        self._comparing = scorer(together=TOGETHER, weakest="process")

    def answer(self, problem: Problem, text: str) -> str | None:
        """Return the answer without emphasis or quotes, None if there is none."""
        found = locate(text, self.options.find)
        if is_number(problem.reference):
            verbatim = problem.metadata.get("dataset") in VERBATIM
            if found is None or not _more_than_a_number(tidy(found), verbatim):
                found = last_number(found or "") or (None if self._marked(text) else last_number(text))
                found = found and found.replace(",", "")
        else:
            stated = tidy(self._stated(text) or "", problem.reference)
            if (
                found
                and stated
                and _says_the_same(problem.metadata.get("dataset"), stated, problem.reference)
            ):
                return stated  # "who, with, not" goes on after its commas
        return None if found is None else tidy(found, problem.reference) or None

    def _stated(self, text: str) -> str | None:
        """Return what follows "The answer is" to the end of the last line, if that is how the line begins."""
        line = text.rstrip().rpartition("\n")[2]
        short = len(line) <= LONGEST_LINE and "answer_is" in self.options.find
        match = ANSWER_LINE.match(line) if short else None
        return match[1].strip() if match else None

    def _marked(self, text: str) -> bool:
        """Say whether the answer has a place of its own: then no number elsewhere is it."""
        marks = [place for place in self.options.find if place in {"tags", "boxed"}]
        return bool(marks) and locate(text, marks) is not None

    def classes(self, answers: Sequence[str]) -> list[str]:
        """Return the answers themselves: no data set says which texts mean the same."""
        return list(answers)

    def judge(self, problem: Problem, answers: Sequence[str]) -> list[Verdict]:
        """Have the data set's own scorer judge each answer.

        Raises
        ------
        DataError
            If the problem is not one of reasoning-gym's, or cannot be made again as it was.
        """
        missing = [key for key in NEEDED if key not in problem.metadata]
        if missing:
            raise DataError(
                f"problem {problem.problem_id}: metadata lacks {', '.join(missing)}: the "
                "reasoning_gym oracle judges problems of the reasoning_gym task only"
            )
        source = {key: problem.metadata[key] for key in NEEDED}
        dataset = source["dataset"]
        right = {answer for answer in answers if _says_the_same(dataset, answer, problem.reference)}
        asked = [
            answer
            for answer in answers
            if answer not in right and (dataset in CHECKS or alike(answer, problem.reference))
        ]
        sandbox = self._evaluating if dataset in EVALUATING else self._comparing
        replies = sandbox.map([(source, problem.reference, answer) for answer in asked])
        if any(reply == Reply("done", None) for reply in replies):
            self._require_unchanged(problem, source)
        verdicts = dict(zip(asked, map(_verdict, replies), strict=True))
        return [verdicts.get(answer, Verdict(correct=answer in right)) for answer in answers]

    def _require_unchanged(self, problem: Problem, source: dict[str, Any]) -> None:
        """See that the problem can be made again as it was; asked with the reference: no model wrote it."""
        if self._comparing.call(source, problem.reference, problem.reference) == Reply("done", None):
            raise DataError(
                f"problem {problem.problem_id}: reasoning-gym no longer makes the problem that was put "
                "to the model; install the version that made it, or delete the study's problems and run again"
            )


def _more_than_a_number(found: str, verbatim: bool) -> bool:
    """Say whether what stands at a place is something else than one number with words about it."""
    if verbatim and WORD.findall(found) != [last_number(found)]:
        return True
    if is_number(found):
        return False
    if FIGURES.fullmatch(plain(found)) and len(GROUP.findall(found)) > 1:
        return True
    if read(found)[0] in {"number", "fraction"}:
        return True
    stated = last_number(found)
    if stated is None:
        return False
    before, _, after = plain(found).rpartition(plain(stated))
    return BEFORE.search(before[-9:]) is not None or AFTER.match(after) is not None


def _says_the_same(dataset: object, answer: str, reference: str) -> bool:
    """Say whether an answer says what the reference does, whatever a scorer thinks of it."""
    return answer.split() == reference.split() if dataset in VERBATIM else same(answer, reference)


def _verdict(reply: Reply) -> Verdict:
    if reply.status != "done":
        return Verdict(correct=False, status=reply.status, detail=reply.detail)
    return Verdict(correct=isinstance(reply.value, int | float) and reply.value >= 1)


def score(source: dict[str, Any], reference: str, answer: str) -> float | None:
    """Return the marks of an answer in [0, 1], None if the problem cannot be made again. Runs in the sandbox.

    Raises
    ------
    ValueError
        If the scorer would run the answer as a program.
    """
    data, entry = opened_item(
        source["dataset"], source["seed"], source["size"], repr(source["config"]), source["index"]
    )
    if entry["question"] != source["question"] or entry["answer"] != reference:
        return None
    if source["dataset"] in EVALUATING and not harmless(answer):
        raise ValueError("the answer is a program, not an expression")
    checked = CHECKS[source["dataset"]](answer, entry) if source["dataset"] in CHECKS else None
    if checked is None and not alike(answer, reference):
        return 0.0
    return float(data.score_answer(answer if checked is None else checked, entry))


def harmless(answer: str) -> bool:
    """Say whether evaluating an answer as Python can do no more than arithmetic.

    What is no Python expression cannot be evaluated; but sympy rewrites `!`, so with it nothing is known.
    """
    if "!" in answer or "__" in answer:
        return False
    return all(_only_arithmetic(text) for text in (answer.strip(), " ".join(answer.split())))


def _only_arithmetic(text: str) -> bool:
    try:
        nodes = list(ast.walk(ast.parse(text, mode="eval")))
    except SyntaxError:
        return True
    return all(isinstance(node, HARMLESS) for node in nodes) and all(
        isinstance(node.func, ast.Name) and node.func.id in FUNCTIONS and not node.keywords
        for node in nodes
        if isinstance(node, ast.Call)
    )


entry = VerifierEntry(
    name="reasoning_gym",
    factory=ReasoningGym,
    options=ReasoningGymOptions,
    role="oracle",
    revision=5,
    evaluates=lambda options, task: getattr(task, "dataset", None) in EVALUATING,
    requires=("reasoning_gym",),
    extra="reasoning-gym",
    summary="Correct is what says the same as the reference, or what the data set's scorer rightly accepts.",
    reference="Stojanovski et al. 2025, Reasoning Gym, arXiv:2505.24760",
)
