r"""One spelling of many: Unicode and LaTeX that differ in looks only.

What stands in `\text{...}` or another font for words is kept between `WORDS` marks, so that `\text{m}` is a
unit and `m` a letter. Every function takes time linear in the text.
"""

from __future__ import annotations

import re
import unicodedata

from itscale_builtin.verifiers.mathematics.numerals import plainly_grouped

__all__ = ["CLOSE_WORDS", "OPEN_WORDS", "ROW", "in_one_spelling", "without_marks"]

OPEN_WORDS, CLOSE_WORDS, ROW = "\ue000", "\ue001", "\ue002"
"""What words are kept between, and what ends a row: characters that are taken out of every text."""

SIGNS = {
    "−": "-", "–": "-", "—": "-", "‐": "-", "‑": "-", "‒": "-", "﹣": "-", "－": "-",
    "×": "*", "⋅": "*", "·": "*", "∙": "*", "•": "*", "÷": "/", "∕": "/", "⁄": "/",
    "π": r"\pi ", "∞": r"\infty ", "√": r"\sqrt ", "∛": r"\sqrt[3]", "±": r"\pm ", "∓": r"\mp ",
    "≤": r"\le ", "⩽": r"\le ", "≥": r"\ge ", "⩾": r"\ge ", "≠": r"\ne ", "≈": r"\approx ", "≡": r"\equiv ",
    "∪": r"\cup ", "∩": r"\cap ", "∈": r"\in ", "∅": r"\emptyset ", "°": r"^\circ ", "º": r"^\circ ",
    "ℝ": r"\mathbb{R}", "ℤ": r"\mathbb{Z}", "ℕ": r"\mathbb{N}", "ℚ": r"\mathbb{Q}", "ℂ": r"\mathbb{C}",
    "…": r"\ldots ", "⋯": r"\ldots ", "′": "'", "’": "'", "⟨": r"\langle ", "⟩": r"\rangle ",
    "ⅈ": "i", "ⅇ": "e", "⌊": r"\lfloor ", "⌋": r"\rfloor ", "。": ".", "、": ",", "∶": ":",
    "⌈": r"\lceil ", "⌉": r"\rceil ",
    "→": r"\to ", "€": r"\euro ", "£": r"\pounds ", "¥": r"\yen ", "₹": r"\rupee ", "¢": r"\text{ cents}",
    OPEN_WORDS: "", CLOSE_WORDS: "", ROW: "",
}  # fmt: skip
GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi rho sigma tau phi chi psi omega"
)
SIGNS |= {
    unicodedata.lookup(f"GREEK {case} LETTER {'LAMDA' if name == 'lambda' else name.upper()}"): "\\"
    + (name if case == "SMALL" else name.capitalize())
    + " "
    for name in GREEK.split()
    for case in ("SMALL", "CAPITAL")
}
RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", "0123456789+-=()ni")
LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₙ", "0123456789+-=()n")
RAISED_RUN = re.compile("[" + "".join(map(chr, RAISED)) + "]+")
LOWERED_RUN = re.compile("[" + "".join(map(chr, LOWERED)) + "]+")
VULGAR = re.compile(r"(\d?) ?([¼-¾⅐-⅞])")
STYLED = re.compile("[\U0001d400-\U0001d7ff]+")
"""Letters and digits in a font of mathematics, each a character of its own."""

SPACES = re.compile(
    r"\\(?:[,;:> ]|quad(?![A-Za-z])|qquad(?![A-Za-z])|hspace\{[^{}]{0,20}\}|thinspace(?![A-Za-z]))|~"
)
NOTHING = re.compile(
    r"\\!|\\(?:text)?color ?\{[^{}]{0,30}\}"
    r"|\\(?:left|right|[bB]igg?[lrm]?|displaystyle|textstyle|scriptstyle|limits|mathstrut|boldmath"
    r"|rm|bf|it|mathsf|mathtt|mathbf|mathit|boldsymbol|bm|pmb|mathcal|mathfrak|mathrm|vec|hat|overrightarrow"
    r"|operatorname\*?|large|Large|LARGE|huge|Huge|small|normalsize|negthinspace|strut|allowbreak|ensuremath|underline|uline)(?![A-Za-z])\.?"
)
"""Commands that change looks only. What they apply to stays, and so does its group."""
ALIASES = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom", "leq": "le",
    "leqslant": "le", "geq": "ge", "geqslant": "ge", "neq": "ne", "lt": "<", "gt": ">", "times": "*",
    "cdot": "*", "ast": "*", "div": "/", "land": r"\text{ and }", "lor": r"\text{ or }",
    "vee": r"\text{ or }",
    "wedge": r"\text{ and }", "dots": "ldots", "cdots": "ldots", "dotsc": "ldots", "lbrace": "{",
    "rbrace": "}", "lbrack": "[", "rbrack": "]", "lvert": "|", "rvert": "|", "vert": "|", "mid": "|",
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "tg": "tan", "ctg": "cot", "varnothing": "emptyset",
    "varphi": "phi", "varepsilon": "epsilon", "vartheta": "theta", "degree": r"^\circ", "percent": "%",
    "Longrightarrow": "implies", "Rightarrow": "implies", "rightarrow": "to", "lg": "log",
    "imath": "i", "jmath": "j", "textdollar": r"\$", "textdegree": r"^\circ",
    "colon": ":", "thickapprox": "approx", "sfrac": "frac", "nicefrac": "frac", "bar": "overline",
}  # fmt: skip
COMMAND = re.compile(r"\\([A-Za-z]+)")
WORDS = re.compile(
    r"\\(?:text(?:bf|it|rm|sf|tt|normal|up)?|mbox|hbox|mathrm|operatorname\*?|textrm|mathsf|mathbf|mathit)"
    r"\s{0,4}\{([^{}\\$]{0,400})\}"
)
FUNCTION_NAMES = frozenset([
    "sin", "cos", "tan", "cot", "sec", "csc", "asin", "acos", "atan", "acot", "asec", "acsc", "arcsin",
    "arccos", "arctan", "sinh", "cosh", "tanh", "coth", "sech", "csch", "asinh", "acosh", "atanh", "exp",
    "ln", "log", "sqrt", "frac", "binom", "lfloor", "rfloor", "lceil", "rceil", "gcd", "lcm", "max",
    "min", "lim", "sum", "prod", "int", "pi", "infty", "pm", "mp", "le", "ge", "ne",
])  # fmt: skip
DEGREES = re.compile(r"\^\s{0,4}(?:\{\s{0,4}\\circ\s{0,4}\}|\\circ(?![A-Za-z]))")
GROUP_COMMA = re.compile(r"(?<=\d)(?:\{,\}|\\,|, ?\\!|\\!|\\ ) ?(?=\d{3}(?!\d))")
HALF_OF_DAY = re.compile(r"\b([AaPp])\. ?([Mm])\b\.?")
TIMES = re.compile(r"(?<=\d) [xX] (?=\d)")
REPEATING = re.compile(r"(?<!\d)\.(?= ?\\overline)")
SMILEY = re.compile(r"(?<= )[:;]-?[()D](?= |$)")
OVER = re.compile(r"\{([^{}]{1,200})\\over(?![A-Za-z])([^{}]{1,200})\}")
CHOOSE = re.compile(r"\{([^{}]{1,200})\\choose(?![A-Za-z])([^{}]{1,200})\}")
DOTTED = re.compile(r"\\dot ?\{ ?(\d) ?\}(?:(\d{0,30})\\dot ?\{ ?(\d) ?\})?(?!\d)")
"""Dots over the first and the last digit of what repeats."""
LOG_BASE = re.compile(r"(?<![\\A-Za-z])log(\d{1,2})(?=\()")
"""A logarithm as programs call it: `log2(3)`."""
REPEATED = re.compile(r"(?<![\d.])(\d{0,20}\.\d{0,20}?)(\d{1,6}?)\2{2,20}(?:\.{3}|…|\\[lc]?dots)$")
"""A decimal whose last digits repeat three times or more before dots: `0.1666...`."""
OR_SO = re.compile(rf"(?<=[\w)}}%$])[ ,]{{1,3}}{OPEN_WORDS}? ?or (?:so|thereabouts)\b ?{CLOSE_WORDS}?\.?$")
COMBINATIONS = re.compile(
    r"(?:\{ ?\} ?[_^]|(?<![\w)}\]])[_^]) ?\{? ?(\d{1,9}) ?\}? ?\\?C ?_ ?\{? ?(\d{1,9}) ?\}?"
)
"""Ways to choose as `{}_5C_2`."""
ARC = re.compile(
    rf"(?<![\d.])(\d{{1,9}}){OPEN_WORDS}degrees{CLOSE_WORDS} ?(\d{{1,2}}(?:\.\d{{1,9}})?) ?'(?!')"
)
"""An angle in degrees and minutes."""
EMPTY = re.compile(r"[\^_] ?\{ ?\}")
NEGATIVE = re.compile(r"^(?:minus|negative) (?=[\d.\\])", re.IGNORECASE)
BLANKS = re.compile(r"\s+")
ROOT = re.compile(
    r"([√∛∜]) ?(\d{1,30}(?:\.\d{1,30})?|[A-Za-z])|(?<![\\A-Za-z])sqrt ?(\d{1,30}(?:\.\d{1,30})?)"
)
"""A root sign, or `sqrt`, before what it is of without brackets: all digits of a number."""
DEGREE = {"√": "", "∛": "[3]", "∜": "[4]"}
PLUS_MINUS = re.compile(r"\+ ?/ ?-|\+/[−–]|\bplus or minus\b")
LINE_BREAK = re.compile(
    r"\\\\(?:\*|\s?\[\s?-?[\d.]{1,8}\s?(?:pt|em|ex|mm|cm|in)\s?\])?|\\(?:cr|hline)(?![A-Za-z])"
)


def _words(match: re.Match[str]) -> str:
    """Return the words in a font: a letter or a function stays mathematics, the rest is marked."""
    words = match.group(1)
    bare = words.strip()
    if bare in {"-", "+", "±", "−"}:
        return bare
    if "text" not in match.group()[:6] and "box" not in match.group()[:6]:
        if len(bare) == 1:
            return f" {bare} " if bare in "eiπd" or "rm" not in match.group()[:8] else _marked(words)
        if bare in FUNCTION_NAMES:
            return f"\\{bare} "
    if bare in {"e", "i"} and words == bare:
        return f" {bare} "
    return _marked(words) if bare else " "


def _marked(words: str) -> str:
    if words.strip() in {"%", "\\%"}:
        return "%"
    return f"{OPEN_WORDS}{words}{CLOSE_WORDS}"


def without_marks(text: str) -> str:
    """Return a text with its words no longer marked."""
    return text.replace(OPEN_WORDS, "").replace(CLOSE_WORDS, "")


def _alias(match: re.Match[str]) -> str:
    name = ALIASES.get(match.group(1))
    if name is None:
        return match.group()
    return f"\\{name} " if name.isalpha() else f"{name}"


def _root(match: re.Match[str]) -> str:
    sign, under, plain = match.groups()
    return f"\\sqrt{DEGREE.get(sign, '')}{{{under or plain}}}"


def _vulgar(match: re.Match[str]) -> str:
    whole, sign = match.groups()
    over, under = unicodedata.normalize("NFKC", sign).split("⁄")
    return f"{whole} {over}/{under}" if whole else f"({over}/{under})"


def in_one_spelling(text: str) -> str:
    """Return an answer with Unicode signs as ASCII or LaTeX, and without commands for looks."""
    text = plainly_grouped(COMBINATIONS.sub(r"\\binom{\1}{\2}", text))
    text = OR_SO.sub("", EMPTY.sub("", text).replace("{:}", ":"))
    text = REPEATED.sub(r"\1\\overline{\2}", LOG_BASE.sub(r"log_{\1}", text))
    if any(sign in text for sign in ("√", "∛", "∜", "sqrt")):
        text = ROOT.sub(_root, text)
    text = PLUS_MINUS.sub(r"\\pm ", text)
    text = TIMES.sub(" * ", HALF_OF_DAY.sub(r"\1\2", SMILEY.sub("", NEGATIVE.sub("-", text))))
    if text.isascii() and "\\" not in text:
        return BLANKS.sub(" ", text.replace("~", " ").replace("{,}", ",")).strip()
    if not text.isascii():
        text = VULGAR.sub(_vulgar, text)
        text = RAISED_RUN.sub(lambda run: "^{" + run.group().translate(RAISED) + "}", text)
        text = LOWERED_RUN.sub(lambda run: "_{" + run.group().translate(LOWERED) + "}", text)
        text = STYLED.sub(lambda run: unicodedata.normalize("NFKC", run.group()), text)
        text = "".join(SIGNS.get(sign, sign) for sign in text)
        text = unicodedata.normalize("NFKC", text)
    text = LINE_BREAK.sub(ROW, text)
    text = GROUP_COMMA.sub(",", text)
    text = DOTTED.sub(r"\\overline{\1\2\3}", CHOOSE.sub(r"\\binom{\1}{\2}", text))
    text = OVER.sub(r"\\frac{\1}{\2}", REPEATING.sub("0.", text.replace(r"\text{\$}", r"\$")))
    text = COMMAND.sub(_alias, text)
    text = WORDS.sub(_words, text)
    text = NOTHING.sub("", text)
    text = SPACES.sub(" ", text)
    text = DEGREES.sub(f"{OPEN_WORDS}degrees{CLOSE_WORDS}", text)
    text = ARC.sub(rf"(\1+\2/60){OPEN_WORDS}degrees{CLOSE_WORDS}", text)
    text = text.replace(CLOSE_WORDS + OPEN_WORDS, f"{CLOSE_WORDS} {OPEN_WORDS}")
    text = text.replace(r"\%", "%").replace(r"\#", "#").replace(r"\&", "&").replace(r"\_", "_")
    return BLANKS.sub(" ", OR_SO.sub("", text)).strip()
