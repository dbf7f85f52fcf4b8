"""Tables of observations that a study names: which columns a law reads, which rows, and what is wrong."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import polars as pl
from pydantic import Field

from itscale.errors import DataError, nearest, nearest_file
from itscale.messages.numbers import counted
from itscale.outcomes import FloatArray, IntArray
from itscale.plugins.entries import Options
from itscale.plugins.laws import FitFailure, FitWarning, TableData, TableLaw
from itscale.store.parquet import literal

__all__ = [
    "RESPONSE",
    "Centred",
    "Derived",
    "Frontier",
    "Labelled",
    "Table",
    "TableOptions",
    "load_table",
    "table_file",
    "usable_rows",
]

RESPONSE = "response"
"""Name of the response among the `columns` of a table."""

MISSING = ["NA", "N/A", "NaN", "nan", "null"]


class TableOptions(Options):
    """Options every tabular law has: where its observations are."""

    file: Path
    """Table of observations, relative to the working directory: CSV with a heading, or parquet."""
    columns: dict[str, str] = Field(default={})
    """Column of the file by the law's name for it (an input, or `response`); the same name if left out."""
    where: dict[str, str | float | tuple[str | float, ...]] = Field(default={})
    """Rows to keep: by column of the file, the value or values it may have."""
    drop_highest: int = Field(default=0, ge=0)
    """So many rows with the highest response are left out."""
    groups: str | None = None
    """Column of what is resampled together (a family, an instance); each row by itself if left out."""
    cutoff: float | None = Field(default=None, gt=0)
    """Rows of a larger scale are held out; by `fits.origins` of the study if left out."""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Observations as a law sees them, with what is resampled together.

    Attributes
    ----------
    data
        The observations.
    groups
        Number of the group of each row, from 0, shape (rows,).
    remarks
        What was left out and why, for the table of fits.
    """

    data: TableData
    groups: IntArray
    remarks: tuple[str, ...] = ()

    def rows(self, chosen: IntArray) -> Table:
        """Return some of the rows, by number; a number may stand several times."""
        inputs = {name: values[chosen] for name, values in self.data.inputs.items()}
        data = TableData(inputs=inputs, response=self.data.response[chosen])
        return Table(data=data, groups=self.groups[chosen], remarks=self.remarks)

    def resample(self, rng: np.random.Generator) -> TableData:
        """Return as many groups as there are, drawn with replacement, with all of their rows."""
        order = np.argsort(self.groups, kind="stable")
        _, starts, sizes = np.unique(self.groups[order], return_index=True, return_counts=True)
        drawn = rng.integers(len(starts), size=len(starts))
        within = [order[starts[group] : starts[group] + sizes[group]] for group in drawn]
        return self.rows(np.concatenate(within)).data


@runtime_checkable
class Labelled(Protocol):
    """A law some of whose inputs are labels: a row has the number of its label in the list."""

    labels: Mapping[str, Sequence[str]]


@runtime_checkable
class Derived(Protocol):
    """A law with quantities that follow from its parameters, reported with intervals like these."""

    def derived(self, parameters: FloatArray) -> Mapping[str, float]:
        """Return each quantity by name; the same names for any parameters."""
        ...


@runtime_checkable
class Frontier(Protocol):
    """A law that says where to be at a scale: its forecasts go beyond the data along that path."""

    def frontier(self, parameters: FloatArray, scale: FloatArray) -> Mapping[str, FloatArray]:
        """Return the covariates to choose at each scale, each of the same shape."""
        ...


@runtime_checkable
class Centred(Protocol):
    """A law that is fitted with centred covariates, where its parameters hardly depend on each other."""

    def covariates(self, inputs: Mapping[str, FloatArray]) -> Mapping[str, FloatArray]:
        """Return the logs that must not be collinear, by name."""
        ...

    def jacobian(self, parameters: FloatArray, data: TableData) -> FloatArray:
        """Return the derivatives of what is fitted by the centred parameters, shape (rows, parameters)."""
        ...


def table_file(options: TableOptions) -> dict[str, Path]:
    """Return the file that the options name, as `LawEntry.files`."""
    return {"file": options.file}


def load_table(law: TableLaw, options: TableOptions, place: str) -> Table:
    """Read what a law is fitted to.

    Parameters
    ----------
    law
        The law: which inputs it reads, and which of them are labels.
    options
        File, columns and rows.
    place
        How messages call the law: its place in the study.

    Raises
    ------
    DataError
        If the file is missing or damaged, lacks a column, has a cell that is no number (or no known label),
        or no row is left.
    """
    frame = _read(options.file, place)
    reader = _Reader(frame.with_row_index("", offset=1), options, place, tuple(law.inputs))
    labels = law.labels if isinstance(law, Labelled) else {}
    return reader.table(labels)


class _Reader:
    """Takes columns out of a table, naming the place of whatever is wrong; `""` is the row's number."""

    def __init__(
        self, frame: pl.DataFrame, options: TableOptions, place: str, inputs: tuple[str, ...]
    ) -> None:
        self.frame = frame
        self.options = options
        self.inputs = inputs
        self.place = place
        self.where = f"{place}: {options.file}"

    def table(self, labels: Mapping[str, Sequence[str]]) -> Table:
        """Return the chosen rows as numbers."""
        unknown = [name for name in self.options.columns if name not in (*self.inputs, RESPONSE)]
        if unknown:
            known = nearest(unknown[0], (*self.inputs, RESPONSE))
            raise DataError(f"{self.place}: columns: the law has no input {unknown[0]!r}; {known}")
        self._filter()
        response = self._numbers(self._column(RESPONSE))
        remarks = self._drop(response)
        kept = np.sort(np.argsort(response, kind="stable")[: len(response) - len(remarks.dropped)])
        self.frame = self.frame[kept]
        inputs = {
            name: self._labels(self._column(name), labels[name])
            if name in labels
            else self._numbers(self._column(name))
            for name in self.inputs
        }
        if self.frame.is_empty():
            raise DataError(f"{self.where}: no row is left, expected observations")
        data = TableData(inputs=inputs, response=response[kept])
        return Table(data=data, groups=self._groups(), remarks=remarks.said)

    def _filter(self) -> None:
        for column, value in self.options.where.items():
            values = value if isinstance(value, tuple) else (value,)
            self._known(column, "where")
            cells = pl.col(column)
            match = cells.cast(pl.String).is_in([str(v) for v in values])
            numbers = [float(v) for v in values if not isinstance(v, str)]
            match |= cells.cast(pl.Float64, strict=False).is_in(numbers)
            self.frame = self.frame.filter(match.fill_null(False))
            if self.frame.is_empty():
                raise DataError(f"{self.where}: no row has {column} = {' or '.join(map(str, values))}")

    def _drop(self, response: FloatArray) -> _Dropped:
        missing, highest = int(np.isnan(response).sum()), self.options.drop_highest
        said = []
        if missing:
            said.append(f"{counted(missing, 'row')} without a response left out")
        if highest:
            said.append(f"{counted(highest, 'row')} of the highest response left out")
        return _Dropped(range(min(missing + highest, len(response))), tuple(said))

    def _column(self, name: str) -> str:
        column = self.options.columns.get(name, name)
        self._known(column, f"columns.{name}")
        return column

    def _known(self, column: str, key: str) -> None:
        known = self.frame.columns[1:]
        if column not in known:
            raise DataError(f"{self.where}: no column {column!r} ({key}); {nearest(column, known)}")

    def _numbers(self, column: str) -> FloatArray:
        cells = self.frame[column]
        numbers = cells.cast(pl.Float64, strict=False)
        wrong = (cells.is_not_null() & numbers.is_null()) | numbers.is_infinite().fill_null(False)
        if wrong.any():
            row = self.frame.filter(wrong).row(0, named=True)
            raise DataError(
                f"{self.where}: row {row['']}: {column}: found {row[column]!r}, expected a number"
            )
        return numbers.fill_null(np.nan).to_numpy()

    def _labels(self, column: str, known: Sequence[str]) -> FloatArray:
        for number, label in zip(self.frame[""], self.frame[column].cast(pl.String), strict=True):
            if label not in known:
                hint = nearest(str(label), known)
                raise DataError(f"{self.where}: row {number}: {column}: unknown label {label!r}; {hint}")
        places = {label: float(at) for at, label in enumerate(known)}
        return np.array([places[label] for label in self.frame[column].cast(pl.String)])

    def _groups(self) -> IntArray:
        if self.options.groups is None:
            return np.arange(len(self.frame))
        self._known(self.options.groups, "groups")
        groups = self.frame[self.options.groups].cast(pl.String)
        return groups.rank("dense").fill_null(0).cast(pl.Int64).to_numpy()


@dataclass(frozen=True)
class _Dropped:
    """Places in the order of the response, from its end, that are left out, and what is said of it."""

    dropped: range
    said: tuple[str, ...]


def _read(path: Path, place: str) -> pl.DataFrame:
    if not path.is_file():
        hint = f"{nearest_file(path)} (looked from {Path.cwd().name!r})"
        raise DataError(f"{place}: {path}: no such file; {hint}")
    try:
        if path.suffix == ".parquet":
            return pl.read_parquet(literal(path), glob=False)
        # cells stay text: whatever is no number is named with its row
        return pl.read_csv(literal(path), glob=False, infer_schema=False, null_values=MISSING)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        reason = " ".join(str(error).split())[:120]
        raise DataError(f"{place}: {path}: cannot be read as a table ({reason})") from None


def usable_rows(
    data: TableData, least: int, positive: Sequence[str] = (), missing: Sequence[str] = ()
) -> TableData:
    """Return the rows a law can use, saying how many that leaves out.

    Parameters
    ----------
    data
        The observations.
    least
        How many rows the law needs at least.
    positive
        Inputs (or `response`) whose logarithm is taken.
    missing
        Inputs that may be missing.

    Raises
    ------
    FitFailure
        If fewer rows are left, or a number is not above 0 that has to be.
    """
    columns = {**data.inputs, RESPONSE: data.response}
    whole = np.ones(len(data.response), dtype=bool)
    for name, values in columns.items():
        whole &= np.isfinite(values) | (name in missing)
        below = int(np.sum(values <= 0)) if name in positive else 0
        if below:
            raise FitFailure(
                f"{name}: {counted(below, 'row')} not above 0, expected numbers with a logarithm"
            )
    if whole.sum() < least:
        raise FitFailure(f"found {counted(int(whole.sum()), 'complete row')}, expected at least {least}")
    if not whole.all():
        left_out = f"{counted(int(np.sum(~whole)), 'row')} with missing cells left out"
        warnings.warn(left_out, FitWarning, stacklevel=2)
    inputs = {name: values[whole] for name, values in data.inputs.items()}
    return TableData(inputs=inputs, response=data.response[whole])
