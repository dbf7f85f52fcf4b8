"""Studies that are shipped name what there is, with options and budgets that it takes."""

from pathlib import Path

import pytest

from itscale.study.resolution import read_study

STUDIES = sorted((Path(__file__).parents[2] / "config" / "studies").glob("*.yaml"))


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_shipped_study_is_in_order(path):
    """All that `itscale check` looks at before it asks which packages and files are here."""
    study = read_study(path).whole()
    assert study.name.replace("_", "-") == path.stem


def test_there_are_some():
    assert STUDIES
