"""What `check` says is what a run meets: studies are made and spoilt at random, checked, mended and run."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterable
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml
from generated_studies import make_study, run, spoil, spoil_text, without, write_files

from itscale.errors import StudyError
from itscale.messages.mistakes import Mistake, MistakesError
from itscale.messages.validation import validate
from itscale.planning.plan import Plan, make_plan
from itscale.planning.readiness import ready
from itscale.plugins import KINDS, registry
from itscale.study import examine, read_study, resolve

ROUNDS = 12

QUICK = [(range(50_001, 50_004), 0, 0.5), (range(20_010, 20_018), 1, 0.1)]
"""Seeds, how often each of their studies is spoilt, and the least share of them that is in order."""

SLOW = [
    (range(10_000, 10_070), 0, 0.7),
    (range(30_000, 30_120), 1, 0.05),
]

LEFT_OUT = ("tasks", "models", "strategies", "curves", "differences", "figures")
"""Sections whose parts a run may leave out in silence: what is wrong there need not end a job."""


def made(seed: int, spoilt: int) -> dict[str, Any]:
    """Return the study of a seed, with so many values spoilt."""
    rng = Random(seed)
    study = make_study(rng)
    for _ in range(spoilt):
        study = spoil(rng, study)
    return study


def checked(study: dict[str, Any]) -> tuple[Plan | None, list[Mistake]]:
    """Return the plan of a study that is in order, or else what is wrong with it: a line each."""
    try:
        examined = examine(study)
        problems = ready(examined).problems
    except MistakesError as error:
        lines, mistakes = error.lines(), error.mistakes
        if not lines or len(lines) != len(mistakes):
            raise AssertionError(f"not a line each: {lines}") from error
        return None, mistakes
    return make_plan(examined.whole(), Path("results"), problems), []


def mended(study: dict[str, Any]) -> Plan | None:
    """Return the plan of a study once all that is wrong has been left out, None if something is missing."""
    for _ in range(ROUNDS):
        plan, mistakes = checked(study)
        if plan is not None:
            return plan
        rest = without(study, [mistake.place for mistake in mistakes])
        if rest == study:  # what is missing cannot be left out
            return None
        study = rest
    raise AssertionError(f"still wrong after {ROUNDS} rounds: {study}")


def ends_well(study: dict[str, Any]) -> bool:
    """Return whether a study runs to its end when nobody checks whether its parts fit together."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("itscale.study.resolution.check_study", lambda study: ())
        try:
            resolved = resolve(study)
        except MistakesError:  # single values are wrong: no job would start
            return False
    try:
        run(make_plan(resolved, Path("results")), Path("results"))
    except Exception:
        return False
    finally:
        shutil.rmtree("results", ignore_errors=True)
    return True


def all_hold(seeds: Iterable[int], spoilt: int) -> float:
    """Check studies and run them, whatever was said; return the share that is in order.

    Raises
    ------
    Exception
        What a study meets that was in order, or the check itself.
    """
    passed = 0
    for seed in seeds:
        study = made(seed, spoilt)
        plan, mistakes = checked(study)
        if plan is None:
            left_out = {mistake.place[0] for mistake in mistakes if mistake.place} <= set(LEFT_OUT)
            assert left_out or not ends_well(study), f"seed {seed}: {[*map(str, mistakes)]} is no mistake"
            continue
        passed += 1
        run(plan, Path("results"))
        shutil.rmtree("results")
    return passed / len(list(seeds))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> Path:
    monkeypatch.chdir(tmp_path)
    write_files(tmp_path)
    caplog.set_level(logging.ERROR, "itscale")
    return tmp_path


@pytest.mark.parametrize(("seeds", "spoilt", "least"), QUICK)
def test_what_is_in_order_runs_and_what_is_not_fails(
    seeds: Iterable[int], spoilt: int, least: float, folder: Path
) -> None:
    assert all_hold(seeds, spoilt) >= least


def test_what_is_wrong_can_be_left_out(folder: Path) -> None:
    plans = [mended(made(seed, 2)) for seed in range(60)]
    assert sum(plan is not None for plan in plans) >= 0.3 * len(plans)


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
@pytest.mark.parametrize(("spoilt", "least"), [(0, 0.65), (1, 0.07), (3, 0.0)])
def test_hundreds_of_studies_are_in_order_or_wrong_in_lines(spoilt: int, least: float, folder: Path) -> None:
    in_order = [checked(made(seed, spoilt))[0] is not None for seed in range(100_000, 100_400)]
    assert least <= sum(in_order) / len(in_order) < 1
    assert not (folder / "results").exists()


@pytest.mark.slow
@pytest.mark.parametrize(("seeds", "spoilt", "least"), SLOW)
def test_dozens_of_studies_run_if_they_are_in_order_and_fail_if_not(
    seeds: Iterable[int], spoilt: int, least: float, folder: Path
) -> None:
    assert all_hold(seeds, spoilt) >= least


@pytest.mark.slow
def test_what_is_left_of_a_study_runs_once_all_that_is_wrong_is_left_out(folder: Path) -> None:
    plans = [plan for seed in range(30_000, 30_030) if (plan := mended(made(seed, 3))) is not None]
    assert len(plans) >= 6
    for plan in plans:
        run(plan, Path("results"))
        shutil.rmtree("results")
