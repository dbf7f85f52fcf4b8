"""Oracles that are waited for: asked at once, answer by answer; kept, charged, and tried again."""

import asyncio
from dataclasses import asdict, replace
from pathlib import Path
from typing import ClassVar

import polars as pl
import pytest

from itscale.boundary import make_oracle
from itscale.errors import ContractError, EngineLostError, StudyError
from itscale.plugins import Options, VerdictCost, VerifierEntry
from itscale.plugins.ingredient import Ingredient
from itscale.plugins.references import ModelLabel
from itscale.running.reopening import reopen_failures
from itscale.sampling.blocks import Block
from itscale.sampling.journal import journal_of
from itscale.stages.judging import judge
from itscale.stages.problems import write_problems
from itscale.stages.sampling import sample_block
from itscale.stages.verification import verify_block
from itscale.store.parquet import write_table
from itscale.store.schemas import COMPLETIONS
from itscale.study import resolve
from itscale.study.checks.needs import check_files, check_oracles
from itscale.testing import OracleContract
from itscale.testing.doubles import Tallied
from itscale.types import Completion, SamplingParams, Verdict
from itscale_builtin.engines.simulated import SimulatedEngine

PARAMS = SamplingParams(max_tokens=50)
PLACE = "numbers/sim/repeated_sampling"
BLOCK = "p00000-00002_c00000-00006"
TEXTS = ["1", "2", "1", "", "2", "5"]
"""Of each problem: three distinct answers, one without."""


class CourtOptions(Options):
    judge: ModelLabel
    """Model that is asked first."""


class Court:
    """Asks a model about an answer, then waits for a server."""

    asked: ClassVar[list[tuple[str, str]]] = []
    faults: ClassVar[dict[str, BaseException]] = {}
    running = peak = closed = 0

    def __init__(self, options):
        self.options = options

    def answer(self, problem, text):
        return text or None

    def classes(self, answers):
        return list(answers)

    async def judge(self, problem, answers, desk):
        (answer,) = answers
        self.asked.append((problem.problem_id, answer))
        Court.running += 1
        Court.peak = max(Court.peak, Court.running)
        try:
            chat = [{"role": "user", "content": f"Is it {answer}?"}]
            await desk.generate(chat, PARAMS, by=self.options.judge)
            await asyncio.sleep(0.001)
            if answer in self.faults:
                raise self.faults[answer]
        finally:
            Court.running -= 1
        return [Verdict(correct=answer == problem.reference)]

    async def close(self):
        Court.closed += 1


ENTRY = VerifierEntry(
    name="court",
    factory=Court,
    options=CourtOptions,
    role="oracle",
    cost=lambda options: VerdictCost(seconds=3.0, at_once=2, memory_mb=500.0, tokens=50),
    summary="Asks a model, then a server.",
)


class TestCourt(OracleContract):
    entry = ENTRY
    options: ClassVar = {"judge": "critic"}
    helpers: ClassVar = {"critic": {"success": 0.5}}


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("numbers.jsonl").write_text(
        '{"prompt": "1?", "reference": "1"}\n{"prompt": "2?", "reference": "2"}\n'
    )
    found = resolve(
        {
            "study": "tiny",
            "tasks": {"numbers": {"plugin": "jsonl", "file": "numbers.jsonl"}},
            "models": {"sim": {"plugin": "simulated"}, "critic": {"plugin": "simulated", "success": 0.5}},
            "strategies": {"repeated_sampling": {"completions": 6}},
            "max_failures": 1.0,
        }
    )
    found.oracles["numbers"] = Ingredient("court", ENTRY, CourtOptions(judge="critic"), "tests", "1")
    for place in (Path("problems.parquet"), Path("results/problems/numbers.parquet")):
        place.parent.mkdir(parents=True, exist_ok=True)
        write_problems(found, "numbers", place)
    monkeypatch.setattr(Court, "asked", [])
    monkeypatch.setattr(Court, "faults", {})
    monkeypatch.setattr(Court, "peak", 0)
    return found


def counted(study):
    """Return the engines that the study starts for the model that is asked, as they come."""
    engines, critic = [], study.models["critic"]

    def make(options, **_):
        engines.append(Tallied(SimulatedEngine(options)))
        return engines[-1]

    study.models["critic"] = replace(critic, entry=replace(critic.entry, factory=make))
    return engines


def paths(name=BLOCK):
    below = {"completions": "", "verdicts": "court", "ledger": "court"}
    return {kind: Path("results", kind, PLACE, folder, f"{name}.parquet") for kind, folder in below.items()}


def verified(study, **more):
    made = [
        Completion(
            problem_id=problem, index=at, text=text, finish_reason="eos", prompt_tokens=2, generated_tokens=3
        )
        for problem in ("0", "1")
        for at, text in enumerate(TEXTS)
    ]
    files = paths()
    write_table(
        pl.DataFrame([asdict(one) for one in made], schema=dict(COMPLETIONS)), files["completions"], {}
    )
    where = {
        "problems": Path("problems.parquet"),
        "completions": files["completions"],
        "model_directories": {},
    }
    output = {"output": files["verdicts"], "ledger": files["ledger"]}
    verify_block(study, "numbers", "sim", "repeated_sampling", "court", **where, **output, **more)
    return pl.read_parquet(files["verdicts"]), pl.read_parquet(files["ledger"])


def test_each_answer_is_asked_once_as_many_at_a_time_as_the_entry_says(study):
    engines, told = counted(study), []
    verdicts, ledger = verified(study, progress=told.append)
    assert sorted(Court.asked) == [(problem, answer) for problem in "01" for answer in "125"]
    assert Court.peak == 2
    right = verdicts.filter("correct").select("problem_id", "answer").unique().sort("problem_id").rows()
    assert right == [("0", "1"), ("1", "2")]
    assert verdicts.filter(pl.col("answer").is_null())["status"].to_list() == ["unparsable"] * 2
    (engine,) = engines
    assert ledger["generated_tokens"].sum() == sum(one.tokens for one in engine.generated)
    assert set(ledger["scorer"]) == {"court"}
    asked = verdicts.select("answer", pl.col("asked").list.len()).unique().sort("answer").rows()
    assert asked == [(None, 0), ("1", 1), ("2", 1), ("5", 1)]
    assert (told[-1].verdicts, told[-1].made, told[-1].failed) == (12, 12, 0)
    assert not journal_of(paths()["verdicts"]).exists()


def test_a_job_that_is_killed_asks_nothing_again(study):
    engines = counted(study)
    Court.faults["5"] = EngineLostError("gone")
    before = Court.closed
    with pytest.raises(EngineLostError):
        verified(study)
    assert Court.closed == before + 1
    Court.faults.clear()
    known = set(Court.asked[:-2])  # of two at a time, the last may have been cut off
    Court.asked.clear()
    verdicts, ledger = verified(study)
    assert not {one for one in known if one[1] != "5"} & set(Court.asked)
    assert set(verdicts["status"]) == {"judged", "unparsable"}
    spent = ledger.filter(~pl.col("failed"))["calls"].sum()
    assert spent == sum(len(engine.generated) for engine in engines) == 6


@pytest.mark.parametrize("keep_journal", [True, False])
def test_only_what_failed_is_asked_again(study, keep_journal):
    engines = counted(study)
    Court.faults["5"] = ValueError("cannot say")
    verdicts, _ = verified(study)
    assert verdicts.filter(status="error")["detail"].str.contains("cannot say").all()
    assert (verdicts.filter(status="error")["correct"].to_list(), Court.faults.popitem()[0]) == (
        [False] * 2,
        "5",
    )
    if not keep_journal:
        journal_of(paths()["verdicts"]).unlink()
    Court.asked.clear()
    assert reopen_failures(Path("results"), Path("manifest.json")).verdicts == 2
    verdicts, ledger = verified(study)
    assert sorted(Court.asked) == [("0", "5"), ("1", "5")]
    assert set(verdicts["status"]) == {"judged", "unparsable"}
    assert ledger["calls"].sum() == sum(len(engine.generated) for engine in engines) == 8
    assert ledger.filter("failed")["calls"].sum() == 2


def test_who_cannot_wait_is_refused_in_words(study):
    oracle = make_oracle(study.oracles["numbers"])
    problem = study.tasks["numbers"].entry.factory(study.tasks["numbers"].options)
    with pytest.raises(
        ContractError, match=r"verifiers/court.*judge\(\): found a coroutine, expected a plain"
    ):
        judge(oracle, next(iter(problem)), ["1"])
    ours = study.strategies["repeated_sampling"]
    entry = replace(ours.entry, asks_oracle=True, design="adaptive")
    study.strategies["repeated_sampling"] = replace(ours, entry=entry)
    files = {name: Path(f"{name}.parquet") for name in ("problems", "completions", "ledger", "trees")}
    with pytest.raises(
        StudyError, match=r"strategies.repeated_sampling: asks the oracle .*court is a coroutine"
    ):
        sample_block(
            study, "numbers", "sim", "repeated_sampling", Block(0, 0, 2, 0, 6), **files, model_directories={}
        )


def test_a_strategy_that_asks_an_oracle_which_is_waited_for_is_refused_before_it_starts(study):
    (strategy,) = study.strategies.values()
    asking = replace(strategy, entry=replace(strategy.entry, asks_oracle=True, design="until_success"))
    study.strategies["repeated_sampling"] = asking
    said = [one.message for one in check_oracles(study)]
    assert said == [
        "asks the oracle while it samples, and judge() of verifiers.court, that of tasks.numbers, is a "
        "coroutine; expected one that answers at once"
    ]


def test_files_that_an_entry_names_otherwise_are_refused_before_it_starts(study):
    task = study.tasks["numbers"]
    listed = replace(task.entry, files=lambda options: [options.file])
    study.tasks["numbers"] = replace(task, entry=listed)
    ((place, said),) = ((one.place, one.message) for one in check_files(study))
    assert place == ("tasks", "numbers")
    assert said.startswith("tasks/jsonl (label 'numbers'): files(): found [")
    assert said.endswith('expected a mapping of names to paths, as {"file": options.file}')
