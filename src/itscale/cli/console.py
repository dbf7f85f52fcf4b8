"""The console: tables and progress, in which every text is shown and none is obeyed."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.text import Text

from itscale.messages.printable import printable

__all__ = ["LiteralConsole"]


class LiteralConsole(Console):
    """A console to which every text is literal: no markup, no emoji codes, no control characters, no key."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"soft_wrap": True, "highlight": False, "markup": False, "emoji": False} | options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Render a text, or a cell of a table, as it is."""
        return super().render_str(printable(text), **options | {"markup": False, "emoji": False})
