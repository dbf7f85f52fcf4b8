"""Addresses of servers that a client can call."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from itscale.messages.secrets import masked

__all__ = ["Address"]


def check_address(text: str) -> str:
    """Return an address as it is.

    Raises
    ------
    ValueError
        If no client could call it.
    """
    try:
        parts = urlsplit(text)
        fits = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port or 1) > 0
    except ValueError:  # brackets without an address in them, a port that is none
        fits = False
    if not fits or any(letter.isspace() or not letter.isprintable() for letter in text):
        raise ValueError(f"found {masked(text)!r}, expected a URL such as 'http://localhost:8000/v1'")
    if "@" in parts.netloc:
        raise ValueError(
            "found a URL with a user (not shown), expected one without: it is stored with the study; put a "
            "key into the variable that api_key_env names"
        )
    if parts.query or parts.fragment:
        raise ValueError(f"found {masked(text)!r}, expected a URL without ? and #: paths are put after it")
    return text


Address = Annotated[str, AfterValidator(check_address)]
"""The address of a server, which paths are put after."""
