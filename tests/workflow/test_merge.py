"""Two machines, one study: `itscale merge`, then a run that only makes what depends on both."""

import shutil

import polars as pl
import pytest
from workspace import PLACE, STUDY, Workspace, changed, new_workspace

from itscale.errors import DataError
from itscale.provenance.merging import MergeConflictError, merge
from itscale.store.parquet import payload_hash, read_metadata, write_table

FIRST, SECOND = "p00000-00006_c00000-00008", "p00000-00006_c00008-00016"
COMPLETIONS = f"results/tiny/completions/{PLACE}"


def without(finished: Workspace, folder, block: str) -> Workspace:
    """Return what a machine has that did not get to a block, nor to what depends on it."""
    copy = finished.copy(folder)
    for path in (copy.folder / "results/tiny").iterdir():
        if path.name not in ("problems", "completions", "ledger", "trees", "verdicts"):
            path.unlink() if path.is_file() else shutil.rmtree(path)
    shutil.rmtree(copy.folder / "reports")
    for path in (copy.folder / "results").rglob(f"{block}.parquet"):
        path.unlink()
    return copy


@pytest.fixture
def machines(finished, tmp_path):
    # Names that are patterns to whoever looks for one: the first would find the second's files.
    return without(finished, tmp_path / "run[1]", SECOND), without(finished, tmp_path / "run1", FIRST)


@pytest.fixture
def empty(tmp_path):
    (tmp_path / "merged").mkdir()
    return new_workspace(tmp_path / "merged")


def rewrite(machine: Workspace, block: str, change, **metadata) -> None:
    path = machine.folder / COMPLETIONS / f"{block}.parquet"
    write_table(change(pl.read_parquet(path, glob=False)), path, read_metadata(path) | metadata)


@pytest.mark.slow
def test_what_two_machines_made_is_what_one_would_have_made(finished, machines, empty):
    one, two = machines
    done = empty.itscale("merge", str(one.folder), str(two.folder), "--into", ".")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("tiny: 2 blocks (1 of ")
    assert not done.stderr
    todo = empty.dry_run(STUDY)
    assert {"sampling", "verification", "problems"}.isdisjoint(todo.jobs)
    assert todo.jobs["outcomes"] == 1
    # Snakemake knows how the blocks were made: what would change them still does.
    assert empty.dry_run(changed("strategies.repeated_sampling.temperature", 0.7)).jobs["sampling"] == 2
    assert empty.dry_run(changed("strategies.repeated_sampling.completions", 20)).jobs["sampling"] == 1
    kept = {name: path.stat().st_mtime_ns for name, path in empty.files(COMPLETIONS).items()}
    run = empty.snakemake("--configfile", "study.yaml")
    assert run.returncode == 0, run.stderr
    assert empty.hashes() == finished.hashes()
    assert {name: path.stat().st_mtime_ns for name, path in empty.files(COMPLETIONS).items()} == kept


def test_a_block_that_both_have_is_taken_once_and_what_is_there_stays(finished, machines):
    one, _ = machines
    path = one.folder / COMPLETIONS / f"{FIRST}.parquet"
    before = path.stat()
    done = merge([finished.folder], one.folder)["tiny"]
    assert (done.shared, sum(done.blocks.values())) == (1, 2)
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    copied = one.folder / COMPLETIONS / f"{SECOND}.parquet"
    assert copied.read_bytes() == (finished.folder / COMPLETIONS / copied.name).read_bytes()


def test_ledgers_may_differ_in_seconds(finished, machines, tmp_path):
    path = machines[0].folder / "results/tiny/ledger" / PLACE / f"{FIRST}.parquet"
    slower = pl.read_parquet(path, glob=False).with_columns(pl.col("seconds") + 1)
    write_table(slower, path, read_metadata(path))
    assert merge([machines[0].folder, finished.folder], tmp_path / "new")["tiny"].shared == 1


def other_text(frame):
    return frame.with_columns(pl.when(pl.col("index") == 3).then(pl.lit("x")).otherwise("text").alias("text"))


def test_two_contents_of_a_block_are_refused_unless_one_is_preferred(finished, machines, tmp_path):
    one, _ = machines
    rewrite(one, FIRST, other_text)
    with pytest.raises(MergeConflictError) as caught:
        merge([finished.folder, one.folder], tmp_path / "new")
    said = str(caught.value)
    assert said.startswith(str(one.folder / COMPLETIONS / f"{FIRST}.parquet"))
    assert "another text than" in said
    assert "index 3" in said
    assert "of one fingerprint" in said
    assert not (tmp_path / "new/results").exists()  # nothing is taken before all is checked
    done = merge([finished.folder, one.folder], tmp_path / "new", prefer=one.folder)["tiny"]
    assert len(done.left_out) == 1
    taken = tmp_path / "new" / COMPLETIONS / f"{FIRST}.parquet"
    assert payload_hash(taken) == payload_hash(one.folder / COMPLETIONS / taken.name)
    # The verdicts on the other text are not taken with it.
    assert not list((tmp_path / "new/results/tiny/verdicts").rglob(f"{FIRST}.parquet"))


def test_blocks_of_another_fingerprint_are_refused(machines, tmp_path):
    one, two = machines
    origin = read_metadata(two.folder / COMPLETIONS / f"{SECOND}.parquet")["fingerprint"]
    origin["sampling"]["strategy"]["options"]["temperature"] = 0.7
    rewrite(two, SECOND, lambda frame: frame, fingerprint=origin)
    with pytest.raises(MergeConflictError, match=r"temperature: found 0\.7, expected 0\.8 as in"):
        merge([one.folder, two.folder], tmp_path / "new")


def test_blocks_cut_differently_are_found_by_their_completions(finished, machines, tmp_path):
    one, two = machines
    for kind in ("completions", "ledger", "trees"):
        path = two.folder / f"results/tiny/{kind}/{PLACE}/{SECOND}.parquet"
        path.rename(path.with_name("p00000-00006_c00004-00016.parquet"))
    rewrite(two, "p00000-00006_c00004-00016", lambda f: f.with_columns(pl.col("index") - 4))
    with pytest.raises(MergeConflictError, match=r"c00004-00016.parquet: holds 24 completions that .*cut"):
        merge([one.folder, two.folder], tmp_path / "new")
    done = merge([one.folder, two.folder], tmp_path / "new", prefer=two.folder)["tiny"]
    assert len(done.left_out) == 1
    assert [path.stem for path in (tmp_path / "new" / COMPLETIONS).iterdir()] == ["p00000-00006_c00004-00016"]


def test_other_problems_are_refused(machines, tmp_path):
    one, two = machines
    path = two.folder / "results/tiny/problems/sums.parquet"
    write_table(pl.read_parquet(path).with_columns(reference=pl.lit("7")), path, read_metadata(path))
    with pytest.raises(MergeConflictError, match=r"sums.parquet: other problems than in"):
        merge([one.folder, two.folder], tmp_path / "new")


def test_a_place_without_blocks_and_a_preference_for_no_place_are_one_line(machines, tmp_path, empty):
    with pytest.raises(DataError, match="no results"):
        merge([tmp_path / "nowhere"], tmp_path / "new")
    done = empty.itscale("merge", str(machines[0].folder), "--into", ".", "--prefer", "else")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "--prefer else: expected one of" in done.stderr
