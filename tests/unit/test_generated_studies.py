"""What `check` says is what a run meets: studies are made and spoilt at random, checked, mended and run."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path
from random import Random

import pytest
import yaml
from generated_studies import make_study, run, spoil, spoil_text, without, write_files

from itscale.errors import StudyError
from itscale.mistakes import MistakesError
from itscale.plan import make_plan
from itscale.plugins import KINDS, registry
from itscale.readiness import ready
from itscale.study import examine, read_study
from itscale.validation import validate

ROUNDS = 12


def tried(seed: int, spoilt: int, folder: Path) -> bool:
    """Check a study, leave out of it what is wrong, and run what is in order; return whether it came to that.

    Raises
    ------
    Exception
        What a run meets that was in order, or the check itself.
    """
    rng = Random(seed)
    study = make_study(rng)
    for _ in range(spoilt):
        study = spoil(rng, study)
    for _ in range(ROUNDS):
        try:
            examined = examine(study)
            problems = ready(examined).problems
        except MistakesError as error:
            mended = without(study, [mistake.place for mistake in error.mistakes])
            if mended == study:  # what is missing cannot be left out
                return False
            study = mended
        else:
            run(make_plan(examined.whole(), folder / "results", problems), folder / "results")
            return True
    raise AssertionError(f"seed {seed}: still wrong after {ROUNDS} rounds: {study}")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Path:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    caplog.set_level(logging.ERROR, "itscale")
    return tmp_path


def all_tried(seeds: Iterable[int], spoilt: int, folder: Path) -> int:
    """Try studies of many seeds, each in an empty folder; return how many were run."""
    ran = 0
    for seed in seeds:
        ran += tried(seed, spoilt, folder)
        shutil.rmtree(folder / "results", ignore_errors=True)
    return ran


QUICK = [((1, 2, 6, 8, 10, 11, 12), 0), (range(1000, 1006), 1), (range(2001, 2006), 3)]
"""Seeds whose studies run in a second or so, and how often each study is spoilt."""


@pytest.mark.parametrize(("seeds", "spoilt"), QUICK)
def test_a_study_in_order_runs_to_its_end(seeds: Iterable[int], spoilt: int, folder: Path) -> None:
    assert all_tried(seeds, spoilt, folder) >= 1


def test_whatever_a_file_holds_is_said_in_lines(folder: Path) -> None:
    path = folder / "spoilt.yaml"
    for seed in range(60):
        rng = Random(seed)
        text = yaml.safe_dump(make_study(rng), default_flow_style=rng.choice((None, True, False)))
        for _ in range(rng.randint(1, 4)):
            text = spoil_text(rng, text)
        path.write_text(text, encoding="utf-8")
        try:
            read_study(path).whole()
        except StudyError as error:
            lines = error.lines()
            wrong = [line for line in lines if not line.startswith(f"{path}:") or "\n" in line]
            assert not wrong


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1e999, 10**400, True])
def test_no_plugin_takes_what_is_no_number(value: float) -> None:
    for kind in KINDS:
        for plugin in registry().plugins(kind):
            for name in plugin.entry.options.model_fields:
                options, mistakes = validate(plugin.entry.options, {name: value})
                taken = None if options is None else getattr(options, name)
                assert mistakes or taken is True or isinstance(taken, str), (kind, plugin.entry.name, name)


@pytest.mark.slow
@pytest.mark.parametrize(("start", "spoilt"), [(10_000, 0), (20_000, 1), (30_000, 3)])
def test_dozens_of_studies_in_order_run_to_their_end(start: int, spoilt: int, folder: Path) -> None:
    assert all_tried(range(start, start + 25), spoilt, folder) >= 5
