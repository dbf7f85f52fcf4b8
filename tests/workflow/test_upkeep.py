"""What was deleted or damaged is made again; what belongs to another study is refused by name."""

import json
import os
import shutil
from pathlib import Path

import polars as pl
import pytest
from workspace import PLACE, changed, installed

from itscale.provenance.fingerprints import Fingerprints, table_at
from itscale.provenance.manifest import read_manifest
from itscale.seeds import digest
from itscale.stages.declared import STAGES
from itscale.store.parquet import read_metadata, write_table
from itscale.study import load_study

FIRST, SECOND = "p00000-00006_c00000-00008.parquet", "p00000-00006_c00008-00016.parquet"
RESULTS = Path("results/tiny")
KINDS = {table.partition("/")[0] for stage in STAGES for table in stage.tables} - {"differences"}
TABLES = {
    "problems": "sums",
    "completions": f"{PLACE}/{FIRST}",
    "ledger": f"{PLACE}/{FIRST}",
    "trees": f"{PLACE}/{FIRST}",
    "verdicts": f"{PLACE}/exact_match/{FIRST}",
    "fits": f"{PLACE}/power_law",
    "forecasts": f"{PLACE}/power_law",
    "refits": f"{PLACE}/power_law",
}


@pytest.fixture
def copy(finished, tmp_path):
    return finished.copy(tmp_path / "copy")


def rewrite(path, **changes):
    """Write a table anew, as a study with another fingerprint would have."""
    metadata = read_metadata(path)
    metadata["fingerprint"] |= changes
    write_table(pl.read_parquet(path), path, metadata)


def test_every_table_of_a_finished_study_is_what_its_place_says(finished, monkeypatch):
    monkeypatch.chdir(finished.folder)
    fingerprints = Fingerprints(load_study(Path("study.yaml")))
    tables = [path for path in RESULTS.rglob("*.parquet") if table_at(path)]
    assert {path.relative_to(RESULTS).parts[0].removesuffix(".parquet") for path in tables} == KINDS
    assert [fingerprints.fault(path) for path in tables] == [""] * len(tables)


@pytest.mark.parametrize("kind", sorted(KINDS - {"failures", "missing"}))
def test_a_table_of_another_study_is_told_by_every_key_of_its_fingerprint(finished, copy, monkeypatch, kind):
    monkeypatch.chdir(copy.folder)
    fingerprints = Fingerprints(load_study(Path("study.yaml")))
    path = RESULTS / kind / Path(TABLES.get(kind, PLACE)).with_suffix(".parquet")
    stage, labels = table_at(path)
    for key in stage.fingerprint(fingerprints.study, labels):
        shutil.copy(finished.folder / path, path)
        rewrite(path, **{key: {"name": "another"}})
        assert f"of another study: {key}" in fingerprints.fault(path)
    write_table(pl.read_parquet(path), path, {"stage": "elsewhere", "fingerprint": {}})
    assert "found a table of the stage 'elsewhere'" in fingerprints.fault(path)


def with_another_seed(folder):
    rewrite(folder / RESULTS / "completions" / PLACE / FIRST, seed=2)
    return FIRST, "of another study: seed: found 2, expected 1"


def with_another_block(folder):
    place = folder / RESULTS / "completions" / PLACE
    shutil.copy(place / SECOND, place / FIRST)
    return FIRST, "of another study: block: found 'p00000-00006_c00008-00016'"


def with_another_verifier(folder):
    rewrite(folder / RESULTS / "verdicts" / PLACE / "exact_match" / FIRST, verifier={"name": "itscale/other"})
    return FIRST, "of another study: verifier.name: found 'itscale/other', expected 'itscale/exact_match'"


def with_curves_of_other_outcomes(folder):
    rewrite(folder / RESULTS / "curves" / f"{PLACE}.parquet", outcomes={"seed": 2})
    return "curves", "of another study: outcomes."


@pytest.mark.parametrize(
    "put",
    [
        with_another_block,
        pytest.param(with_another_verifier, marks=pytest.mark.slow),
        pytest.param(with_curves_of_other_outcomes, marks=pytest.mark.slow),
    ],
)
def test_a_table_of_another_study_is_refused_by_run_and_named_by_verify(copy, put):
    name, said = put(copy.folder)
    verified = copy.itscale("verify", "study.yaml")
    assert verified.returncode == 1
    assert name in verified.stderr
    refused = copy.itscale("run", "study.yaml", "--cores", "2")
    assert refused.returncode == 1
    assert len(refused.stderr.splitlines()) == 1
    assert name in refused.stderr
    assert said in refused.stderr
    assert "move it elsewhere" in refused.stderr


@pytest.mark.slow
def test_plain_snakemake_refuses_it_where_it_is_read(copy):
    with_another_seed(copy.folder)
    done = copy.snakemake("--configfile", "study.yaml")
    assert done.returncode == 1
    (log,) = (copy.folder / "logs/tiny/verification" / PLACE).rglob("p00000-00006_c00000-00008.log")
    assert "of another study: seed: found 2, expected 1" in log.read_text()


def test_a_manifest_that_blesses_another_study_is_seen_through(copy):
    """Written by whoever did not compare: the study itself says what its tables have to say."""
    path = copy.folder / RESULTS / "completions" / PLACE / FIRST
    manifest = copy.folder / "reports/tiny/manifest.json"
    before = read_manifest(manifest)
    rewrite(path, seed=2)
    key = digest(read_metadata(path)["fingerprint"])
    name = path.relative_to(copy.folder).as_posix()
    blessed = before.artifacts[name].model_copy(update={"fingerprint": key})
    text = before.model_copy(update={"artifacts": before.artifacts | {name: blessed}}).model_dump_json()
    manifest.write_text(text)
    assert f"{name}: of another study: seed" in copy.itscale("verify", "study.yaml").stderr


@pytest.mark.slow
def test_whatever_was_deleted_or_cut_short_is_made_again_and_is_the_same(copy):
    before = copy.hashes()
    verdicts, completions, outcomes = (
        copy.folder / f"results/tiny/{name}"
        for name in (
            f"verdicts/{PLACE}/exact_match/{FIRST}",
            f"completions/{PLACE}/{FIRST}",
            f"outcomes/{PLACE}.parquet",
        )
    )
    verdicts.unlink()
    completions.write_bytes(completions.read_bytes()[:-50])
    outcomes.unlink()
    (copy.folder / "results/tiny/problems/sums.parquet").unlink()
    (copy.folder / "reports/tiny/figures/law_fits.svg").unlink()
    said = copy.itscale("verify", "study.yaml")
    assert said.returncode == 1
    assert "`itscale run STUDY` makes again" in said.stderr
    done = copy.itscale("run", "study.yaml", "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{completions.name}.damaged" in done.stdout
    assert "(1 sampling," in done.stdout  # what was damaged, not all from the same problems
    completions.with_name(f"{completions.name}.damaged").unlink()
    assert copy.hashes() == before
    assert "nothing to do" in copy.itscale("run", "study.yaml", "--cores", "2").stdout
    assert copy.itscale("verify", "study.yaml").returncode == 0


@pytest.mark.slow
def test_a_manifest_that_is_none_and_what_is_in_no_footer_are_no_dead_ends(copy):
    manifest = copy.folder / "reports/tiny/manifest.json"
    manifest.write_text(manifest.read_text()[:100])
    done = copy.itscale("run", "study.yaml", "--cores", "2")
    assert done.returncode == 0, done.stderr
    assert "manifest.json.damaged, made again" in done.stdout
    assert read_manifest(manifest).artifacts
    path = copy.folder / RESULTS / "completions" / PLACE / FIRST
    frame = pl.read_parquet(path)
    for metadata in ({"stage": "sampling"}, {"stage": "sampling", "fingerprint": "seed", "timing": [1]}):
        write_table(frame, path, metadata)
        for command in (("run", "study.yaml"), ("merge", ".", "--into", "merged")):
            refused = copy.itscale(*command)
            assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1), refused.stderr
            assert FIRST in refused.stderr


@pytest.mark.slow
def test_a_prepared_model_that_is_older_than_the_workflow_hides_nothing_that_is_missing(
    workspace, tmp_path, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", str(installed("prepared", tmp_path / "site")))
    study = changed("models", {"toy": {"plugin": "prepared"}})
    study["strategies"]["repeated_sampling"]["completions"] = 4
    del study["laws"], study["figures"]
    workspace.write(study)
    model = workspace.folder / "resources/models/toy"
    model.mkdir(parents=True)
    for path in (model / "weights", model / ".snakemake_timestamp"):
        path.touch()
        os.utime(path, (0, 0))
    planned = workspace.itscale("run", "study.yaml", "--dry-run")
    assert "and then what follows from models, planned once that is there" in planned.stdout
    done = workspace.itscale("run", "study.yaml", "--cores", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (workspace.folder / "reports/tiny/report.html").is_file()


def edit(path, *, record=True, **columns):
    """Change cells of a table under its footer; without a record, under that of an older version."""
    footer = json.loads(pl.read_parquet_metadata(path)["itscale"])
    if not record:
        del footer["content"]
    pl.read_parquet(path).with_columns(**columns).write_parquet(
        path, metadata={"itscale": json.dumps(footer)}
    )


EDITS = {
    "completions": (f"{PLACE}/{FIRST}", {"text": pl.lit("4"), "record": True}),
    "verdicts": (f"{PLACE}/exact_match/{SECOND}", {"correct": pl.lit(True), "record": True}),
    "curves": (f"{PLACE}.parquet", {"value": pl.lit(1.0), "record": True}),
    "outcomes": (f"{PLACE}.parquet", {"correct": pl.lit(True), "record": False}),
}


@pytest.mark.parametrize(
    "kind", [kind if kind == "verdicts" else pytest.param(kind, marks=pytest.mark.slow) for kind in EDITS]
)
def test_an_edited_table_is_refused_by_name_and_its_trace_stays(copy, kind):
    name, edits = EDITS[kind]
    path = copy.folder / RESULTS / kind / name
    whole, manifest = path.read_bytes(), (copy.folder / "reports/tiny/manifest.json").read_bytes()
    edit(path, **edits)
    refused = copy.itscale("run", "study.yaml", "--cores", "2")
    assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1), refused.stderr
    assert f"{RESULTS / kind / name}: changed since it was written" in refused.stderr
    assert "put back the file that was written, or move this one elsewhere" in refused.stderr
    assert (copy.folder / "reports/tiny/manifest.json").read_bytes() == manifest
    assert f"{RESULTS / kind / name}: changed since" in copy.itscale("verify", "study.yaml").stderr
    path.write_bytes(whole)
    assert copy.itscale("verify", "study.yaml").returncode == 0


@pytest.mark.slow
def test_an_edited_table_of_the_reports_is_set_aside_and_made_again(copy):
    path = copy.folder / "reports/tiny/summary.csv"
    whole = path.read_bytes()
    path.write_text("task\nsums\n")
    said = copy.itscale("run", "study.yaml", "-n").stdout
    assert "written: a run sets it aside as summary.csv.changed and makes it again" in said
    done = copy.itscale("run", "study.yaml", "--cores", "2")
    assert done.returncode == 0, done.stderr
    assert (
        "summary.csv: changed since the manifest was written: set aside as summary.csv.changed" in done.stdout
    )
    assert path.read_bytes() == whole
    assert copy.itscale("verify", "study.yaml").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [("completions",), ("completions", "ledger")])
def test_a_block_that_somebody_put_there_is_never_written_over(copy, kinds):
    """Before the study ever ran: what its own options have made there is written over, if they change."""
    study = changed("strategies.repeated_sampling.temperature", 0.9)
    copy.write(study, "study.yaml")
    assert copy.itscale("check", "study.yaml").returncode == 0
    copy.write(study | {"study": "other"}, "other.yaml")
    for kind in kinds:
        (copy.folder / "results/other" / kind / PLACE).mkdir(parents=True)
        shutil.copy(
            copy.folder / RESULTS / kind / PLACE / FIRST, copy.folder / "results/other" / kind / PLACE
        )
    path = copy.folder / "results/other/completions" / PLACE / FIRST
    was = path.read_bytes()
    for command in (
        ("check", "other.yaml"),
        ("run", "other.yaml", "-n"),
        ("run", "other.yaml", "--cores", "2"),
    ):
        refused = copy.itscale(*command)
        assert (refused.returncode, len(refused.stderr.splitlines())) == (1, 1), refused.stderr
        assert f"results/other/completions/{PLACE}/{FIRST}" in refused.stderr
        assert "temperature: found 0.8, expected 0.9" in refused.stderr
        assert "move it elsewhere" in refused.stderr
    assert path.read_bytes() == was
