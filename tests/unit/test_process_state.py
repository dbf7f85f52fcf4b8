"""What one plugin changes of the process reaches no other plugin and no stage."""

import asyncio
import contextlib
import io
import locale
import os
import random
import signal
import sys
import warnings

import numpy as np
import pytest

from itscale.boundary import CheckedOracle, CheckedScorer, CheckedSelector, Place
from itscale.outcomes import Accuracy, ProblemOutcomes
from itscale.plugins.process import EVERYTHING, LASTING, SETTINGS, ProcessState
from itscale.provenance.manifest import Artifact, Manifest, find_mismatches
from itscale.stages.judging import judge
from itscale.types import Problem, Trajectory, Verdict

PROBLEM = Problem(problem_id="1", messages=(), reference="1")
OUTCOMES = ProblemOutcomes(
    problem_id="1", answers=np.zeros(4, dtype=int), correct=np.zeros(4, dtype=bool), scores={}
)


def change_locale():
    locale.setlocale(locale.LC_ALL, "C" if locale.setlocale(locale.LC_ALL) != "C" else "C.UTF-8")


CHANGES = {
    "the working directory": lambda: os.chdir("/"),
    "sys.stdout": lambda: setattr(sys, "stdout", io.StringIO()),
    "sys.stderr": lambda: setattr(sys, "stderr", None),
    "the locale": change_locale,
    "the handlers of signals": lambda: signal.signal(signal.SIGTERM, signal.SIG_IGN),
    "the mask of permissions (umask)": lambda: os.umask(0o777),
    "the limit on recursion": lambda: sys.setrecursionlimit(sys.getrecursionlimit() + 1),
    "the environment variables": lambda: os.environ.update(HOME="/nowhere", ITSCALE_NEW="1"),
    "sys.path": lambda: sys.path.insert(0, "/nowhere"),
    "the filters of warnings": lambda: warnings.simplefilter("error"),
    "NumPy's handling of errors": lambda: np.seterr(all="raise"),
    "the state of Python's random numbers": lambda: random.seed(7),
    "the state of NumPy's random numbers": lambda: np.random.seed(7),  # noqa: NPY002
}


@pytest.fixture
def before():
    """Keep the process as it was, whatever a test finds."""
    state = ProcessState.now()
    yield state
    state.put_back()


def selector(change):
    class Careless:
        def accuracy(self, outcomes, budgets, rng):
            change()
            return Accuracy(mean=np.zeros(len(budgets)), monte_carlo_error=np.zeros(len(budgets)))

    return CheckedSelector(Careless(), Place("selectors", "careless"), "selected")


def test_every_part_is_changed_by_a_test():
    assert set(CHANGES) == {part.name for part in EVERYTHING}


@pytest.mark.parametrize("part", [part.name for part in SETTINGS])
def test_what_a_selector_changes_is_put_back_and_said_once(before, caplog, monkeypatch, part):
    # What is imported at the first call may have filters of its own.
    selector(lambda: None).accuracy(OUTCOMES, np.array([1]), np.random.default_rng(0))
    checked = selector(CHANGES[part])
    monkeypatch.setattr("itscale.plugins.place._TOLD", set())
    kept = [(one, one.now()) for one in EVERYTHING if "random" not in one.name]
    for _ in range(2):
        checked.accuracy(OUTCOMES, np.array([1]), np.random.default_rng(0))
        assert [one.name for one, value in kept if one.now() != value] == []
    said = f"selectors/careless: accuracy(): changed {part}, which others share: it was put back"
    assert caplog.messages == [said]


def test_a_selector_that_draws_from_the_global_generators_draws_from_its_own_stream(before):
    drawn = []
    checked = selector(lambda: drawn.append((random.random(), np.random.rand())))  # noqa: NPY002
    for seed in (0, 1, 0):
        checked.accuracy(OUTCOMES, np.array([1]), np.random.default_rng(seed))
    assert drawn[0] == drawn[2] != drawn[1]


# What reaches no file is not looked at after each of so many quick answers, but when they are judged.
@pytest.mark.parametrize(
    ("where", "part"),
    [
        *(("judge", part.name) for part in EVERYTHING),
        *(("answer", part.name) for part in LASTING),
    ],
)
def test_what_an_oracle_changes_is_put_back(before, where, part):
    kept = ProcessState.now()

    class Careless:
        def answer(self, problem, text):
            if where == "answer":
                CHANGES[part]()
            return text

        def classes(self, answers):
            return answers

        def judge(self, problem, answers):
            if where == "judge":
                CHANGES[part]()
            return [Verdict(correct=True) for _ in answers]

    judge(CheckedOracle(Careless(), Place("verifiers", "careless")), PROBLEM, ["a", "b"])
    assert ProcessState.now() == kept


@pytest.mark.parametrize("fails", [False, True])
def test_what_a_scorer_changes_is_put_back_though_it_fails(before, fails):
    class Careless:
        async def score(self, trajectories, desk):
            os.chdir("/")
            await asyncio.sleep(0)
            if fails:
                raise OSError
            return [0.5] * len(trajectories)

    checked = CheckedScorer(Careless(), Place("verifiers", "scores"))
    with contextlib.suppress(OSError):
        asyncio.run(checked.score([Trajectory(PROBLEM)], None))
    assert ProcessState.now(LASTING) == ProcessState(before.kept[: len(LASTING)])


@pytest.mark.parametrize("name", ["/etc/passwd", "results/x/../../../etc/passwd"])
def test_a_manifest_cannot_have_files_of_others_read(tmp_path, name):
    artifacts = {name: Artifact(hash="0")}
    manifest = Manifest.model_construct(manifest="reports/x/manifest.json", study={}, artifacts=artifacts)
    (line,) = find_mismatches(manifest, tmp_path / "reports/x/manifest.json")
    assert line == f"{name}: found in the manifest, expected files of its study's own folders"
