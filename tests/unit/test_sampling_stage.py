"""A block of completions: identity, resumption after a kill, and what a failure leaves behind."""

import asyncio
import math
from dataclasses import asdict, replace

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from itscale.curves.spending import read_spending
from itscale.errors import DataError, EngineError, EngineLostError, StudyError, TooManyFailuresError
from itscale.sampling.blocks import Block
from itscale.sampling.failures import allowed, read_failures
from itscale.sampling.journal import Journal
from itscale.sampling.nodes import Grown
from itscale.sampling.units import Unit
from itscale.stages.problems import write_problems
from itscale.stages.sampling import sample_block, units_of
from itscale.store.parquet import payload_hash, read_metadata
from itscale.study import resolve
from itscale.types import Completion
from itscale_builtin.engines.simulated import SimulatedEngine

STUDY = {
    "study": "tiny",
    "tasks": {
        "numbers": {"plugin": "jsonl", "file": "numbers.jsonl", "prompt": "{question}", "reference": "answer"}
    },
    "models": {"sim": {"plugin": "simulated"}},
    "strategies": {
        "repeated": {"plugin": "repeated_sampling", "completions": 8},
        "particles": {"plugin": "particle_filter", "budgets": [4], "replicates": 2, "scorer": "reward"},
    },
    "verifiers": {"reward": {"plugin": "process_reward"}},
}
POOL = Block(0, 0, 5, 0, 8)
RUNS = Block(4, 0, 5, 0, 2)


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "numbers.jsonl").write_text(
        "".join(f'{{"question": "What is {n}?", "answer": "{n}"}}\n' for n in range(6))
    )
    study = resolve(STUDY)
    write_problems(study, "numbers", tmp_path / "problems.parquet")
    return study


def sample(study, tmp_path, name, block=POOL, strategy="repeated", **kwargs):
    completions = tmp_path / f"{name}.parquet"
    ledger, trees = (tmp_path / f"{name}.{kind}.parquet" for kind in ("ledger", "trees"))
    sample_block(
        study,
        "numbers",
        "sim",
        strategy,
        block,
        problems=tmp_path / "problems.parquet",
        model_directories={},
        completions=completions,
        ledger=ledger,
        trees=trees,
        **kwargs,
    )
    return completions, ledger, trees


@pytest.mark.parametrize(("block", "strategy"), [(POOL, "repeated"), (RUNS, "particles")])
def test_twice_from_scratch_gives_the_same_payload(study, tmp_path, block, strategy):
    first = sample(study, tmp_path, "first", block, strategy)
    second = sample(study, tmp_path, "second", block, strategy)
    assert [payload_hash(path) for path in first] == [payload_hash(path) for path in second]


def test_every_completion_is_there_once_and_the_ledger_has_their_tokens(study, tmp_path):
    completions, ledger, _ = map(pl.read_parquet, sample(study, tmp_path, "pool"))
    assert completions.select("problem_id", "index").n_unique() == len(completions) == 5 * 8
    spent = ledger.group_by("problem_id").agg(pl.col("generated_tokens").sum()).sort("problem_id")
    own = completions.group_by("problem_id").agg(pl.col("generated_tokens").cast(pl.Int64).sum())
    assert spent.equals(own.sort("problem_id"))


def test_a_search_spends_more_than_its_survivors_show(study, tmp_path):
    completions, ledger, _ = map(pl.read_parquet, sample(study, tmp_path, "runs", RUNS, "particles"))
    assert completions.group_by("problem_id", "replicate").len()["len"].unique().to_list() == [4]
    assert ledger["call"].unique().sort().to_list() == ["generate", "score"]
    # No score without its tokens: a reward model reads what it scores.
    assert ledger.filter(pl.col("call") == "score")["prompt_tokens"].min() > 0
    assert completions["step_scores"].list.drop_nulls().list.len().min() >= 1


def test_metadata_says_what_made_it(study, tmp_path):
    metadata = read_metadata(sample(study, tmp_path, "pool")[0])
    assert metadata["simulated"] is True
    assert metadata["seed_scope"] == "completion"
    assert metadata["fingerprint"]["sampling"]["strategy"]["name"] == "itscale/repeated_sampling"
    assert metadata["timing"]["peak_running"] == 5 * 8


class Failing(SimulatedEngine):
    """Answers so many requests, then no more."""

    def __init__(self, options, answers, served=None):
        super().__init__(options)
        self.answers = answers
        self.served = [] if served is None else served

    async def generate(self, request):
        self.answers -= 1
        if self.answers < 0:
            await asyncio.sleep(0.1)  # the others get their answers
            raise EngineLostError("the server went away")
        made = await super().generate(request)
        self.served += made
        return made


def with_factory(study, kind, label, factory):
    """Return the study with the factory of one of its plugins exchanged."""
    ingredients = getattr(study, kind)
    ingredient = ingredients[label]
    changed = replace(ingredient, entry=replace(ingredient.entry, factory=factory))
    return replace(study, **{kind: {**ingredients, label: changed}})


def failing_after(study, answers, served=None):
    return with_factory(study, "models", "sim", lambda options, **_: Failing(options, answers, served))


@pytest.mark.parametrize(("block", "strategy"), [(POOL, "repeated"), (RUNS, "particles")])
def test_what_is_finished_when_a_job_dies_is_not_redone(study, tmp_path, block, strategy):
    served = []
    undisturbed = sample(study, tmp_path, "undisturbed", block, strategy)
    requests = pl.read_parquet(undisturbed[1]).filter(pl.col("call") == "generate")["calls"].sum()
    with pytest.raises(EngineError, match="went away"):
        sample(failing_after(study, requests - 1, served), tmp_path, "killed", block, strategy)
    assert not (tmp_path / "killed.parquet").exists()
    journal = (tmp_path / ".killed.journal").read_bytes().count(b'"ledger"')
    assert journal > 0
    told = []
    study = failing_after(study, math.inf, served)
    again = sample(
        study, tmp_path, "killed", block, strategy, progress=lambda state: told.append(state.completions)
    )
    assert told[0] == journal * (8 if strategy == "repeated" else 4)
    for number in (0, 2):
        assert payload_hash(again[number]) == payload_hash(undisturbed[number])
    assert not list(tmp_path.glob(".killed*"))
    spent = pl.read_parquet(again[1])
    assert spent.filter(~pl.col("failed")).equals(pl.read_parquet(undisturbed[1]))
    generated = spent.filter(pl.col("call") == "generate")
    assert generated["generated_tokens"].sum() == sum(one.tokens for one in served)
    assert generated["prompt_tokens"].sum() == sum(one.prompt_tokens for one in served)
    assert generated["failed"].any() == (strategy == "particles")  # the others have units of one request


def test_a_journal_of_another_study_is_not_used(study, tmp_path):
    with pytest.raises(EngineError):
        sample(failing_after(study, 3), tmp_path, "block")
    other = resolve(STUDY | {"seed": 7})
    assert payload_hash(sample(other, tmp_path, "block")[0]) == payload_hash(
        sample(other, tmp_path, "new")[0]
    )


def test_progress_ends_with_the_whole_block(study, tmp_path):
    told = []
    sample(study, tmp_path, "pool", progress=lambda state: told.append((state.completions, state.tokens)))
    assert told[0] == (0, 0)
    assert told == sorted(told)
    assert told[-1][0] == 40
    assert told[-1][1] == pl.read_parquet(tmp_path / "pool.parquet")["generated_tokens"].sum()


def test_a_block_beyond_the_problems_is_refused(study, tmp_path):
    with pytest.raises(DataError, match="6 problems"):
        sample(study, tmp_path, "pool", Block(0, 0, 9, 0, 8))


def test_a_strategy_that_loses_a_completion_is_refused(study, tmp_path):
    strategy = study.strategies["repeated"].entry.factory

    async def careless(problem, session, options):
        return (await strategy(problem, session, options))[1:]

    with pytest.raises(TooManyFailuresError, match="expected exactly its 8 indices"):
        sample(with_factory(study, "strategies", "repeated", careless), tmp_path, "pool")


def breaking(study, strategy, problems, error):
    """Return the study with a strategy that spends its tokens and then raises an error on some problems."""
    factory = study.strategies[strategy].entry.factory

    async def broken(problem, session, options):
        made = await factory(problem, session, options)
        if problem.problem_id in problems:
            raise error
        return made

    return with_factory(study, "strategies", strategy, broken)


@pytest.mark.parametrize(("block", "strategy"), [(POOL, "repeated"), (RUNS, "particles")])
@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            ValueError("first line\nand second"),
            "ValueError: first line and second (test_sampling_stage.py, line",
        ),
        (EngineError("400, the request is refused"), "400, the request is refused"),
        (SystemExit(0), "SystemExit: 0 (test_"),
        (ExceptionGroup("several", [KeyError("x"), OSError("y")]), "KeyError: 'x'"),
        (asyncio.CancelledError(), "CancelledError (test_"),
        (RuntimeError("half \ud800 \x1b[31m of it"), "RuntimeError: half \\ud800 of it (test_"),
    ],
    ids=["two lines", "server", "exit", "group", "cancelled", "no text"],
)
def test_a_unit_that_fails_is_recorded_and_the_others_are_as_if_nothing_was(
    study, tmp_path, block, strategy, error, said
):
    whole, spent, _ = map(pl.read_parquet, sample(study, tmp_path, "whole", block, strategy))
    study = replace(study, config=study.config.model_copy(update={"max_failures": 2}))
    paths = sample(breaking(study, strategy, {"3"}, error), tmp_path, "part", block, strategy)
    completions, ledger, _ = map(pl.read_parquet, paths)
    assert completions.equals(whole.filter(pl.col("problem_id") != "3"))
    clocks = ["seconds", "failed"]
    sort = ["problem_id", "replicate", "call"]
    assert ledger.drop(clocks).sort(sort).equals(spent.drop(clocks).sort(sort))  # what it spent was spent
    for path in paths:
        failures = read_failures(path)
        assert {failure.unit.problem_id for failure in failures} == {"3"}
        assert len(failures) == (1 if strategy == "repeated" else 2)
        assert all(failure.reason.startswith(said) for failure in failures)
    assert not list(tmp_path.glob(".part*"))


def test_what_failed_units_spent_is_no_cost_of_the_others(study, tmp_path):
    broken = breaking(study, "repeated", {"3"}, ValueError("no"))
    ledger = sample(broken, tmp_path, "part")[1]
    assert set(read_spending([ledger])["problem_id"]) == {"0", "1", "2", "4"}
    assert set(pl.read_parquet(ledger)["problem_id"]) == {"0", "1", "2", "3", "4"}


def test_too_many_failures_end_the_job_in_words_and_the_next_try_does_them_again(study, tmp_path):
    broken = breaking(study, "repeated", {"1", "3"}, ValueError("no"))
    with pytest.raises(TooManyFailuresError) as caught:
        sample(broken, tmp_path, "pool")
    said = str(caught.value)
    assert said.startswith(f"numbers/sim/repeated, block {POOL.name}: 2 of 6 units failed")
    assert "max_failures (0.05) allows 1: problem '1': ValueError: no (" in said
    assert "(and 1 more); mend the cause and run again" in said
    told = []
    mended = sample(study, tmp_path, "pool", progress=lambda state: told.append(state.completions))
    assert 0 < told[0] < 40
    assert payload_hash(mended[0]) == payload_hash(sample(study, tmp_path, "calm")[0])
    assert read_failures(mended[0]) == []


@pytest.mark.parametrize(
    "error",
    [MemoryError(), OSError(28, "No space left on device"), EngineLostError("gone"), KeyboardInterrupt()],
    ids=lambda error: type(error).__name__,
)
def test_what_would_meet_every_unit_ends_the_job_at_once(study, tmp_path, error):
    study = replace(study, config=study.config.model_copy(update={"max_failures": 1.0}))
    with pytest.raises(type(error)):
        sample(breaking(study, "repeated", {"2"}, error), tmp_path, "pool")
    assert not (tmp_path / "pool.parquet").exists()


@pytest.mark.parametrize(
    ("bound", "units", "may_fail"),
    [(0, 100, 0), (0.0, 100, 0), (0.05, 6, 1), (0.05, 100, 5), (3, 2, 3), (1.0, 7, 7)],
)
def test_a_share_of_failures_allows_one_at_least(bound, units, may_fail):
    assert allowed(bound, units) == may_fail


@pytest.mark.parametrize("value", [-1, 1.5, "many", True, float("nan"), None])
def test_what_is_no_bound_of_failures_is_refused(value):
    with pytest.raises(StudyError, match=r"max_failures: found .*, expected a number .* or a share"):
        resolve(STUDY | {"max_failures": value})


UNITS = [Unit(problem_id=str(n), stop=1) for n in range(4)]


def made(unit):
    return [
        Completion(
            problem_id=unit.problem_id,
            index=0,
            text="grün\n\n",
            finish_reason="eos",
            prompt_tokens=1,
            generated_tokens=1,
            logprob=-0.1,
            step_ends=[6],
            step_tokens=[1],
            step_logprobs=[-0.1],
            step_scores=[None],
            step_confidences=[None],
            nodes=[1],
        )
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(data=st.data())
def test_a_journal_torn_anywhere_gives_back_its_whole_lines(tmp_path, data):
    path = tmp_path / "j"
    path.unlink(missing_ok=True)
    with Journal(path, {"a": 1}) as journal:
        for unit in UNITS:
            journal.add(unit, made(unit), [{"calls": 1}], Grown([]))
    whole = path.read_bytes()
    cut = data.draw(st.integers(0, len(whole)))
    path.write_bytes(whole[:cut] + data.draw(st.binary(max_size=20)) * (cut < len(whole)))
    with Journal(path, {"a": 1}) as journal:
        kept = list(journal.finished)
        assert kept == UNITS[: len(kept)]
        assert len(kept) >= whole[:cut].count(b"\n") - 1
        for unit in UNITS[len(kept) :]:
            journal.add(unit, made(unit), [{"calls": 1}], Grown([]))
    with Journal(path, {"a": 1}) as journal:
        assert list(journal.finished) == UNITS
        for unit, (completions, ledger, _) in journal.finished.items():
            assert [asdict(c) for c in completions] == [asdict(c) for c in made(unit)]
            assert ledger == [{"calls": 1}]


def test_units_of_a_block_are_pools_or_runs():
    assert [u.completions for u in units_of(POOL, ["a"])] == [8]
    assert [(u.budget, u.replicate, u.completions) for u in units_of(RUNS, ["a"])] == [(4, 0, 4), (4, 1, 4)]
