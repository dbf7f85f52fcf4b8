"""Numbers in words: open ends, small errors, fewer origins, and only the marks that occur."""

import polars as pl
import pytest

from itscale.messages.numbers import (
    above_zero,
    failed_refits_text,
    holdout_text,
    interval_note,
    interval_text,
    marks_note,
    share_text,
)
from itscale.stages.leaderboard import board_legend, board_text
from itscale.store.schemas import LEADERBOARD


@pytest.mark.parametrize(
    ("numbers", "expected"),
    [
        ((1.47, 1.47, 4.47), "1.47 [.., 4.47]"),
        ((5.407, 5.407, 5.414), "5.407 [.., 5.414]"),  # was 5.41 [5.41, 5.41]
        ((0.0, 0.0, 0.0), "0 (no interval)"),
        ((3.0, 1.0, 3.0), "3 [1, ..]"),
        ((0.02478, 0.0247801, 0.07629), "0.0248 [.., 0.0763]"),
        ((2.0, 1.5, 2.25), "2 [1.5, 2.25]"),
    ],
)
def test_an_interval_has_a_width_or_an_open_end(numbers, expected):
    assert interval_text(*numbers) == expected


def test_only_marks_that_occur_are_explained():
    assert marks_note(["2 [1.5, 2.25]", "7"]) == ""
    assert marks_note(["1.47 [.., 4.47]"]).startswith("[.., x]")
    assert "no interval" not in marks_note(["1.47 [.., 4.47]"])
    assert marks_note(["0 (no interval)"]).startswith("(no interval)")


@pytest.mark.parametrize(
    ("value", "digits", "factor", "expected"),
    [
        (1.46e-7, ".2f", 100, "<0.01"),
        (-2e-9, "+z.3f", 1, ">-0.001"),
        (0.0, "+z.3f", 1, "+0.000"),
        (0.0179, ".2f", 100, "1.79"),
        (1e-9, ".4g", 1, "1e-09"),
    ],
)
def test_an_error_that_is_not_0_is_not_printed_as_0(value, digits, factor, expected):
    assert above_zero(value, digits, factor) == expected


def test_a_share_within_0_and_1_is_neither_in_print():
    assert [share_text(share, 0) for share in (0.0, 0.002, 0.5, 0.998, 1.0)] == [
        "0",
        "<1",
        "50",
        ">99",
        "100",
    ]


def test_many_failed_refits_are_said():
    assert failed_refits_text(41, 19) == " (19 of 60 refits failed)"
    assert failed_refits_text(58, 2) == failed_refits_text(None, None) == ""


def test_exact_intervals_are_not_said_to_come_from_resampling():
    assert interval_note(["studentised", None]) == "intervals from resampling problems"
    assert "exact bounds where all problems agree" in interval_note(["exact; low of k = 5"])


def board(**laws):
    rows = [{"law": law, "status": "ok", "origins": 3, **facts} for law, facts in laws.items()]
    known = [{name: row.get(name) for name in LEADERBOARD} for row in rows]
    return pl.DataFrame(known, schema=dict(LEADERBOARD))


def test_errors_over_other_origins_are_marked():
    """A law that could be fitted at one origin of three had .10 beside 1.79 of one fitted at all."""
    assert holdout_text("0.10", 1, 3) == "0.10 (1 of 3 origins)"
    table = board(
        power_law={"holdout_error": 0.0179, "holdout_origins": 3},
        zero_inflated={"holdout_error": 0.001, "holdout_origins": 1},
    )
    assert board_text(table)["hold-out error (points)"].to_list() == ["1.79", "0.10 (1 of 3 origins)"]


def test_the_legend_says_where_one_law_is_the_ensemble():
    alone = board(power_law={"weight": 1.0}, smooth_mixture={"weight": 0.0})
    said = "Where power_law has the weight 1.00 it is the ensemble by itself"
    assert said in " ".join(board_legend(alone, 0.95))
    mixed = board(power_law={"weight": 0.6}, smooth_mixture={"weight": 0.4})
    assert said not in " ".join(board_legend(mixed, 0.95))
