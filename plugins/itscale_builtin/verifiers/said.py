r"""The final words of a completion: no thoughts, retractions, struck-out text or chat markup.

Every function is linear in the text, which is hostile.
"""

from __future__ import annotations

import re
import unicodedata

__all__ = ["in_plain_digits", "said", "taken_back"]

THOUGHT = re.compile(
    r"<(/?)(think|thinking|thought|thoughts|reasoning|scratchpad|reflection)>", re.IGNORECASE
)
CHANNEL = re.compile(r"<\|channel\|>\s{0,4}(\w{1,20})[^<]{0,40}<\|message\|>")
"""Where a part of a message begins that has several: `analysis`, `final`."""
CHAT_MARK = re.compile(r"<[|｜][\w▁]{1,40}[|｜]>|</?s>|<(?:eos|end_of_turn|start_of_turn)>")
STRUCK = re.compile(r"~~(?=[^\s~])[^~\n]{1,200}~~|<(s|del|strike)>[^<\n]{0,200}</\1>")
INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff\u00ad]")
OTHER_DIGIT = re.compile(r"(?![0-9])\d")
IN_JSON = re.compile(
    r"""[{,]\s{0,40}"(?:final[_ ])?answer"\s{0,4}:\s{0,4}"""
    r"""(?:"([^"\\\n]{1,200})"|(-?\d[\d.,/]{0,60}?))(?=\s{0,40}[,}])""",
    re.IGNORECASE,
)
ANSWER_TAG = re.compile(r"<(/?)(?:final[_-]?answer|ans)>", re.IGNORECASE)
TAKEN_BACK = re.compile(
    r"""
    \b(?:wait|no|oh|oops|hmm|sorry|actually)\b[,.!:\u2013\u2014 -]{1,4}
      (?:(?:wait|no|actually|sorry)[,.! ]{1,3}){0,2}
      (?:(?:that|this|it)(?:'s|\ is|\ was)\ (?:not\ (?:right|correct)|wrong|incorrect|a\ mistake)\b
        |(?:it|that)(?:'s|\ is|\ should\ be)(?=\ (?:[-$\\]{0,2}\d|\\|\(?[A-Z]\b)))
    |\bscratch\ that\b | \bcorrection\b\*{0,2}: | ,\ or\ rather\b
    """,
    re.VERBOSE | re.IGNORECASE,
)
"""What takes back what was said before it: `No, that's wrong`, `Wait, actually it's 12`."""


def said(text: str) -> str:
    """Return what a text says in the end; it is empty where the text ends within a thought."""
    return _tidied(_after_thoughts(_final_channel(text)))


def taken_back(text: str) -> str | None:
    """Return what follows the last words that take back what was said before them, None without any."""
    last = None
    for last in TAKEN_BACK.finditer(text):  # noqa: B007 - the last is wanted
        pass
    return None if last is None else text[last.end() :].lstrip(" ,.;:!*")


def in_plain_digits(text: str) -> str:
    """Return a text with the digits of every script as 0 to 9."""
    if text.isascii():
        return text
    return OTHER_DIGIT.sub(lambda digit: str(unicodedata.decimal(digit.group())), text)


def _final_channel(text: str) -> str:
    parts = list(CHANNEL.finditer(text)) if "<|channel|>" in text else []
    final = [part for part in parts if part[1].lower() == "final"]
    if not parts:
        return text
    return text[final[-1].end() :] if final else ""


def _after_thoughts(text: str) -> str:
    """Return a text without its thoughts.

    One without a beginning began with the text, one without an end goes on to its end.
    """
    kept: list[str] = []
    begin, depth = 0, 0
    for mark in THOUGHT.finditer(text):
        if mark[1]:
            kept = kept if depth else []
            depth, begin = 0, mark.end()
        elif not depth:
            kept.append(text[begin : mark.start()])
            depth = 1
    return text if not (kept or begin or depth) else "".join(kept) + ("" if depth else text[begin:])


def _tidied(text: str) -> str:
    if "~~" in text or "<" in text:
        text = ANSWER_TAG.sub(r"<\1answer>", CHAT_MARK.sub("", STRUCK.sub(" ", text)))
        text = text if "<answer>" in text else text.replace("</answer>", "")
    if '"' in text:
        text = IN_JSON.sub(lambda found: f"\nAnswer: {found[1] or found[2]}\n", text)
    return text if text.isascii() else in_plain_digits(INVISIBLE.sub("", text))
