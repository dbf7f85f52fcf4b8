"""The plain loop that `benchmarks/overhead.py` times calls every stage as the workflow does."""

import sys
from collections import Counter
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


def test_a_study_goes_through_in_a_plain_loop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    monkeypatch.delitem(sys.modules, "studies", raising=False)
    import studies

    monkeypatch.chdir(studies.new_directory(tmp_path / "study", studies.blocks_study(2)))
    stages = studies.Stages(Path("study.yaml"))
    for _, stage in stages.calls:
        stage()
    assert Counter(name for name, _ in stages.calls)["sampling"] == 4
    assert all(path.is_file() for path in stages.made)
