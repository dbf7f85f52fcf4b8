"""Profiles: which of them let jobs run elsewhere, and ours by name."""

from pathlib import Path

import pytest

from itscale.running.profiles import runs_elsewhere, with_own_profiles
from itscale.running.snakemake import command

OURS = Path(__file__).resolve().parents[2] / "workflow" / "profiles"


@pytest.fixture(autouse=True)
def _no_profiles_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SNAKEMAKE_PROFILE", raising=False)


@pytest.mark.parametrize(
    ("arguments", "elsewhere"),
    [
        ((), False),
        (("--executor", "slurm"), True),
        (("--executor=cluster-generic",), True),
        (("-e", "local"), False),
        (("--profile", f"{OURS}/slurm"), True),
        ((f"--profile={OURS}/slurm-generic/config.yaml",), True),
        (("--profile", f"{OURS}/local"), False),
    ],
)
def test_cores_of_this_machine_are_no_bound_for_others(arguments, elsewhere):
    assert runs_elsewhere(arguments) is elsewhere
    assert ("--cores" in command(Path("study.yaml"), None, *arguments)) is not elsewhere
    assert "--cores" in command(Path("study.yaml"), 2, *arguments)


def test_a_profile_of_ours_goes_by_its_name():
    assert with_own_profiles(["--profile", "slurm", "--executor", "slurm"], OURS) == [
        "--profile", str(OURS / "slurm"), "--executor", "slurm",
    ]  # fmt: skip
    assert with_own_profiles(["--profile=slurm"], OURS) == [f"--profile={OURS / 'slurm'}"]


def test_ones_own_profile_of_that_name_comes_first(tmp_path):
    (tmp_path / ".config/snakemake/slurm").mkdir(parents=True)
    assert with_own_profiles(["--profile", "slurm"], OURS) == ["--profile", "slurm"]
