"""Outcomes of pools and of runs."""

import pytest
from judged import outcome_rows, pool_in, write_ledger, write_outcomes


@pytest.fixture
def pool(tmp_path):
    return pool_in(tmp_path)


@pytest.fixture
def runs(tmp_path):
    rows = [
        row
        for budget in (4, 8, 16)
        for replicate in (0, 1)
        for row in outcome_rows(6, budget, budget, replicate)
    ]
    spent = write_ledger(tmp_path / "ledger.parquet", rows, generated=100, read=30)
    return write_outcomes(tmp_path / "outcomes.parquet", rows), spent, rows
