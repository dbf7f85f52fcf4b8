"""A study from one YAML file to figures, tables, report and manifest, through real Snakemake."""

import json

import pytest
from workspace import PLACE, STUDY, changed

from itscale.planning.plan import make_plan
from itscale.provenance.manifest import read_manifest
from itscale.study import resolve

BLOCKS = ("p00000-00006_c00000-00008", "p00000-00006_c00008-00016")


KINDS = ("outcomes", "curves", "accuracies", "leaderboard", "ensemble")


def test_every_file_is_there(resumed):
    wanted = {
        "results/tiny/problems/sums.parquet",
        *(
            f"results/tiny/{kind}/{PLACE}/{block}.parquet"
            for kind in ("completions", "ledger", "trees")
            for block in BLOCKS
        ),
        *(
            f"results/tiny/{kind}/{PLACE}/exact_match/{block}.parquet"
            for kind in ("verdicts", "ledger")
            for block in BLOCKS
        ),
        *(f"results/tiny/{kind}/{PLACE}.parquet" for kind in KINDS),
        *(f"results/tiny/{kind}/{PLACE}/power_law.parquet" for kind in ("fits", "forecasts", "refits")),
        *(
            f"reports/tiny/figures/{name}.{kind}"
            for name in STUDY["figures"]
            for kind in ("pdf", "svg", "png")
        ),
        *(f"reports/tiny/tables/{name}.{kind}" for name in STUDY["figures"] for kind in ("csv", "tex")),
        *(f"reports/tiny/{name}.{kind}" for name in ("summary", "leaderboard") for kind in ("csv", "tex")),
        *(f"results/tiny/{name}.parquet" for name in ("failures", "missing")),
        *(f"reports/tiny/{name}" for name in ("failures.csv", "manifest.json", "report.html", "summary.rst")),
    }
    found = resumed[0].files("results", "reports")
    assert set(found) == wanted  # and nothing half-written beside them
    assert all(path.stat().st_size for path in found.values())


def test_a_killed_run_goes_on_and_gives_the_bytes_of_an_undisturbed_one(finished, resumed):
    workspace, said = resumed
    assert "an earlier run was killed here" in said
    assert workspace.hashes() == finished.hashes()
    ours, theirs = (
        read_manifest(place.folder / "reports/tiny/manifest.json").model_dump(exclude={"timing"})
        for place in (workspace, finished)
    )
    assert ours == theirs


def test_it_ends_with_the_short_table_and_the_report(resumed):
    said = resumed[1]
    assert "96 completions in 2 blocks" in said
    for row in ("pass@1", "coverage", "majority_vote"):
        assert f"\n{row} " in said
    assert "forecasts: reports/tiny/leaderboard.csv" in said
    assert said.rstrip().endswith("report: reports/tiny/report.html")


def test_the_report_has_figures_and_captions_in_words(resumed):
    page = (resumed[0].folder / "reports/tiny/report.html").read_text()
    assert "law_fits.svg" in page
    assert "Brackets are intervals from resampling problems" in page


def test_every_job_leaves_a_log(finished):
    logs = finished.files("logs/tiny")
    assert f"logs/tiny/sampling/{PLACE}/{BLOCKS[0]}.log" in logs
    assert json.loads(logs[f"logs/tiny/sampling/{PLACE}/{BLOCKS[0]}.json"].read_text())["completions"] == 48


def test_a_second_run_has_nothing_to_do_but_the_report(finished, tmp_path):
    copy = finished.copy(tmp_path)
    before = {name: path.stat().st_mtime_ns for name, path in copy.files("results", "reports").items()}
    again = copy.itscale("run", "study.yaml", "--cores", "2")
    assert again.returncode == 0, again.stderr
    assert again.stdout.startswith("tiny: nothing to do\n")
    after = {name: path.stat().st_mtime_ns for name, path in copy.files("results", "reports").items()}
    assert after.pop("reports/tiny/report.html")  # plain Snakemake had left it out
    assert after == before


def test_the_manifest_ties_a_figure_to_its_completions(finished):
    manifest = read_manifest(finished.folder / "reports/tiny/manifest.json")
    hashes = {artifact.hash: name for name, artifact in manifest.artifacts.items()}
    reached, wave = set(), {"reports/tiny/figures/law_fits.pdf"}
    while wave:
        reached |= wave
        given = [value for name in wave for value in manifest.artifacts[name].inputs.values()]
        wave = {hashes[value] for value in given if value in hashes} - reached
    assert {f"results/tiny/completions/{PLACE}/{block}.parquet" for block in BLOCKS} <= reached
    assert manifest.totals[0]["by"] == "toy"
    assert manifest.totals[0]["sequences"] == 96
    assert {plugin["label"] for plugin in manifest.plugins} >= {"toy", "power_law", "exact_match"}


def test_jobs_are_those_the_check_counts(workspace, monkeypatch):
    monkeypatch.chdir(workspace.folder)
    expected = {
        "problems": 1,
        "sampling": 2,
        "verification": 2,
        "outcomes": 1,
        "failures": 1,
        "curves": 1,
        "fits": 1,
        "leaderboard": 1,
        "leaderboard_table": 1,
        "figures": 1,
        "summary": 1,
        "manifest": 1,
    }
    assert make_plan(resolve(STUDY), workspace.folder / "results").jobs() == expected
    assert workspace.dry_run(STUDY).jobs == expected


RANKED = {"leaderboard": 1, "leaderboard_table": 1}
DRAWN = {"figures": 1, "manifest": 1}
DOWNSTREAM = {"outcomes", "failures", "curves", "fits", *RANKED, "figures", "summary", "manifest"}


@pytest.mark.parametrize(
    ("key", "value", "rules"),
    [
        (
            "laws",
            ["exponentiated_power_law"],
            {"fits": 1, **RANKED, "summary": 1, **DRAWN},
        ),
        ("figures", {"law_fits": {"width": "column"}}, DRAWN),
    ],
    ids=["law", "figure"],
)
def test_a_change_late_in_the_study_samples_nothing(finished, tmp_path, key, value, rules):
    found = finished.copy(tmp_path).dry_run(changed(key, value))
    assert found.jobs == rules


@pytest.mark.parametrize(
    ("key", "value", "sampled"),
    [
        ("strategies.repeated_sampling.temperature", 0.7, 2),
        ("seed", 2, 2),
        ("strategies.repeated_sampling.completions", 20, 1),
        ("tasks.sums.problems", 12, 2),
    ],
    ids=["temperature", "seed", "more completions", "more problems"],
)
def test_a_change_early_in_the_study_samples_what_it_must(finished, tmp_path, key, value, sampled):
    found = finished.copy(tmp_path).dry_run(changed(key, value))
    assert found.jobs["sampling"] == found.jobs["verification"] == sampled
    assert set(found.jobs) >= DOWNSTREAM
    if sampled == 1:
        assert found.blocks == [f"{PLACE}/p00000-00006_c00016-00020"]


def test_asking_for_more_keeps_old_blocks_as_they_are(finished, tmp_path):
    copy = finished.copy(tmp_path)
    old = {
        name: path.stat().st_mtime_ns
        for name, path in copy.files(f"results/tiny/completions/{PLACE}").items()
    }
    study = changed("strategies.repeated_sampling.completions", 24)
    study["tasks"]["sums"]["problems"] = 12
    name = copy.write(study)
    done = copy.snakemake("--configfile", name, "--until", "sampling")
    assert done.returncode == 0, done.stderr
    now = {
        name: path.stat().st_mtime_ns
        for name, path in copy.files(f"results/tiny/completions/{PLACE}").items()
    }
    assert len(now) == 6
    assert {name: now[name] for name in old} == old
