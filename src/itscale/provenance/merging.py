"""Merging what several machines made of one study: blocks, ledgers, verdicts. The rest is made from them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import polars as pl

from itscale.errors import DataError, UserError
from itscale.provenance.fingerprints import differences
from itscale.sampling.blocks import Block
from itscale.store.directory import hold
from itscale.store.parquet import atomic_path, content_fault, payload_hash, read_metadata, read_table
from itscale.store.schemas import COMPLETION_KEY, COMPLETIONS, LEDGER, PROBLEMS, VERDICTS, Schema
from itscale.store.snakemake import snakemake_record

__all__ = ["MergeConflictError", "Merged", "merge"]

"""Columns that say which completion a row is."""
BESIDE = ("ledger", "trees")
"""Kinds of tables that come with a block. Trees may differ between two places: a study says how much of them
is kept, and of what is cancelled, timing says how much there was."""
CLOCK = ("seconds",)
"""Columns that differ between two runs of the same thing."""


class MergeConflictError(UserError):
    """Two places hold results that cannot both be right."""


@dataclass
class Merged:
    """What a merge of one study did, in files.

    Attributes
    ----------
    blocks
        Blocks taken, by the place they came from.
    shared
        Blocks that several places hold, all the same.
    verdicts
        Files of verdicts taken.
    left_out
        One line for each block that another, preferred one stood against.
    unrecorded
        Blocks whose place has no record of Snakemake's of how they were made.
    """

    blocks: dict[Path, int] = field(default_factory=dict)
    shared: int = 0
    verdicts: int = 0
    left_out: list[str] = field(default_factory=list)
    unrecorded: int = 0


@dataclass(frozen=True)
class _Piece:
    """A block of completions in one of the places."""

    place: Path
    study: str
    combination: tuple[str, ...]
    block: Block

    def path(self, kind: str = "completions", *folder: str) -> Path:
        return self.place / self.relative(kind, *folder)

    def relative(self, kind: str = "completions", *folder: str) -> Path:
        return Path("results", self.study, kind, *self.combination, *folder, f"{self.block.name}.parquet")


def merge(sources: Sequence[Path], into: Path, prefer: Path | None = None) -> dict[str, Merged]:
    """Bring the blocks of several directories, and the verdicts on them, into one; return what was done.

    Nothing is written before everything is checked. A block that is the same in several places is taken once.
    What is already in `into` stays there, byte for byte, unless another place is preferred to it.

    Parameters
    ----------
    sources
        Directories in which a study ran.
    into
        The directory to run the study in afterwards; it may hold some of its blocks, or nothing.
    prefer
        One of the places: where others contradict it, it is right, and they are left out.

    Raises
    ------
    MergeConflictError
        If places contradict each other: a block with two contents, blocks of other fingerprints, or blocks
        that overlap without being the same.
    DataError
        If a source holds no blocks, or a file is damaged.
    UserError
        If a run works in `into`.
    """
    for source in sources:
        if not any(source.glob("results/*/completions/*/*/*/*.parquet")):
            raise DataError(
                f"{source}: no results/*/completions there; name directories in which a study ran"
            )
    into.mkdir(parents=True, exist_ok=True)
    hold(into)
    places = list(dict.fromkeys(path.resolve() for path in (into, *sources)))
    if prefer is not None:
        if prefer.resolve() not in places:
            raise UserError(f"--prefer {prefer}: expected one of {', '.join(map(str, [into, *sources]))}")
        places.sort(key=lambda place: place != prefer.resolve())
    names = sorted({path.parent.name for place in places for path in place.glob("results/*/completions")})
    merges = {name: _Merge(name, places, into.resolve(), prefer is not None) for name in names}
    for one in merges.values():
        one.check()
    return {name: one.write() for name, one in merges.items()}


class _Merge:
    """The merge of one study: `check` decides what is taken, `write` takes it."""

    def __init__(self, study: str, places: Sequence[Path], into: Path, lenient: bool) -> None:
        self.study = study
        self.places = places
        self.into = into
        self.lenient = lenient
        self.taken: dict[Path, _Piece] = {}
        self.dropped: list[_Piece] = []
        self.verdicts: dict[Path, Path] = {}
        self.problems: dict[Path, Path] = {}
        self.done = Merged()

    def check(self) -> None:
        for combination, pieces in self._pieces().items():
            self._check_combination(pieces)
            self._check_overlaps([p for p in self.taken.values() if p.combination == combination])
        for path in self._files("problems/*.parquet"):
            self._check_problems(path)
        for piece in self.taken.values():
            self._check_verdicts(piece)

    def write(self) -> Merged:
        """Copy what was decided on, inputs before what was made of them, so that times are in order, too."""
        for piece in self.dropped:
            if piece.place == self.into:  # it would stand in the way of the preferred one
                piece.path().unlink()
                for kind in BESIDE:
                    piece.path(kind).unlink(missing_ok=True)
        for relative, source in self.problems.items():
            self._copy(relative, source)
        for relative, piece in self.taken.items():
            self.done.blocks[piece.place] = self.done.blocks.get(piece.place, 0) + 1
            for kind in BESIDE:
                self._copy(piece.relative(kind), piece.place)
            self.done.unrecorded += not self._copy(relative, piece.place)
        for relative, place in self.verdicts.items():
            self.done.verdicts += 1
            self._copy(_ledger_of(relative), place)
            self._copy(relative, place)
        return self.done

    def _pieces(self) -> dict[tuple[str, ...], list[_Piece]]:
        found: dict[tuple[str, ...], list[_Piece]] = {}
        for place in self.places:
            for path in sorted((place / "results" / self.study / "completions").glob("*/*/*/p*.parquet")):
                try:
                    block = Block.parse(path.stem)
                except ValueError:
                    continue  # someone else's file
                piece = _Piece(place, self.study, path.parts[-4:-1], block)
                for kind in BESIDE:
                    if not piece.path(kind).is_file():
                        raise DataError(f"{piece.path(kind)}: missing, expected the {kind} of {path}")
                found.setdefault(piece.combination, []).append(piece)
        return found

    def _files(self, pattern: str) -> list[Path]:
        pattern = f"results/{self.study}/{pattern}"
        return sorted({path.relative_to(place) for place in self.places for path in place.glob(pattern)})

    def _check_combination(self, pieces: Sequence[_Piece]) -> None:
        """Take every block once; all must be of one fingerprint."""
        first = pieces[0]
        for piece in pieces:
            changed = next(filter(None, map(content_fault, map(piece.path, ("completions", *BESIDE)))), "")
            fault = changed or _other_origin(first, piece)
            rival = self.taken.get(piece.relative())
            if not fault and rival is None:
                self.taken[piece.relative()] = piece
                continue
            fault = fault or self._contradiction(rival or first, piece)
            if fault:
                self._refuse(piece, fault)
                continue
            self.done.shared += 1
            if piece.place == self.into:  # stays as it is
                self.taken[piece.relative()] = piece

    def _contradiction(self, rival: _Piece, piece: _Piece) -> str:
        """Say what differs between two blocks of one name, nothing if they are the same."""
        for kind, schema in (("completions", COMPLETIONS), ("ledger", LEDGER)):
            said = _difference(rival.path(kind), piece.path(kind), schema)
            if said:
                origin = read_metadata(piece.path()).get("fingerprint", {})
                return f"{said}, though both are of one fingerprint (seed {origin.get('seed')})"
        return ""

    def _check_overlaps(self, pieces: Sequence[_Piece]) -> None:
        """Refuse blocks that hold the same completions but are cut differently."""
        for one, other in combinations(pieces, 2):
            if other in self.dropped or one in self.dropped or not _overlap(one.block, other.block):
                continue
            both = _identities(one.path()).join(_identities(other.path()), on=COMPLETION_KEY)
            # The preferred place comes first in `pieces`, and so does what is there already.
            self._refuse(
                other,
                f"holds {both.height} completions that {one.path()} holds, too, in blocks cut differently",
            )
            self.taken.pop(other.relative(), None)

    def _check_problems(self, relative: Path) -> None:
        """Take the longest table of problems, of which the others are beginnings."""
        there = [place for place in self.places if (place / relative).is_file()]
        tables = {place: read_table(place / relative, PROBLEMS).select(list(PROBLEMS)) for place in there}
        longest = max(there, key=lambda place: tables[place].height)
        for place, table in tables.items():
            if not table.equals(tables[longest].head(table.height)):
                raise MergeConflictError(
                    f"{place / relative}: other problems than in {longest / relative}; blocks of the two "
                    "cannot be merged"
                )
        self.problems[relative] = longest

    def _check_verdicts(self, piece: _Piece) -> None:
        """Take verdicts on a block from wherever it was judged, if they are on its very content."""
        folder = f"verdicts/{'/'.join(piece.combination)}/*/{piece.block.name}.parquet"
        content = payload_hash(piece.path()) if (found := self._files(folder)) else ""
        for relative in found:
            for place in self.places:
                path = place / relative
                ledger = place / _ledger_of(relative)
                if not (path.is_file() and ledger.is_file()):  # made anew, where one is missing
                    continue
                if read_metadata(path).get("inputs", {}).get("completions") != content:
                    continue
                first = self.verdicts.setdefault(relative, place)
                said = _difference(first / relative, path, VERDICTS)
                said = said or _difference(first / _ledger_of(relative), ledger, LEDGER)
                if said and not self.lenient:
                    raise MergeConflictError(f"{path}: {said}; say which place is right with --prefer")

    def _refuse(self, piece: _Piece, fault: str) -> None:
        if not self.lenient:
            raise MergeConflictError(f"{piece.path()}: {fault}; say which place is right with --prefer")
        self.dropped.append(piece)
        self.done.left_out.append(f"{piece.path()}: {fault}")

    def _copy(self, relative: Path, place: Path) -> bool:
        """Copy a file unless it is there, with the record of how it was made; return whether there is one.

        Its time is now: a file older than the script that would make it counts as out of date.
        """
        if place != self.into:
            with atomic_path(self.into / relative) as temporary:
                shutil.copyfile(place / relative, temporary)
        record = snakemake_record(place, relative)
        if place != self.into and record.is_file():
            with atomic_path(snakemake_record(self.into, relative)) as temporary:
                shutil.copyfile(record, temporary)
        return record.is_file()


def _ledger_of(verdicts: Path) -> Path:
    """Return where the ledger of a table of verdicts is: at the same place, in another folder."""
    results, study, _, *below = verdicts.parts
    return Path(results, study, "ledger", *below)


def _other_origin(first: _Piece, piece: _Piece) -> str:
    """Say in what two blocks' fingerprints differ, nothing if they belong to one study."""
    ours, theirs = (read_metadata(one.path()).get("fingerprint", {}) for one in (first, piece))
    keys = ["seed", "sampling", *(["problems"] if first.block == piece.block else [])]
    for name, found, expected in differences(
        {k: theirs.get(k) for k in keys}, {k: ours.get(k) for k in keys}
    ):
        return f"of another fingerprint: {name}: found {found!r}, expected {expected!r} as in {first.path()}"
    return ""


def _difference(one: Path, other: Path, schema: Schema) -> str:
    """Say in what two tables differ, apart from clocks; nothing if in nothing."""
    if one == other or payload_hash(one) == payload_hash(other):
        return ""
    columns = [name for name in schema if name not in CLOCK]
    ours, theirs = (read_table(path, schema).select(columns) for path in (one, other))
    if ours.height != theirs.height:
        return f"found {theirs.height} rows, expected {ours.height} as in {one}"
    for name in columns:
        differs = ours[name].ne_missing(theirs[name])
        if differs.any():
            row = theirs.row(differs.arg_max() or 0, named=True)
            where = ", ".join(f"{key} {row[key]}" for key in COMPLETION_KEY if key in row)
            return f"another {name} than {one} ({where})"
    return ""


def _overlap(one: Block, other: Block) -> bool:
    return (
        one.budget == other.budget
        and one.problem_start < other.problem_stop
        and other.problem_start < one.problem_stop
        and one.start < other.stop
        and other.start < one.stop
    )


def _identities(path: Path) -> pl.DataFrame:
    return read_table(path, COMPLETIONS).select(COMPLETION_KEY)
