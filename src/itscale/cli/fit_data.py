"""Data of `itscale fit`: outcomes, counts, a curve or a series, told apart by their columns."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from itscale.curves.pools import open_outcomes
from itscale.errors import DataError, StudyError, nearest
from itscale.estimators import k_grid
from itscale.fitting import Evidence, evidence_of_curve, origins_of_curve
from itscale.importing.columns import check_columns
from itscale.importing.delimited import open_delimited
from itscale.importing.files import UNREADABLE, check_file, reason
from itscale.importing.readers import Where
from itscale.importing.source import Source
from itscale.importing.values import number, shown
from itscale.outcomes import DESIGNS
from itscale.stages.fits import pool_evidence
from itscale.stages.imports import import_outcomes

__all__ = ["read_evidence"]

CURVES = (("k", "coverage"), ("x", "y"))
"""Names of the columns of a curve."""

_K, _Y = pl.col("k"), pl.col("coverage")
_SHARES = (
    ("k", (_K >= 1) & (_K.round() == _K), "a whole number of at least 1"),
    ("coverage", _Y.is_between(0, 1), "a share in [0, 1]; a law with the option `response: value` takes any"),
)
_VALUES = (
    ("k", _K.is_finite() & (_K > 0), "a number above 0"),
    ("coverage", _Y.is_finite(), "a number"),
)


def read_evidence(
    path: Path,
    columns: Mapping[str, str],
    design: str | None,
    shares: Sequence[int],
    *,
    series: bool = False,
    where: Where | None = None,
    successes: int | None = None,
) -> tuple[Evidence | None, list[Evidence], bool]:
    """Return what a file shows, what 1/share of it would have shown, and whether it is simulated.

    Parameters
    ----------
    path
        A curve (`k`, `coverage`), a series (`x`, `y`), or whatever `itscale import` takes.
    columns
        The column of each field; by the fields' names if left out.
    design
        How the number of attempts came about; what the file says, else fixed, if left out.
    shares
        Origins of the hold-out. Of a curve, they are smaller budgets; of counts without an order of
        completions, random parts of each problem's.
    series
        Whether what is fitted takes any y(x), x > 0, and not coverage of k completions.
    where
        Which rows of outcomes are meant; all of them if left out.
    successes
        Of the design `until_success`: after how many correct attempts a problem was left.

    Raises
    ------
    DataError, StudyError
        If the file is missing, damaged, or not what it should be.
    """
    if design is not None and design not in DESIGNS:
        raise StudyError(f"--design: found {design!r}; {nearest(design, DESIGNS)}")
    if pair := _curve_columns(path, columns):
        if where:
            raise StudyError(f"--where: found {next(iter(where))!r}, expected none: {path} is a curve")
        curve = _read_curve(path, *pair, series=series)
        return curve, origins_of_curve(curve, shares), False
    with tempfile.TemporaryDirectory() as folder:
        imported = Path(folder) / "outcomes.parquet"
        mapping = check_columns(columns, "--columns") if columns else None
        import_outcomes(Source.find([path], mapping, design, where, None, successes), imported)
        outcomes = open_outcomes(imported)
        smallest = int(outcomes.counts().sampled.min())
        everything, origins = pool_evidence(outcomes, k_grid(smallest), shares)
        return everything, origins, outcomes.simulated


def _curve_columns(path: Path, columns: Mapping[str, str]) -> tuple[str, str] | None:
    """Return the names of k and coverage if the file is a curve."""
    for pair in CURVES:
        if set(columns) == set(pair):
            return columns[pair[0]], columns[pair[1]]
    if columns:
        return None
    names = _open(path).collect_schema().names()
    return next((pair for pair in CURVES if set(pair) <= set(names)), None)


def _open(path: Path) -> pl.LazyFrame:
    kind = check_file(path)
    if kind == ".parquet":
        try:
            table = pl.scan_parquet(path, glob=False)
            table.collect_schema()
        except UNREADABLE as error:
            raise DataError(f"{path}: cannot be read as parquet: {reason(error)}") from None
        return table
    if kind in (".csv", ".tsv"):
        return open_delimited(path, kind)
    return pl.LazyFrame()  # no curve is written as JSON; what is no table at all, the import says


def _read_curve(path: Path, k: str, coverage: str, *, series: bool) -> Evidence:
    table = _open(path)
    names = table.collect_schema().names()
    for name in (k, coverage):
        if name not in names:
            raise DataError(f"{path}: no column {name!r}; {nearest(name, names)}")
    kinds = table.collect_schema()
    try:
        found = (
            table.select(
                *(pl.col(name).alias(f"{field} found") for field, name in (("k", k), ("coverage", coverage))),
                k=number(k, kinds[k]),
                coverage=number(coverage, kinds[coverage]),
            )
            .with_row_index("row", offset=1)
            .collect()
        )
    except UNREADABLE as error:
        raise DataError(f"{path}: {reason(error)}") from None
    if found.is_empty():
        raise DataError(f"{path}: no rows, expected points of a curve")
    for name, good, expected in _VALUES if series else _SHARES:
        wrong = found.filter(~good.fill_null(False))
        if not wrong.is_empty():
            row = wrong.row(0, named=True)
            column = k if name == "k" else coverage
            value = shown(row[f"{name} found"])
            raise DataError(f"{path}: row {row['row']}: {column}: found {value}, expected {expected}")
    if found["k"].is_duplicated().any():
        twice = found.filter(found["k"].is_duplicated())["k"][0]
        raise DataError(f"{path}: {k} = {twice:g} appears twice, expected each once")
    values = found["k"].to_numpy(), found["coverage"].to_numpy()
    return evidence_of_curve(*values, kind="series" if series else "coverage")
