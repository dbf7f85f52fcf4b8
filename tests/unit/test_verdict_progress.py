"""Progress of verification: how many verdicts of how many, and how long the rest will take."""

import json
import os
from dataclasses import asdict
from itertools import count

import pytest

from itscale.running.job import LOADING, progress_file
from itscale.running.watch_verdicts import VerdictWatch
from itscale.sampling.judged import Judged
from itscale.stages.declared import VERIFICATION

SLOW, OTHER = "t/m/s/slow/p00000-00001_c00000-00100", "t/m/s/slow/p00000-00001_c00100-00200"
QUICK = "t/m/s/quick/p00000-00001_c00000-00100"
BLOCKS = dict.fromkeys((SLOW, OTHER, QUICK), 100)


@pytest.fixture
def tell(tmp_path):
    times = count(2000)

    def write(block, told):
        path = progress_file(tmp_path / VERIFICATION.name / f"{block}.log")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(told if isinstance(told, dict) else asdict(told)))
        os.utime(path, (next(times),) * 2)

    return write


def test_what_is_left_takes_as_long_as_its_verifier_did_of_late(tmp_path, tell):
    watch = VerdictWatch(tmp_path, BLOCKS)
    assert not watch.look(0.0).at_work
    tell(SLOW, LOADING)
    assert watch.look(1.0).at_work
    tell(SLOW, Judged(verdicts=40, made=0))  # of an earlier try: no speed
    assert watch.look(5.0).seconds_left is None
    tell(SLOW, Judged(verdicts=60, made=20, failed=3))
    seen = watch.look(11.0)
    assert (seen.verdicts, seen.all_verdicts, seen.failed) == (60, 300, 3)
    assert seen.seconds_left == pytest.approx((40 + 100) / 2)  # 20 in ten seconds
    tell(QUICK, Judged(verdicts=100, made=100))
    tell(SLOW, Judged(verdicts=100, made=60))
    tell(OTHER, Judged(verdicts=60, made=60, wanted=60))  # runs that handed in fewer than they might
    seen = watch.look(20.0)
    assert (seen.at_work, seen.verdicts, seen.all_verdicts, seen.seconds_left) == (False, 260, 260, 0.0)


def test_what_an_earlier_run_or_nobody_told_counts_for_nothing(tmp_path, tell):
    tell(SLOW, Judged(verdicts=70, made=70))
    tell(QUICK, {"verdicts": 1, "unheard": 2})
    watch = VerdictWatch(tmp_path, {SLOW: 100})
    assert watch.look(1.0).verdicts == 0
    tell(SLOW, Judged(verdicts=5, made=5))
    assert watch.look(2.0).verdicts == 5
    watch = VerdictWatch(tmp_path, {QUICK: 100})
    assert watch.look(1.0).verdicts == 0
