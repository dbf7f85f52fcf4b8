r"""Correct is the letter of the right choice, however it is written.

`(B)`, `B)`, `B: Paris`, `[B]`, `\boxed{\text{B}}`, `option B`, `**B**` are B, and so is `Paris` where the
problem's metadata has the choices. It refuses to guess: several letters, or a letter beside the text of
another choice, are no answer.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import Field

from itscale.errors import DataError
from itscale.plugins import Options, VerifierEntry
from itscale.types import Problem, Verdict
from itscale_builtin.verifiers.answers import LOCATORS, Locator, cut_off, in_reference
from itscale_builtin.verifiers.denials import GIVEN_UP, denied_after, denied_before
from itscale_builtin.verifiers.said import said, taken_back
from itscale_builtin.verifiers.wrappers import tidy

LONGEST = 2_000
"""An answer with more characters is none: it would hold the letters of several choices."""
LOOKS = re.compile(
    r"\\(?:text(?:bf|it|rm)?|mathrm|mathbf|mathbb|mbox|boxed|fbox|displaystyle|left|right)(?![A-Za-z])|[*_`$]"
)
NAMED = (
    r"(?:(?:the\s)?(?:correct\s|right|best\s|final\s)?(?:option|choice|answer|letter|alternative|statement)\b"
)
BEFORE = re.compile(rf"\s*{NAMED}(?:\s(?:is|number))?\s?[:=]?\s?)*", re.IGNORECASE)
AFTER = re.compile(
    r"\s*(?:$|[.:,;)\]}/=–—-]|\b(?:because|since|as|which|is|for|so|seems|would|it|and|or)\b)", re.IGNORECASE
)
"""What may follow a letter that is meant as one: nobody writes "a because"."""
JOINT = re.compile(r"\s*(?:,|/|&|;|\band\b|\bor\b|,\s*(?:and|or)\b)\s*", re.IGNORECASE)
MARKED = re.compile(r"[(\[]\s?(\w)\s?[)\]]\s*[.:]?|(\w)\s?[)\]:.](?!\w)")
BARE = re.compile(r"(\w)(?!\w)")
ANOTHER = re.compile(r"(?:option|choice)?\s?[(\[]?\w(?!\w)", re.IGNORECASE)
"""What begins another label after "or" or a comma."""
IN_BRACKETS = re.compile(r"[(\[](\w)[)\]]")
AFTER_NAME = re.compile(rf"{NAMED}\s(?:is\s)?([A-Z0-9])(?!\w))")
SMALL_AFTER_NAME = re.compile(
    rf"{NAMED}\s(?:is\s)?([a-z])(?=[ \t]*(?:[.!;,)]|$)))", re.IGNORECASE | re.MULTILINE
)
"""A small letter that ends what names a choice; `the answer is a matter of taste` names none."""
CAPITAL = re.compile(r"(?<![\w'])[A-Z](?![\w'?])")
CHOSEN = re.compile(
    r"(?:^|[.,:;=(*>—–-]|\b(?:is|are|was|be|choose|chose|choosing|chosen|pick|picked|picking|select|selected"
    r"|selecting|answer|option|choice|letter|statement|alternative|answers|options|choices|with|to|say|think"
    r"|believe|guess|mark|circle|correct|right|best|therefore|so|thus|hence|then|and|or|nor|as|that|only|just"
    r"|matches|fits|means|gives|supports|leaves|it's|that's|but|rather|definitely|clearly|probably|likely))\s*$",
    re.IGNORECASE,
)
"""What may stand before a capital letter that is meant as a label; `Vitamin C` and `Plan C` are none."""
PAIR = re.compile(r"(?<![\w'])([A-Z])\s?(?:,|/|or|and|nor)\s?([A-Z])(?![\w'])")
ON_FIRST_LINE = re.compile(r"\s{0,4}[*_(\[]{0,4}([A-Z])[*_)\].:]{0,4}[ \t]{0,4}\n")
"""A letter alone on the first line, before an explanation."""
FIRST_LINE = re.compile(r"[*_#> \t]{0,8}([^\n]{1,200}?)[*_ \t]{0,4}\n")
LABELLED = re.compile(r"\(?([A-Za-z])[).:][*_]{0,2}\s")
REASONED = re.compile(
    r"\s*[*_#]{0,4}(?:explanation|reason(?:ing)?|rationale|justification|because)\b", re.IGNORECASE
)
"""What begins the explanation of an answer that stands before it."""
LISTED = re.compile(r"(?<!\w)\(?([A-Z])[).:]\s")
CONCLUDED = (
    r"\b(?:is|was|are|be|leaves|choose|pick|so|therefore|it's)\s+(?:the\s|an?\s)?{}"
    r"(?=\s*(?:[.!]?$|,\s*not\b))"
)
WORD = re.compile(r"[^\W_]+")
WORDS_OF_THEIR_OWN = {
    "A": re.compile(r"(?<![^\s*_\"(])A[*_\")]{0,3}(?:[.,;!]|\s+(?:because|since|not)\b|$)"),
    "I": re.compile(r"(?<![^\s*_\"(])I[*_\")]{0,3}(?:[.!]|$)"),
}
"""Where letters that are also words cannot be those: no article ends a sentence."""


class MultipleChoiceOptions(Options):
    """Options of the multiple_choice oracle."""

    find: Annotated[tuple[Locator, ...], Field(min_length=1)] = (
        "tags",
        "boxed",
        "hashes",
        "answer_is",
        "last_line",
    )
    """Where the answer is looked for: the first of these places that holds a choice counts."""
    labels: Annotated[str, Field(min_length=2, pattern=r"^[A-Za-z0-9]+$")] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
    """What the choices are called, a sign each, in their order."""
    choices: str = "choices"
    """Where the metadata of a problem have the texts of its choices: a list, or texts by label. Problems
    without it have letters only, and as many choices as `count` says."""
    count: Annotated[int, Field(ge=2)] | None = None
    """How many choices a problem has whose metadata do not say it; one for each label if left out."""
    first: Annotated[int, Field(ge=0, le=1)] | None = None
    """The number of the first choice, where references are numbers; labels or texts if left out."""
    several: bool = False
    """Whether several choices may be right together, as in `A, C`; if not, several letters are no answer."""


class MultipleChoice:
    """The oracle; see the module."""

    def __init__(self, options: MultipleChoiceOptions) -> None:
        self.options = options
        self._labels = options.labels.upper()

    def answer(self, problem: Problem, text: str) -> str | None:
        """Return the label of the choice (`A, C` if several may be right), None if there is none."""
        texts = self._texts(problem)
        text = said(text if text.isascii() else unicodedata.normalize("NFKC", text).replace("。", "."))
        if (corrected := taken_back(text)) is not None:
            text = corrected
        for place in self.options.find:
            if place == "boxed" and cut_off(text):
                return None
            first = ON_FIRST_LINE.match(text) if place == "last_line" else None
            found = first[1] if first else LOCATORS[place](text)
            if not found or len(found) > LONGEST:
                continue
            chosen = self._chosen(found, texts, whole=place != "last_line")
            if chosen:
                return ", ".join(sorted(chosen)) if len(chosen) == 1 or self.options.several else None
        return self._before_reasons(text, texts) if "last_line" in self.options.find else None

    def classes(self, answers: Sequence[str]) -> list[str]:
        """Return the answers themselves: labels."""
        return list(answers)

    def judge(self, problem: Problem, answers: Sequence[str]) -> list[Verdict]:
        """Compare each answer's labels with those of the reference.

        Raises
        ------
        DataError
            If the reference is no choice of the problem.
        """
        right = self._right(problem)
        return [Verdict(correct=set(answer.split(", ")) == right) for answer in answers]

    def _texts(self, problem: Problem) -> dict[str, str]:
        """Return the choices of a problem: their texts, empty where not known, by label."""
        given = problem.metadata.get(self.options.choices)
        if isinstance(given, Mapping) and set(map(str.upper, given)) <= set(self._labels):
            return {label.upper(): _plain(str(text)) for label, text in given.items()}
        if isinstance(given, Sequence) and not isinstance(given, str) and 0 < len(given) <= len(self._labels):
            return dict(zip(self._labels, (_plain(str(text)) for text in given), strict=False))
        if given is not None:
            raise DataError(
                f"problem {problem.problem_id}: metadata {self.options.choices!r}: found {given!r:.60}, "
                f"expected a list of at most {len(self._labels)} texts, or texts by label"
            )
        return dict.fromkeys(self._labels[: self.options.count], "")

    def _right(self, problem: Problem) -> set[str]:
        texts, reference = self._texts(problem), in_reference(problem.reference).strip()
        if self.options.first is not None and reference.isdecimal():
            place = int(reference[:9]) - self.options.first
            found = set(list(texts)[place : place + 1]) if place >= 0 else set()
        else:
            found = self._chosen(reference, texts, whole=True)
            if not found and self.options.several and set(reference.upper()) <= set(texts):
                found = set(reference.upper())
        if not found or (len(found) > 1 and not self.options.several):
            raise DataError(
                f"problem {problem.problem_id}: reference: found {reference[:60]!r}, expected one of "
                f"{', '.join(texts)}{' or the text of a choice' if any(texts.values()) else ''}"
            )
        return found

    def _before_reasons(self, text: str, texts: Mapping[str, str]) -> str | None:
        """Return the choice that stands on the first line, with its text, before an explanation."""
        first = FIRST_LINE.match(text)
        if first is None:
            return None
        line, rest = first[1], text[first.end() :]
        if GIVEN_UP.search(rest) or any(LABELLED.match(other.lstrip("*_- ")) for other in rest.splitlines()):
            return None
        label = LABELLED.match(line)
        said = line[label.end() :] if label else line if REASONED.match(rest) else ""
        found = [one for one, choice in texts.items() if choice and _plain(said) == choice]
        return found[0] if len(found) == 1 and (not label or label[1].upper() == found[0]) else None

    def _chosen(self, found: str, texts: Mapping[str, str], *, whole: bool) -> set[str]:
        """Return the labels that an answer names: all of them, so that a doubt shows."""
        text = " ".join(LOOKS.sub(" ", tidy(found).lstrip("#> ")).replace("{", " ").replace("}", " ").split())
        by_text = {label for label, choice in texts.items() if choice and _plain(text) == choice}
        if by_text:
            return by_text
        labels, rest = self._leading(text, texts)
        if not labels and not whole:
            labels, rest = self._anywhere(text, texts), ""
        said = _plain(rest)
        other = {label for label, choice in texts.items() if choice and said == choice}
        return labels | other

    def _leading(self, text: str, texts: Mapping[str, str]) -> tuple[set[str], str]:
        """Return the labels that a text begins with, and the text after them."""
        at = _past(BEFORE, text, 0)
        labels: set[str] = set()
        while True:
            marked = MARKED.match(text, at)
            match = marked or BARE.match(text, at)
            label = next(filter(None, match.groups())).upper() if match else ""
            if (
                match is None
                or label not in texts
                or not self._meant(match, bool(marked), text, texts[label])
            ):
                return labels, text[at:]
            labels.add(label)
            at = match.end()
            if listed := set(LISTED.findall(text, at)) & set(texts) if marked else None:
                return labels | listed, ""  # the choices themselves, not one of them
            joint = JOINT.match(text, at)
            if joint is None or ANOTHER.match(text, joint.end()) is None:
                return labels, text[at:]
            at = _past(BEFORE, text, joint.end())

    def _meant(self, match: re.Match[str], marked: bool, text: str, choice: str) -> bool:
        """Say whether a sign is meant as a label: alone, in brackets, or followed by what follows a label."""
        sign = next(filter(None, match.groups()))
        if _is_denied(match):
            return False
        if sign == "I" and text[match.end() : match.end() + 1].isspace() and text[match.end() :].strip():
            return False  # "I would choose C"
        alone = not text[match.end() :].strip(" .!?)]")
        if marked or alone:
            return True
        if choice and _plain(text[match.end() :]) == choice:
            return True
        return (sign.isupper() or sign.isdigit()) and AFTER.match(text, match.end()) is not None

    def _anywhere(self, text: str, texts: Mapping[str, str]) -> set[str]:
        """Return the labels that a sentence names: in brackets, after "option", or as capitals."""
        patterns = (IN_BRACKETS, AFTER_NAME, SMALL_AFTER_NAME)
        named = [match for pattern in patterns for match in pattern.finditer(text)]
        marked = {match[1].upper() for match in named if not _is_denied(match)}
        said = [match for match in CAPITAL.finditer(text) if _is_chosen(match)]
        capitals = {match[0] for match in said if _is_letter(match) and not _is_denied(match)}
        pairs = [match for match in PAIR.finditer(text) if not _is_denied(match)]
        capitals |= {label for match in pairs for label in match.groups()}
        named_by_letter = (marked & set(texts), capitals & set(texts))
        return next((labels for labels in named_by_letter if labels), _concluded(text, texts))


def _concluded(text: str, texts: Mapping[str, str]) -> set[str]:
    """Return the labels of the texts with which a sentence concludes: `That leaves Paris`."""
    patterns = {
        label: CONCLUDED.format(r"\W{1,3}".join(map(re.escape, choice.split())))
        for label, choice in texts.items()
        if choice
    }
    return {
        label
        for label, pattern in patterns.items()
        if any(not _is_denied(found) for found in re.finditer(pattern, text, re.IGNORECASE))
    }


def _is_letter(capital: re.Match[str]) -> bool:
    """Say whether a capital is a letter, not a word: `it must be A.`, but not `it is A good one`."""
    alone = WORDS_OF_THEIR_OWN.get(capital[0])
    return alone is None or alone.match(capital.string, capital.start()) is not None


def _is_chosen(letter: re.Match[str]) -> bool:
    """Say whether what stands before a letter lets it be a label: the C of `Vitamin C` is none."""
    return CHOSEN.search(letter.string, max(0, letter.start() - 40), letter.start()) is not None


def _is_denied(label: re.Match[str]) -> bool:
    """Say whether a sentence denies a label: `the answer is not C`, `C is incorrect`."""
    text = label.string
    return denied_before(text, label.start(label.lastindex or 0)) or denied_after(text, label.end())


def _past(pattern: re.Pattern[str], text: str, at: int) -> int:
    """Return where a pattern that matches at a place ends, or the place."""
    match = pattern.match(text, at)
    return match.end() if match else at


def _plain(text: str) -> str:
    """Return the words of a text in small letters; the text itself where it has none."""
    text = unicodedata.normalize("NFKC", text).casefold().strip()
    return " ".join(WORD.findall(text)) or text


entry = VerifierEntry(
    name="multiple_choice",
    aliases=("mcq", "mcqa", "multichoice"),
    factory=MultipleChoice,
    options=MultipleChoiceOptions,
    role="oracle",
    revision=4,
    summary="Correct is the letter of the right choice, however it is written.",
    reference="Hendrycks et al. 2021, Measuring Massive Multitask Language Understanding, arXiv:2009.03300",
)
