"""Messages that leave the program: one line, nothing a terminal obeys, no credential."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any, TextIO

from itscale.messages.secrets import masked

__all__ = ["PrintableFormatter", "PrintableStream", "one_line", "printable", "spelt_out", "without_tags"]

LONGEST = 4000
"""Characters of a message: what a server or a file says may go on for ever."""

# What a terminal takes for commands: sequences of ESC or of its one-character forms, with their text.
_SEQUENCE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"  # colours, cursor
    r"|(?:\x1b[\]P^_X]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c|$)"  # titles, links, clipboard
    r"|\x1b[ -/]*[0-~]"
)
# Other control characters, what turns the direction of writing round, and halves of surrogates (bytes of a
# file name that are no UTF-8), which no terminal can show.
_CONTROL = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)

_SPELT = re.compile(rf"{_CONTROL.pattern}|\\x[0-9a-f]{{2}}|\\u[0-9a-f]{{4}}")


def printable(text: str) -> str:
    """Return a text without terminal sequences; any other control character but tab and newline is spelt out.

    Credentials are masked.
    """
    text = _SEQUENCE.sub("", re.sub("\r\n?", "\n", text))
    return masked(_CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode("ascii"), text))


def spelt_out(text: str) -> str:
    r"""Return a text for a cell of a table: nothing that a terminal obeys in it, and nothing of it is lost.

    A control character becomes `\x1b` or `\u202e`. A text that has one, or that reads as if it had, has its
    backslashes doubled; any other stays as it is.

    Examples
    --------
    >>> print(spelt_out("a\x07b"), spelt_out(r"a\x07b"), spelt_out(r"\frac"))
    a\x07b a\\x07b \frac
    """
    if not _SPELT.search(text):
        return text
    return _CONTROL.sub(_escaped, text.replace("\\", r"\\"))


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(message: object) -> str:
    """Return a message (an error, mostly) as one printable line."""
    line = " ".join(printable(str(message)[: 2 * LONGEST]).split())
    return line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."


def without_tags(value: Any) -> Any:
    """Return a JSON value whose texts, keys too, hold nothing that HTML takes for a tag.

    Snakemake's report has what jobs depend on inside of a script, as it is: `</script>` would end it. A space
    without width behind the `<` says the same to a reader.
    """
    if isinstance(value, str):
        return re.sub(r"<(?=[a-zA-Z/!?])", "<\u200b", value)
    if isinstance(value, Mapping):
        return {without_tags(key): without_tags(below) for key, below in value.items()}
    if isinstance(value, Sequence):
        return [without_tags(below) for below in value]
    return value


class PrintableFormatter(logging.Formatter):
    """What is logged, as `printable` text."""

    def format(self, record: logging.LogRecord) -> str:
        """Return a record as it may be shown."""
        return printable(super().format(record))


class PrintableStream:
    """A text stream that writes `printable` text; in all else it is the stream it wraps."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write a text; what a credential or a sequence is split over stays as it is."""
        self._stream.write(printable(text))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
