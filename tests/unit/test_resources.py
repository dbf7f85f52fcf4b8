"""What jobs ask of a cluster follows from what is measured, and grows with every attempt."""

import os
from dataclasses import replace
from types import SimpleNamespace

import polars as pl
import pytest

from itscale.errors import ContractError
from itscale.planning.plan import make_plan
from itscale.planning.resources import (
    BLIND_MARGIN,
    LONGEST,
    MARGIN,
    MODEL_MB,
    SHORTEST,
    disk_mb,
    gpus,
    mem_mb,
    runtime,
)
from itscale.plugins import VerdictCost
from itscale.sampling.throughput import Throughput
from itscale.stages.cores import share_cores
from itscale.store.parquet import write_table
from itscale.store.schemas import VERDICTS
from itscale.study import resolve

STUDY = {
    "study": "asks",
    "tasks": {"gcd": {"plugin": "reasoning_gym", "dataset": "gcd", "problems": 10}},
    "models": {
        "toy": {"plugin": "simulated"},
        "large": {"plugin": "vllm", "model": "m", "tensor_parallel": 4, "pipeline_parallel": 2},
    },
    "strategies": {"repeated_sampling": {"completions": 100}},
    "verifiers": ["logprob"],
}
SPEED = Throughput(tokens_per_second=100.0, tokens_per_completion=200.0, startup=60.0, measured=True)


def plan_with(tmp_path, speed):
    plan = make_plan(resolve(STUDY), tmp_path)
    return replace(plan, throughput=dict.fromkeys(plan.throughput, speed))


def job(model="toy", block="p00000-00010_c00000-00100", **more):
    return SimpleNamespace(task="gcd", model=model, strategy="repeated_sampling", block=block, **more)


def test_minutes_are_those_of_the_tokens_at_the_measured_speed_and_a_margin(tmp_path):
    plan = plan_with(tmp_path, SPEED)
    expected = (60 + 1000 * 200 / 100) / 60  # 1,000 completions
    assert runtime(plan, job(), 1) == pytest.approx(expected * MARGIN, abs=1)
    assert runtime(plan, job(), 3) == 3 * runtime(plan, job(), 1)


def test_where_nothing_is_measured_the_margin_is_wider(tmp_path):
    guessed = runtime(plan_with(tmp_path, replace(SPEED, measured=False)), job(), 1)
    assert guessed == pytest.approx(
        runtime(plan_with(tmp_path, SPEED), job(), 1) * BLIND_MARGIN / MARGIN, abs=2
    )


def test_minutes_are_never_too_few_to_start_nor_more_than_a_queue_takes(tmp_path):
    assert runtime(plan_with(tmp_path, SPEED), job(block="p00000-00001_c00000-00001"), 1) == SHORTEST
    slow = replace(SPEED, tokens_per_second=0.01)
    assert runtime(plan_with(tmp_path, slow), job(), 1) == LONGEST


def test_an_oracle_waits_for_no_model_and_a_scorer_that_needs_one_does(tmp_path):
    plan = plan_with(tmp_path, SPEED)
    oracle = plan.study.oracles["gcd"].label
    assert runtime(plan, job(verifier=oracle), 1) == SHORTEST
    assert (gpus(plan, job("large", verifier=oracle)), mem_mb(plan, job("large", verifier=oracle), 1)) == (
        0,
        mem_mb(plan, job(), 1),
    )


def with_cost(plan, **cost):
    """Return the plan with an oracle whose entry states what a verdict costs."""
    oracle = plan.study.oracles["gcd"]
    plan.study.oracles["gcd"] = replace(
        oracle, entry=replace(oracle.entry, cost=lambda options: VerdictCost(**cost))
    )
    return oracle.label


def test_a_job_that_verifies_asks_for_what_its_verdicts_cost(tmp_path):
    plan = plan_with(tmp_path, SPEED)
    cheap = mem_mb(plan, job(verifier=plan.study.oracles["gcd"].label), 1)
    oracle = with_cost(plan, seconds=60.0, at_once=10, memory_mb=500.0)
    stated = 1000 * 6 / 60
    assert runtime(plan, job(verifier=oracle), 1) == pytest.approx(stated * MARGIN, abs=1)
    assert mem_mb(plan, job(verifier=oracle), 1) == cheap + 500
    done = tmp_path / "verdicts/gcd/toy/repeated_sampling" / oracle / "p00000-00010_c00000-00050.parquet"
    done.parent.mkdir(parents=True)
    timing = {"verdicts": 100, "seconds": 120.0}
    write_table(pl.DataFrame(schema=dict(VERDICTS)), done, {"timing": timing})
    assert runtime(plan, job(verifier=oracle), 1) == pytest.approx(1000 * 1.2 / 60 * MARGIN, abs=1)


def test_a_block_holds_what_is_judged_in_the_time_it_should_take(tmp_path):
    study = resolve({**STUDY, "block": {"minutes": 10}})
    before = make_plan(study, tmp_path).blocks("gcd", "toy", "repeated_sampling")
    oracle = study.oracles["gcd"]
    slow = replace(oracle.entry, cost=lambda options: VerdictCost(seconds=600.0, at_once=16))
    study.oracles["gcd"] = replace(oracle, entry=slow)
    blocks = make_plan(study, tmp_path).blocks("gcd", "toy", "repeated_sampling")
    assert max(block.units for block in blocks) == 16 < max(block.units for block in before)
    assert sum(block.units for block in blocks) == 1000


@pytest.mark.parametrize(
    ("cost", "words"),
    [
        ({"seconds": -1.0}, "seconds: found -1, expected a number, at least 0"),
        ({"at_once": 0}, "at_once: found 0, expected a whole number, at least 1"),
        ({"tokens": 1.5}, "tokens: found 1.5, expected a whole number, at least 0, or None"),
    ],
)
def test_a_cost_that_cannot_be_is_refused(tmp_path, cost, words):
    plan = plan_with(tmp_path, SPEED)
    oracle = with_cost(plan, **cost)
    with pytest.raises(ContractError, match=rf"cost\(\): {words}"):
        runtime(plan, job(verifier=oracle), 1)


def test_a_model_that_computes_here_asks_for_memory_and_for_the_gpus_it_is_spread_over(tmp_path):
    plan = plan_with(tmp_path, SPEED)
    assert (gpus(plan, job()), gpus(plan, job("large"))) == (0, 8)
    assert mem_mb(plan, job("large"), 1) - mem_mb(plan, job(), 1) == MODEL_MB
    assert mem_mb(plan, job("large"), 2) == 2 * mem_mb(plan, job("large"), 1)


def test_memory_and_disk_grow_with_the_block(tmp_path):
    plan = plan_with(tmp_path, SPEED)
    small, large = job(block="p00000-00001_c00000-00001"), job(block="p00000-01000_c00000-00128")
    assert mem_mb(plan, small, 1) < mem_mb(plan, large, 1)
    assert disk_mb(plan, small, 1) < disk_mb(plan, large, 1)


@pytest.mark.parametrize(("labels", "threads"), [("a", "4"), ("as", "4"), ("ab", "2"), ("abcde", "1")])
def test_models_that_compute_in_one_job_share_its_cores(monkeypatch, labels, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    models = {label: {"plugin": "vllm", "model": label} for label in "abcde"} | {"s": {"plugin": "simulated"}}
    study = resolve({**STUDY, "models": models})
    share_cores(study.models[label] for label in labels)
    assert os.environ["OMP_NUM_THREADS"] == threads
