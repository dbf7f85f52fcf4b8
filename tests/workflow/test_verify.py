"""`itscale verify` finds whatever no longer is what the manifest says."""

import json

import pytest
from workspace import PLACE, changed

BLOCK = f"results/tiny/completions/{PLACE}/p00000-00006_c00000-00008.parquet"


@pytest.fixture
def copy(finished, tmp_path):
    return finished.copy(tmp_path / "copy")


def test_untouched_files_match(copy):
    for place in ([], ["study.yaml"], ["reports/tiny"], ["."]):
        done = copy.itscale("verify", *place)
        assert done.returncode == 0, done.stderr
        assert "all as they were made" in done.stdout


def flip_a_byte(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)


def truncate(path):
    path.write_bytes(path.read_bytes()[:-50])


@pytest.mark.parametrize(
    ("name", "damage", "said"),
    [
        (BLOCK, flip_a_byte, "changed since"),
        (BLOCK, truncate, "not a whole parquet file"),
        (BLOCK, lambda path: path.unlink(), "missing"),
        ("reports/tiny/figures/law_fits.svg", flip_a_byte, "changed since"),
        ("reports/tiny/tables/law_fits.csv", truncate, "changed since"),
    ],
    ids=["flipped byte", "truncated parquet", "missing file", "flipped byte in a figure", "truncated table"],
)
def test_damage_is_named(copy, name, damage, said):
    damage(copy.folder / name)
    done = copy.itscale("verify", "study.yaml")
    assert done.returncode == 1
    assert done.stderr.startswith(f"itscale: {name}: {said}")


def test_what_was_made_from_a_changed_file_is_named_too(copy):
    flip_a_byte(copy.folder / BLOCK)
    done = copy.itscale("verify", "study.yaml")
    assert f"itscale: results/tiny/outcomes/{PLACE}.parquet: made from another" in done.stderr


def test_a_changed_study_is_said_to_be_another(copy):
    copy.write(changed("seed", 2))
    done = copy.itscale("verify", "study.yaml")
    assert done.returncode == 1
    assert "study.yaml: not the study the files were made from" in done.stderr


def test_a_damaged_or_missing_manifest_is_one_line(copy):
    manifest = copy.folder / "reports/tiny/manifest.json"
    manifest.write_text(json.dumps({"study": {}}))
    for found in (copy.itscale("verify"), (manifest.unlink(), copy.itscale("verify", "study.yaml"))[1]):
        assert found.returncode == 1
        assert len(found.stderr.splitlines()) == 1
        assert "manifest" in found.stderr


def test_what_was_made_from_a_file_that_is_gone_is_said_to_be(copy):
    (copy.folder / BLOCK).unlink()
    done = copy.itscale("verify", "study.yaml")
    assert (
        f"itscale: results/tiny/outcomes/{PLACE}.parquet: made from {BLOCK}, which is missing" in done.stderr
    )
    assert "than the one there" not in done.stderr
