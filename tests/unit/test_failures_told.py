"""What is missing is told with every reason, and no reason or id reaches a reader's terminal as it came."""

import polars as pl
import pytest

from itscale.stages.failures import missing_lines
from itscale.store.parquet import write_csv
from itscale.store.schemas import FAILURES, MISSING

PLACE = {"task": "sums", "model": "toy", "strategy": "repeated_sampling"}


def lines_of(reasons: list[str]) -> list[str]:
    missing = dict.fromkeys(MISSING, 0) | PLACE | {"units": 12, "failed_units": len(reasons)}
    failures = [dict.fromkeys(FAILURES) | PLACE | {"reason": reason} for reason in reasons]
    return missing_lines(
        pl.DataFrame([missing], schema=dict(MISSING)), pl.DataFrame(failures, schema=dict(FAILURES))
    )


@pytest.mark.parametrize(
    ("reasons", "said"),
    [
        (["timeout"], "; timeout"),
        (["timeout", "timeout"], "; timeout"),
        (["status 500", "timeout"], "; 1 x status 500; 1 x timeout"),
        (["b", "a", "b"], "; 2 x b; 1 x a"),
        (["a", "b", "c", "d", "e"], "; 1 x a; 1 x b; 1 x c; and 2 more reasons"),
    ],
)
def test_each_reason_is_told_with_how_often_it_is_one(reasons, said) -> None:
    (line,) = lines_of(reasons)
    assert line.endswith(f"units failed (0 completions missing){said}")


def test_a_csv_for_readers_has_no_noise_and_nothing_that_a_terminal_obeys(tmp_path) -> None:
    table = pl.DataFrame({"id": ["\x1b[31mred", "a\x07b"], "share": [0.41250000000000026, 1 / 3]})
    write_csv(table, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_text() == "id,share\n\\x1b[31mred,0.4125\na\\x07b,0.333333333333\n"
