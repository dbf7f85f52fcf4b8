"""Blocks that a job samples beside its own, on the engine it has started: what befalls them is theirs."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from itscale.errors import EngineLostError, TooManyFailuresError
from itscale.sampling.blocks import Block
from itscale.sampling.failures import read_failures
from itscale.sampling.journal import journal_of
from itscale.stages.problems import write_problems
from itscale.stages.sampling import Waiting, sample_block
from itscale.store.parquet import payload_hash, read_metadata
from itscale.study import resolve
from itscale.study.study import Study
from itscale_builtin.engines.simulated import SimulatedEngine

STUDY = {
    "study": "tiny",
    "tasks": {
        "sums": {"plugin": "jsonl", "file": "sums.jsonl", "prompt": "{question}", "reference": "answer"}
    },
    "models": {"sim": {"plugin": "simulated"}},
    "strategies": {
        "own": {"plugin": "repeated_sampling", "completions": 2, "temperature": 1.0},
        "other": {"plugin": "repeated_sampling", "completions": 2, "temperature": 0.5},
        "last": {"plugin": "repeated_sampling", "completions": 2, "temperature": 0.2},
    },
}
BLOCK = Block(0, 0, 4, 0, 2)


class Counting(SimulatedEngine):
    """Notes what it is asked, and what is asked of it may raise."""

    def __init__(self, options, asked, faults):
        super().__init__(options)
        self.asked, self.faults = asked, faults

    async def generate(self, request):
        place = request.params.temperature, request.problem.problem_id
        self.asked.append(place)
        if place in self.faults:
            raise self.faults[place]
        return await super().generate(request)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = "".join(f'{{"question": "What is {n}?", "answer": "{n}"}}\n' for n in range(4))
    (tmp_path / "sums.jsonl").write_text(rows)
    return Place(tmp_path)


class Place:
    def __init__(self, folder, **changes):
        self.folder = folder
        self.starts, self.asked, self.faults = 0, [], {}
        study = resolve(STUDY | changes)
        model = study.models["sim"]

        def start(options, **_):
            self.starts += 1
            return Counting(options, self.asked, self.faults)

        model = replace(model, entry=replace(model.entry, factory=start))
        self.study = replace(study, models={"sim": model})
        write_problems(study, "sums", folder / "problems.parquet")

    def file(self, strategy):
        return self.folder / f"{strategy}.parquet"

    def waiting(self, strategy):
        files = {"problems": self.folder / "problems.parquet", "completions": self.file(strategy)}
        return Waiting(task="sums", strategy=strategy, block=BLOCK, **files)

    def sample(self, strategy, *beside):
        sample_block(
            self.study,
            "sums",
            "sim",
            strategy,
            BLOCK,
            problems=self.folder / "problems.parquet",
            model_directories={},
            completions=self.file(strategy),
            ledger=self.folder / f"{strategy}.ledger.parquet",
            trees=self.folder / f"{strategy}.trees.parquet",
            waiting=map(self.waiting, beside),
        )
        return payload_hash(self.file(strategy))


def test_a_block_that_is_sampled_beside_another_is_written_by_its_own_job(place, tmp_path):
    alone = {name: place.sample(name) for name in ("own", "other")}
    place.starts = 0
    beside = Place(tmp_path)
    assert beside.sample("own", "other", "last") == alone["own"]
    assert not beside.file("last").exists()
    assert beside.sample("other") == alone["other"]
    assert beside.sample("last")
    assert beside.starts == 1
    assert len(beside.asked) == len(set(beside.asked)) == 3 * 4
    timing = read_metadata(beside.file("other"))["timing"]
    assert timing["completions"] == 8
    assert timing["job_seconds"] == timing["seconds"]
    assert not list(tmp_path.glob(".*.journal"))


def test_an_engine_that_is_lost_meanwhile_costs_the_job_nothing_of_its_own(place):
    place.faults = {(0.5, "3"): EngineLostError("gone")}
    place.sample("own", "other", "last")
    assert (place.starts, place.file("own").exists()) == (1, True)
    assert not any(temperature == 0.2 for temperature, _ in place.asked)  # there was no engine any more
    place.faults = {}
    place.sample("other")
    assert place.starts == 2
    assert read_failures(place.file("other")) == []


def test_too_many_failures_are_said_by_the_job_of_the_block_that_has_them(place):
    place.faults = {(0.5, "1"): ValueError("no"), (0.5, "3"): ValueError("no")}
    place.sample("own", "other", "last")
    place.sample("last")
    assert place.starts == 1
    with pytest.raises(TooManyFailuresError, match=r"sums/sim/other, block .*: 2 of 4 units failed"):
        place.sample("other")


def test_a_failure_that_is_borne_is_not_tried_again(place):
    place.faults = {(0.5, "1"): ValueError("no")}
    place.sample("own", "other")
    place.sample("other")
    assert place.starts == 1
    (failure,) = read_failures(place.file("other"))
    assert failure.unit.problem_id == "1"
    assert failure.reason.startswith("ValueError: no")


def test_a_journal_that_is_concluded_but_lacks_units_is_gone_on_with(place):
    place.sample("own", "other")
    journal = journal_of(place.file("other"))
    lines = journal.read_bytes().splitlines(keepends=True)
    journal.write_bytes(b"".join(line for line in lines if not is_made_for(line, "2")))
    place.sample("other")
    assert place.starts == 2
    assert [place.asked.count((0.5, problem)) for problem in "0123"] == [1, 1, 2, 1]


def is_made_for(line, problem):
    record = json.loads(line)
    return "completions" in record and record["unit"]["problem_id"] == problem


HOLDER = """
import sys
from pathlib import Path
from itscale.sampling.journal import Journal
with Journal(Path(sys.argv[1]), {"another": "job"}) as journal:
    print("held", flush=True)
    sys.stdin.readline()
    journal.delete()
"""
WAITER = """
import sys
from pathlib import Path
from itscale.sampling.journal import Journal
Journal(Path(sys.argv[1]), {"own": "job"})
print("held", flush=True)
"""


def test_a_block_that_another_process_samples_is_left_to_it_and_its_own_job_waits(place):
    journal = journal_of(place.file("other"))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(journal)], **pipes) as holder:
        assert holder.stdout.readline() == "held\n"
        place.sample("own", "other", "last")
        assert {temperature for temperature, _ in place.asked} == {1.0, 0.2}
        with subprocess.Popen([sys.executable, "-c", WAITER, str(journal)], **pipes) as waiter:
            with pytest.raises(subprocess.TimeoutExpired):
                waiter.wait(1.0)
            holder.communicate("go on\n")
            assert waiter.stdout.readline() == "held\n"
    assert b"own" in journal.read_bytes()  # made anew: the one that it waited for was removed


def test_a_block_that_needs_a_model_which_was_not_started_is_left_to_its_own_job(place, monkeypatch):
    judged = {"other": {"judge": place.study.models["sim"]}}
    monkeypatch.setattr(Study, "started_with", lambda _, strategy: judged.get(strategy, {}))
    place.sample("own", "other", "last")
    assert {temperature for temperature, _ in place.asked} == {1.0, 0.2}
