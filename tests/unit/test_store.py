"""A file is whole or absent, says where it comes from, and a damaged one is an error a user understands."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itscale.errors import DataError
from itscale.provenance.merging import MergeConflictError, merge
from itscale.store.parquet import (
    atomic_path,
    content_fault,
    payload_hash,
    read_metadata,
    read_table,
    write_batches,
    write_table,
    write_text,
)
from itscale.store.schemas import COMPLETIONS, LEDGER, TREES

SCHEMA = {"name": pl.String, "value": pl.Float64}
FRAME = pl.DataFrame({"name": ["a", "b"] * 50, "value": [0.5, None] * 50}, schema=SCHEMA)


def test_a_table_and_its_metadata_come_back(tmp_path: Path) -> None:
    path, metadata = (
        tmp_path / "deep" / "table.parquet",
        {"versions": {"polars": "x"}, "count": 3, "text": "ü"},
    )
    write_table(FRAME, path, metadata)
    assert read_table(path, SCHEMA).equals(FRAME)
    assert read_metadata(path) == metadata
    assert [found.name for found in path.parent.iterdir()] == ["table.parquet"]


def test_a_writer_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "text"
    write_text(path, "old")

    def fail() -> None:
        with atomic_path(path) as temporary:
            temporary.write_text("half")
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError, match="midway"):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


KILLED = """
import os, signal, sys
from pathlib import Path
from itscale.store.parquet import atomic_path
with atomic_path(Path(sys.argv[1])) as temporary:
    temporary.write_bytes(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_nothing_under_the_name(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    killed = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not path.exists()
    assert not list(tmp_path.glob("*.parquet"))
    write_text(path, "whole")
    assert list(tmp_path.iterdir()) == [path]  # nor beside it, once it is written again
    write_table(FRAME, path, {})
    assert read_table(path, SCHEMA).equals(FRAME)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "table.parquet"
    write_table(FRAME, path, {"a": 1})
    return path.read_bytes()


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_truncated_file_is_a_data_error(tmp_path: Path, whole: bytes, data: st.DataObject) -> None:
    path = tmp_path / "table.parquet"
    path.write_bytes(whole[: data.draw(st.integers(0, len(whole) - 1))])
    with pytest.raises(DataError, match=r"table\.parquet: not a whole parquet file"):
        read_table(path, SCHEMA)
    with pytest.raises(DataError, match=r"table\.parquet: "):
        read_metadata(path)
    assert len(payload_hash(path)) == 64


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_damaged_file_is_read_or_a_data_error(tmp_path: Path, whole: bytes, data: st.DataObject) -> None:
    path, damaged = tmp_path / "table.parquet", bytearray(whole)
    for _ in range(data.draw(st.integers(1, 8))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(damaged)
    for read in (lambda: read_table(path, SCHEMA), lambda: read_metadata(path)):
        with contextlib.suppress(DataError):  # any other exception is what this test looks for
            read()


def test_other_columns_are_named(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_table(FRAME.rename({"value": "valeu"}), path, {})
    with pytest.raises(DataError, match=r"no column 'value'; did you mean 'valeu'\?"):
        read_table(path, SCHEMA)
    write_table(FRAME.with_columns(value=pl.lit("text")), path, {})
    with pytest.raises(DataError, match="column 'value': found String, expected Float64"):
        read_table(path, SCHEMA)
    write_table(FRAME.with_columns(extra=1), path, {})
    assert "extra" in read_table(path, SCHEMA).columns


def test_missing_files_and_files_of_others(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    for read in (lambda: read_table(path, SCHEMA), lambda: read_metadata(path)):
        with pytest.raises(DataError, match="missing"):
            read()
    FRAME.write_parquet(path)
    assert read_table(path, SCHEMA).equals(FRAME)
    for footer in ({}, {"itscale": "[1, 2]"}, {"itscale": "[" * 100_000}):
        FRAME.write_parquet(path, metadata=footer)
        with pytest.raises(DataError, match="carries no itscale metadata"):
            read_metadata(path)


def test_the_payload_hash_is_of_data_not_of_the_footer(tmp_path: Path) -> None:
    one, two, other = (tmp_path / f"{name}.parquet" for name in ("one", "two", "other"))
    write_table(FRAME, one, {"seconds": 1.5})
    write_table(FRAME, two, {"seconds": 2.5, "host": "elsewhere"})
    write_table(FRAME.with_columns(value=pl.lit(0.25)), other, {"seconds": 1.5})
    assert one.read_bytes() != two.read_bytes()
    assert payload_hash(one) == payload_hash(two) != payload_hash(other)


def test_the_hash_of_other_files_is_of_every_byte(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n")
    before = payload_hash(path)
    path.write_text("a,b\n1,3\n")
    assert payload_hash(path) != before


def test_equal_tables_are_equal_files(tmp_path: Path) -> None:
    one, two = tmp_path / "one.parquet", tmp_path / "two.parquet"
    write_table(FRAME, one, {"a": 1, "b": 2})
    write_table(pl.concat([FRAME[:30], FRAME[30:]], rechunk=False), two, {"b": 2, "a": 1})
    assert one.read_bytes() == two.read_bytes()


def test_permissions_are_those_of_any_new_file(tmp_path: Path) -> None:
    mask = os.umask(0o022)
    try:
        write_text(tmp_path / "text", "shared")
    finally:
        os.umask(mask)
    assert (tmp_path / "text").stat().st_mode & 0o777 == 0o644


FOOTER = {"stage": "test", "fingerprint": {"option": "0" * 64, "prompt": '"content": "'}}


def rewritten(path: Path, frame: pl.DataFrame, **changes: str) -> None:
    """Write other rows under the footer that is there, as whoever edits a table does."""
    footer = json.loads(pl.read_parquet_metadata(path)["itscale"]) | changes
    frame.write_parquet(path, metadata={"itscale": json.dumps(footer)})


@pytest.mark.parametrize("batches", [False, True])
@pytest.mark.parametrize("frame", [FRAME, FRAME.clear()], ids=["rows", "none"])
def test_rows_that_were_changed_under_a_footer_are_found_out(
    tmp_path: Path, frame: pl.DataFrame, batches: bool
) -> None:
    path = tmp_path / "a.parquet"
    if batches:
        write_batches([frame], SCHEMA, path, FOOTER)
    else:
        write_table(frame, path, FOOTER)
    assert read_metadata(path) == FOOTER  # the record of the content is none of it
    assert content_fault(path) == ""
    assert read_table(path, SCHEMA).equals(frame)
    was = payload_hash(path)
    rewritten(path, frame.vstack(pl.DataFrame({"name": ["c"], "value": [1.0]})))
    fault = content_fault(path)
    assert fault.startswith("changed since it was written")
    assert was[:12] in fault
    assert payload_hash(path)[:12] in fault


def test_a_table_without_a_record_of_its_content_is_what_its_manifest_says(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    FRAME.write_parquet(path, metadata={"itscale": json.dumps(FOOTER)})
    assert content_fault(path) == ""
    assert content_fault(path, payload_hash(path)) == ""
    assert content_fault(path, "0" * 64).startswith("changed")


def test_a_block_that_was_changed_is_not_merged(tmp_path: Path) -> None:
    block = tmp_path / "there/results/s/completions/t/m/r/p00000-00001_c00000-00001.parquet"
    ledger = tmp_path / "there/results/s/ledger/t/m/r" / block.name
    trees = tmp_path / "there/results/s/trees/t/m/r" / block.name
    for path, schema in ((block, COMPLETIONS), (ledger, LEDGER), (trees, TREES)):
        path.parent.mkdir(parents=True)
        write_table(pl.DataFrame(schema=dict(schema)), path, FOOTER)
    rewritten(ledger, pl.DataFrame({name: [None] for name in LEDGER}, schema=dict(LEDGER)))
    with pytest.raises(MergeConflictError, match="changed since it was written"):
        merge([tmp_path / "there"], tmp_path / "into")
