"""The study whose plugins are exchanged."""

from pathlib import Path

import pytest
from hostile import STUDY

from itscale.stages.problems import write_problems
from itscale.study import resolve


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("sums.jsonl").write_text("".join(f'{{"prompt": "{n}?", "reference": "{n}"}}\n' for n in range(3)))
    study = resolve(STUDY)
    write_problems(study, "sums", Path("problems.parquet"))
    return study
