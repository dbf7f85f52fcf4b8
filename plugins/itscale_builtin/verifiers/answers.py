r"""Finding the final answer in what a model wrote. Every function is linear in the text, which is hostile.

A place is where an answer may stand; what stands there is cut to the answer: `72, which is the total.` is 72.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

from itscale_builtin.verifiers.denials import bounded_before, denied, denied_before, given_up
from itscale_builtin.verifiers.introductions import ANSWER_IS, NOT_AN_ANSWER, OFF_HAND
from itscale_builtin.verifiers.mathematics.dates import DATE
from itscale_builtin.verifiers.said import said, taken_back
from itscale_builtin.verifiers.spelled import number_in_words
from itscale_builtin.verifiers.wrappers import REPEATED

__all__ = [
    "LOCATORS",
    "Locator",
    "alone",
    "boxed",
    "cut_off",
    "in_reference",
    "is_number",
    "last_match",
    "last_number",
    "locate",
]

Locator = Literal[
    "alone",
    "tags",
    "boxed",
    "hashes",
    "answer_is",
    "last_formula",
    "last_number",
    "emphasis",
    "last_line",
    "whole",
]
"""Where an answer may stand; see `LOCATORS`."""

NUMBER = re.compile(
    r"""
    (?:(?<![\w)\]}])[-+−–—﹣－])?(?<![^\W_])(?<![.])(?<![^\W_]_)
    (?:
        (?:\d{1,3}(?:\.\d{3}){2,10}(?![\d.])|\d{1,3}(?:['’_]\d{3}){1,10}(?![\w'’])   # 1.234.567, 1'234
          |\d{1,2}(?:,\d{2}){1,5},\d{3}(?![\d,])                   # as in India
          |\d{1,3}(?:,\d{3}){1,40}(?!\d)                              # thousands with commas
          |\d{1,3}(?:[\x20\u00a0\u2009\u202f]\d{3}){1,10}(?![\d,])    # or with spaces
          |\d+)(?:\.\d+)?
        |\.\d+
    )
    (?:
        [eE][-+]?\d{1,6}(?![\w.])
        |[ \t]?(?:×|\\times|\\cdot|x|\*)[ \t]?10[ \t]?\^[ \t]?(?:\{[-+−]?\d{1,6}\}|[-+−]?\d{1,6})
        |[ \t]\d{1,6}/\d{1,6}(?![\d/.])                               # 1 1/4
        |/\d+(?!\d|[./]\d)
        |[ ](?:hundred|thousand|million|billion|trillion)\b
    )?
    """,
    re.VERBOSE,
)
BRACE = re.compile(r"\\(?:boxed|fbox)\s{0,4}\{|\\[\\{}]|[{}]")
BARE_BOX = re.compile(r"\\(?:boxed|fbox)[ \t]{0,4}([A-Za-z0-9.,+-]{1,40})")
BETWEEN = re.compile(
    r"""
    [\s$,;.()\[\]\\{}*]{0,12}
    (?:\\text|\\mbox|\\mathrm)?[\s{]{0,4}(?:and|or|,|;|\\quad|\\qquad)[\s}]{0,4}
    [\s$,;()\[\]\\{}*]{0,12}(?:[A-Za-z](?:_\{?\w\}?)?\s{0,3}=\s{0,3})?[\s$(\\]{0,6}
    """,
    re.VERBOSE,
)
"""What parts two boxes that are one answer."""
FORMULA = re.compile(
    r"\$\$[^$]{1,400}\$\$|\$[^$\n]{1,400}\$|\\\([^\n]{1,400}?\\\)|\\\[.{1,400}?\\\]", re.DOTALL
)
DISPLAYED = re.compile(r"(?:\$\$|\\\[|\$|\\begin\b)[^=]*(?:\$\$|\\\]|\$|\\end\{\w{1,10}\})")
"""A formula of several lines."""
MATHEMATICS = re.compile(
    r"\\(?:[dt]?frac|sqrt|pi|infty|begin|cup|pm|log|ln|sin|cos|tan|binom)(?![A-Za-z])|\^|_\{?\d|="
)
SENTENCE_END = re.compile(
    r"""
    (?<![.\x20][a-z])(?<!\bDr)(?<!\bMr)(?<!\bMs)(?<!\bSt)(?<!\bvs)(?<=\S)
    (?:[.?]|!(?=[*_`"')]{0,4}(?:\s+[A-Z*]|\s*$)))(?=[*_`"')$]{0,4}(?:\s|$))
    |;(?=\s+[A-Za-z]{2,}\s)
    |\s[-–—]{1,2}\s(?=[A-Za-z]{3})
    """,
    re.VERBOSE,
)
"""Where a sentence or its main clause ends; `a.m.` ends none, and `5! = 120` goes on."""
ASIDE = re.compile(
    r"""
    ,\s(?=(?:which|so|because|since|as|and\ (?:so|that|this|the|we|it|I)|but|where|with|making|giving|after
         |who|whose|when|if|not|meaning|assuming|found|obtained
        |calculated|computed|derived|or\ (?:about|approximately|roughly)|I|we|the|this|that|it|he
         |she|they|given|therefore|thus|hence)\b)
    |\s(?=\(?(?:because|since|which|where|so\ that|as\ (?:shown|required|expected|desired)|I\ hope
        |let\ me\ know)\b)
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""Where something beside the answer begins."""
TELLING = re.compile(
    r"""
    \\(?:boxed|fbox|implies|Rightarrow|to)(?![A-Za-z]) | \#\#\#\# | </?answer> | << | [-=]> | [→⇒]
    | ^[ ]?= | ^[A-Za-z][:)][ ]
    | ^[ ]?(?!(?:minus|negative|sqrt|cbrt|pi|sin|cos|tan|ln|log|exp|abs
        |(?:the[ ])?(?:(?:square|cube)[ ])?root)\b)
      (?:[Aa][ ])?[A-Za-z]{2,}[ ,:][^\\]*\d
    | \b(?:is|are|was|were|be|has|have|had|can|cannot|will|would|so|thus|hence|therefore|then|because|since
        |let|we|he|she|they|it|you|gives?|gets?|makes?|equals?|find|step|let's|i'm|don't|know|think|idea|sorry)\b
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
"""What tells that a text is more than an answer: a mark of another place, a number after words, a verb."""
RESULT = re.compile(r"[\d)\]}] ?=")
"""A value or a calculation on the left of an equals sign: `9 * 2 = 18`, but not `x = 18`."""
BOLD = re.compile(r"(?<![\w*])\*\*(?=[^\s*])([^*\n]{1,200})(?<=\S)\*\*(?![\w*])")
MARK_OF_LINE = re.compile(r"\A(?:>|#{1,3})[ \t]{1,4}(?=\S)")
"""What makes a line a quotation or a heading."""
LETTER_RUN = re.compile(r"(?<![\\A-Za-z])[^\W\d_]{2,}")
TIME_OR_RATIO = re.compile(
    r"(?<![\w:.])\d{1,2}:\d{2}(?::\d{2})?(?:\s?[AaPp]\.?[Mm]\b)?(?![\w:])"
    r"|(?<![\w:.])\d{1,9}(?::\d{1,9}|\s:\s\d{1,9}){1,3}(?![\w:]|\.\d)|(?<=ratio is )\d{1,9} to \d{1,9}\b"
)
CLAUSE_END = re.compile(r"[*_ ]{0,4}(?:[.,;!)\n]|$)")
LONGEST_DATE = 30
"""Most characters of a date."""
LONGEST_ALONE = 400
"""Most characters of a text that is an answer alone."""
MOST_WORDS = 8
"""Most words of a text that is an answer alone, a unit and a noun among them; 3 where there is no number."""
MOST_TRIED = 50
"""Of how many "answer is", from the end, one may introduce the answer."""
LONGEST_TEXT = 200_000
"""Characters, from the end, among which "answer is" is looked for."""
LONGEST_LINE = 2_000
"""Most characters after "answer is" that are looked at."""


def last_match(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    """Return the last match of a pattern."""
    return next(iter(deque(pattern.finditer(text), maxlen=1)), None)


def alone(text: str) -> str | None:
    r"""Return the whole text if it is an answer and nothing else, as in a column of extracted answers.

    `\frac{1}{9}` and `18 dollars` are; a text with a sentence, with several lines of prose or with several
    calculations is a completion, and its answer has a place of its own.
    """
    text = MARK_OF_LINE.sub("", text.strip(), count=1)
    if DATE.fullmatch(text):
        return text
    if not text or len(text) > LONGEST_ALONE or ("\n" in text and not DISPLAYED.fullmatch(text)):
        return None
    if TELLING.search(text) or ANSWER_IS.search(text) or len(RESULT.findall(text)) > 1:
        return None
    if any(end.end() < len(text.rstrip("*_`\"')$. ")) for end in SENTENCE_END.finditer(text)):
        return None
    words = len(LETTER_RUN.findall(text))
    short = words <= (MOST_WORDS if any(map(str.isdigit, text)) or "\\" in text else 3)
    return text if short else None


def tagged(text: str) -> str | None:
    """Return what stands in the last `<answer>` ... `</answer>`; an unclosed one reaches to the end."""
    _, tag, after = text.rpartition("<answer>")
    return after.partition("</answer>")[0].strip() if tag else None


def _boxes(text: str) -> Iterator[tuple[int, int, str]]:
    r"""Yield the closed `\boxed{...}` that hold no other: where each begins and ends, and what it holds."""
    opened: list[tuple[int, int] | None] = []
    for brace in BRACE.finditer(text):
        token = brace.group()
        if token.startswith(("\\boxed", "\\fbox")):
            opened.append((brace.start(), brace.end()))
        elif token == "{":
            opened.append(None)
        elif token == "}" and opened:
            box = opened.pop()
            if box is not None and "\\boxed" not in text[box[1] : box[1] + 6]:
                yield box[0], brace.end(), text[box[1] : brace.start()].strip()


def boxed(text: str) -> str | None:
    r"""Return what stands in the last closed `\boxed{...}` (the innermost of nested ones).

    Boxes that only `or`, `and` or a comma parts are one answer: `x=\boxed{2} or x=\boxed{3}` is `2, 3`.
    """
    together: list[str] = []
    end = 0
    for begin, stop, inside in _boxes(text):
        if not inside:
            continue
        if not (together and begin - end <= 60 and BETWEEN.fullmatch(text, end, begin)):
            together = []
        together.append(inside)
        end = stop
    if together:
        return ", ".join(together)
    bare = last_match(BARE_BOX, text)
    return bare.group(1).rstrip(".,") if bare else None


def cut_off(text: str) -> bool:
    r"""Say whether the text ends inside its only `\boxed{`: what is left of the answer is none."""
    opened: list[bool] = []
    for brace in BRACE.finditer(text):
        token = brace.group()
        if token[-1] == "{" and token != "\\{":
            opened.append(len(token) > 1)
        elif token == "}" and opened and opened.pop():
            return False
    return any(opened)


def after_hashes(text: str) -> str | None:
    """Return the rest of the line after the last `####`, as GSM8K's solutions end."""
    _, marker, after = text.rpartition("####")
    return _sentence(after.lstrip("# \t").partition("\n")[0]) if marker else None


def after_answer_is(text: str) -> str | None:
    """Return what follows the last "answer is" or "answer:" that introduces an answer.

    "I hope this answer is helpful!" introduces none, and "this answer is ..." one only where no other does.
    """
    text = text[-LONGEST_TEXT:]
    off_hand: str | None = None
    for match in reversed(deque(ANSWER_IS.finditer(text), maxlen=MOST_TRIED)):
        rest = text[match.end() : match.end() + LONGEST_LINE]
        if NOT_AN_ANSWER.match(rest.lstrip("*_ ")):
            continue
        answer = _sentence(_displayed(rest))
        if not answer:
            continue
        if not OFF_HAND.search(text, max(0, match.start() - 40), match.start()):
            return answer
        off_hand = off_hand or answer
    return off_hand


def _displayed(text: str) -> str:
    """Return the rest of the line, or what is displayed below it where the line ends there."""
    line, _, below = text.partition("\n")
    if line.strip(" \t*_:") not in {"", "$$", "\\[", "```"}:
        return line
    opening = line.strip(" \t*_:")
    shown = f"{opening}\n{below}".lstrip() if opening else below.lstrip()
    for start, stop in (("$$", "$$"), ("\\[", "\\]"), ("```", "```")):
        if shown.startswith(start):
            return shown[len(start) :].partition(stop)[0].strip()
    return shown.partition("\n")[0]


def _sentence(text: str) -> str:
    """Return the first sentence without what is said beside it: `72, which is the total.` is `72`."""
    text = text.strip()
    formula = FORMULA.match(text)
    start = formula.end() if formula else 0
    for pattern in (SENTENCE_END, ASIDE):
        end = pattern.search(text, start) if start < len(text) else None
        if end is not None and end.start() > 0 and not _inside(text, end.start()):
            goes_on = REPEATED.search(text[max(0, end.start() - 100) : end.start() + 1])
            text = text[: end.start() + (goes_on is not None)]
    return text.strip()


def _inside(text: str, at: int) -> bool:
    """Say whether a place stands inside a formula or brackets."""
    before = text[:at]
    if before.count("$") % 2 == 1 and "$" in text[at:]:
        return True
    return any(
        sum(map(before.count, opening)) > sum(map(before.count, closing))
        for opening, closing in (("([", ")]"), ("{", "}"))
    )


def last_number(text: str) -> str | None:
    """Return the last number (digits, with thousands separators, a fraction, decimals or a power of ten).

    A number in words is one where the last line has no other; one that is part of a date, a time or a ratio
    stands for it.
    """
    spelled = number_in_words(text)
    if spelled is not None:
        return spelled
    last = deque(NUMBER.finditer(text), maxlen=MOST_TRIED)
    named = (number for number in reversed(last) if not denied(number))
    stated = next((number for number in named if not bounded_before(text, number.start())), None)
    if stated is None or given_up(text, stated.start()):
        return None
    return _around(text, stated) or stated.group()


def _around(text: str, number: re.Match[str]) -> str | None:
    """Return the time, the ratio, or the date at the end of a clause that a number is part of, if any."""
    begin, end = max(0, number.start() - LONGEST_DATE), number.end() + LONGEST_DATE
    found = [
        *TIME_OR_RATIO.finditer(text, begin, end),
        *(date for date in DATE.finditer(text, begin, end) if CLAUSE_END.match(text, date.end())),
    ]
    return next((one.group() for one in found if one.start() <= number.start() < one.end()), None)


def last_formula(text: str) -> str | None:
    """Return the last formula between delimiters, if it is more than a number and none stands after it."""
    text = text[-LONGEST_LINE:]
    last = last_match(FORMULA, text)
    if last is None or not MATHEMATICS.search(last.group()) or NUMBER.search(text, last.end()):
        return None
    if denied_before(text, last.start()) or bounded_before(text, last.start()):
        return None
    return last.group()


def last_line(text: str) -> str | None:
    """Return the last line that is not blank."""
    return text.rstrip().removesuffix("```").rstrip().rpartition("\n")[2].strip() or None


def emphasised(text: str) -> str | None:
    """Return what the last line has in bold, if that is one thing and not denied."""
    line = (last_line(text) or "")[-LONGEST_LINE:]
    found = list(BOLD.finditer(line))
    return found[0].group(1) if len(found) == 1 and not denied(found[0]) else None


def whole(text: str) -> str | None:
    """Return the whole text without surrounding space."""
    return text.strip() or None


LOCATORS: Mapping[Locator, Callable[[str], str | None]] = {
    "alone": alone,
    "tags": tagged,
    "boxed": boxed,
    "hashes": after_hashes,
    "answer_is": after_answer_is,
    "last_formula": last_formula,
    "last_number": last_number,
    "emphasis": emphasised,
    "last_line": last_line,
    "whole": whole,
}


def locate(text: str, places: Sequence[Locator]) -> str | None:
    """Return the answer at the first of `places` that holds one, None if none does.

    What a text thinks before it answers, and what it takes back, is no answer; `whole` alone has it all.
    """
    stated = said(text)
    corrected = taken_back(stated)
    for place in places:
        if place == "boxed" and cut_off(stated):
            return None
        found = LOCATORS[place](text if place == "whole" else stated if corrected is None else corrected)
        if found:
            return found
    return None


def in_reference(reference: str) -> str:
    """Return the answer that a reference gives: of a whole solution, what it is marked as.

    GSM8K's end with a line `#### 18`, those of MATH have a box. Any other reference is the answer.
    """
    _, marker, last = reference.rstrip().rpartition("\n####")
    if not marker and reference.startswith("####"):
        marker, last = "####", reference.rstrip()[4:]
    if marker and "\n" not in last and last.strip():
        return last.strip()
    box = boxed(reference) if "\\boxed" in reference or "\\fbox" in reference else None
    return box or reference


def is_number(text: str) -> bool:
    """Say whether a text is one number and nothing else."""
    return NUMBER.fullmatch(text.strip()) is not None
