"""Days of a year: `March 5`, `the 5th of March`, `July 4, 1776`, `March 2023`."""

from __future__ import annotations

import re

__all__ = ["DATE", "date_of"]

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
NAME = rf"(?:{'|'.join(MONTHS)}|(?:{'|'.join(month[:3] for month in MONTHS)}|Sept)\b\.?)"
DAY = r"(?:3[01]|[12]\d|0?[1-9])(?:st|nd|rd|th)?(?![\d:/%])(?![.,]\d)"
DATE = re.compile(
    rf"\b(?P<month>{NAME}) (?:(?P<day>{DAY})(?:,? (?P<year>\d{{4}}))?|(?P<only>\d{{4}}))(?!\w)"
    rf"|(?<![\w.,/])(?:the )?(?P<first>{DAY}) (?:of )?(?P<then>{NAME})(?:,? (?P<later>\d{{4}}))?(?!\w)"
)


def date_of(text: str) -> tuple[int | None, int | None, int] | None:
    """Return the year, the day (None where the text has none) and the month; None if it is no date."""
    found = DATE.fullmatch(text.strip(" .,"))
    if found is None:
        return None
    month = found["month"] or found["then"]
    day = found["day"] or found["first"]
    year = found["year"] or found["only"] or found["later"]
    place = next(at for at, name in enumerate(MONTHS, start=1) if name[:3] == month[:3])
    return (int(year) if year else None), (int(re.sub(r"\D", "", day)) if day else None), place
