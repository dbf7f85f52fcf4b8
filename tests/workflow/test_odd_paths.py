"""A study runs whatever its directory and its files are called."""

import pytest
from workspace import STUDY, new_workspace

from itscale.stages.summary import read_summary


@pytest.mark.slow
@pytest.mark.parametrize("name", ["run[1] {a} <b> *é", "new\nline", """it's "q" $(x) `y` #%\\ ~"""])
def test_a_study_runs_in_any_directory_on_files_of_any_name(tmp_path, monkeypatch, name):
    folder = tmp_path / name
    for path in (folder, tmp_path / "run1 {a} <b> xé"):
        path.mkdir()
    workspace = new_workspace(folder)
    (folder / "problems.jsonl").rename(folder / "p[1]{t}*.jsonl")
    (folder / "r[1] {b} <x> ~.csv").write_text("problem,n,correct\na,10,2\nb,10,4\n")
    (folder / "r1 {b} <x> ~.csv").write_text("problem,n,correct\na,10,10\nb,10,10\n")
    study = STUDY | {
        "tasks": {"sums": {"plugin": "jsonl", "file": "p[1]{t}*.jsonl", "problems": 6}},
        "outcomes": {"old": {"path": "r[1] {b} <x> ~.csv", "task": "sums"}},
        "selectors": ["oracle"],
    }
    workspace.write(study, "-s [1] {c}.yaml")
    done = workspace.itscale("run", "--cores", "2", "--", "-s [1] {c}.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    monkeypatch.chdir(folder)
    summary = read_summary((folder / "reports/tiny/summary.csv").relative_to(folder))
    assert 0.3 in {round(value, 6) for value in summary["estimate"].drop_nulls()}  # pass@1 of the file named
