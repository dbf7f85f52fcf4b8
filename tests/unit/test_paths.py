"""A path is a name and nothing else: no pattern, no home directory, no address of a store."""

import json
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from itscale.errors import DataError
from itscale.importing.readers import open_sources
from itscale.importing.source import Source
from itscale.planning.plan import make_plan
from itscale.plugins.table_laws import _read
from itscale.store.parquet import (
    payload_hash,
    read_metadata,
    read_table,
    scan_table,
    write_batches,
    write_table,
)
from itscale.store.schemas import OUTCOMES
from itscale.study import load_study

NAMES = ("r[1]", "r?", "r*", "r[x", "{a}", "a b", "a\nb", "~", "~root", "-x", "s3:x", "%20", "<x>", "é漢")
SCHEMA = {"name": pl.String}


@pytest.fixture(autouse=True)
def among_patterns(tmp_path, monkeypatch):
    """Work in a directory that is a pattern, beside one that it matches, among files that the names match."""
    for folder in ("w[1]", "w1"):
        (tmp_path / folder).mkdir()
        monkeypatch.chdir(tmp_path / folder)
        for name in ("r1", "rx"):
            write_table(pl.DataFrame({"name": ["another"]}), Path(f"{name}.parquet"), {"name": "another"})
            Path(f"{name}.csv").write_text("problem,correct,answer\na,0,another\n")
            Path(f"{name}.jsonl").write_text('{"problem": "a", "correct": 0, "answer": "another"}\n')
    monkeypatch.chdir(tmp_path / "w[1]")


@pytest.mark.parametrize("name", NAMES)
def test_tables_are_written_and_read_by_their_very_name(name):
    path = Path(f"{name}.parquet")
    frame = pl.DataFrame({"name": [name]})
    write_table(frame, path, {"name": name})
    hashed = payload_hash(path)
    assert read_table(path, SCHEMA)["name"][0] == name
    assert read_table(path, SCHEMA, ["name"])["name"][0] == name
    assert scan_table(path, SCHEMA).collect()["name"][0] == name
    assert read_metadata(path) == {"name": name}
    assert _read(path, "laws.x")["name"][0] == name
    write_batches([frame], SCHEMA, path, {})
    assert read_table(path, SCHEMA)["name"][0] == name
    assert not list(Path().glob(".*.tmp"))
    assert payload_hash(Path("r1.parquet")) != hashed


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".json", ".parquet"])
@pytest.mark.parametrize("name", NAMES)
def test_results_are_imported_from_the_file_that_is_named(name, ending):
    path = Path(f"{name}{ending}")
    row = {"problem": "a", "correct": 1, "answer": name.replace("\n", " ")}
    if ending == ".parquet":
        pl.DataFrame([row]).write_parquet(str(path.absolute()))
    elif ending == ".json":
        path.write_text(json.dumps([row]))
    elif ending == ".jsonl":
        path.write_text(json.dumps(row) + "\n")
    else:
        path.write_text(pl.DataFrame([row]).write_csv(separator="\t" if ending == ".tsv" else ","))
    source = Source.find([path])
    assert open_sources(source.paths, source.columns).collect()["answer"][0] == row["answer"]


def test_what_is_not_there_is_not_found_by_a_pattern():
    for path in (Path("r[1].parquet"), Path("r?.parquet")):
        for read in (read_metadata, payload_hash, lambda path: read_table(path, OUTCOMES)):
            with pytest.raises(DataError, match=r"missing|no such file"):
                read(path)


def test_snakemake_is_not_told_of_names_in_which_it_would_fill_something_in():
    paths = ["a{b}.csv", "<x>.csv", "r[1].csv"]
    for at, path in enumerate(paths):
        Path(path).write_text(f"problem,n,correct\na,10,{at}\nb,10,5\n")
    outcomes = {f"o{at}": {"path": path, "task": "sums"} for at, path in enumerate(paths)}
    study = {"study": "tiny", "outcomes": outcomes, "selectors": ["oracle"]}
    Path("study.yaml").write_text(json.dumps(study))
    plan = make_plan(load_study(Path("study.yaml")), Path("results"))
    for label, path, watched in zip(outcomes, paths, ([], [], ["r[1].csv"]), strict=True):
        place = SimpleNamespace(task="sums", model=label, strategy="repeated_sampling")
        assert plan.source_files(place) == watched
        files = plan.depends("outcomes", place).get("files", {})
        assert files == ({} if watched else {path: payload_hash(Path(path))})
