"""Fixtures every test may use."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# Many small fits: threads of the linear algebra would only wait for each other. Snakemake sets it for jobs.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Machines differ in speed and share it: how long an example takes says nothing about the code.
settings.register_profile("itscale", deadline=None)
settings.load_profile("itscale")

CHECKOUT = Path(__file__).resolve().parents[1]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `pytest --fix` renew generated files instead of failing on them."""
    parser.addoption("--fix", action="store_true", help="renew generated files (schema, table of keys)")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of real data made by others; never copied into the project."""
    folder = Path(os.environ.get("ITSCALE_SHARED_DATA", CHECKOUT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no folder of real data at {folder} (set ITSCALE_SHARED_DATA)")
    return folder
