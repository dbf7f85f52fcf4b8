"""Resources that jobs ask of a cluster: minutes, memory and disk, more at every attempt.

Rules ask by these functions; a profile overrides them by `set-resources`. How often a job is tried is the
profile's `retries` alone: a rule's own would stay inside the allocation of the first try.
"""

from __future__ import annotations

import math
from typing import Any

from itscale.boundary import cost_of
from itscale.planning.plan import Plan
from itscale.planning.verdicts import stated_seconds
from itscale.sampling.blocks import Block

__all__ = ["disk_mb", "gpus", "mem_mb", "runtime"]

MARGIN = 1.5
"""Minutes asked for, over those expected from blocks that are done."""
BLIND_MARGIN = 4.0
"""The same where none is done."""
SHORTEST, LONGEST = 10, 3 * 24 * 60
"""Minutes: below, queues gain nothing; above, few take a job."""
SECONDS_PER_VERDICT = 0.02
"""An expression of a completion parsed and compared; where a verifier states nothing and none is measured."""
BASE_MB = 1000
"""Two Snakemakes (130 MB each) and the libraries."""
MODEL_MB = 16000
"""A model computed on the job's machine, as it is loaded."""
COMPLETION_MB = 0.02
"""A completion in memory, as objects, as text in the journal and as a row of a table."""


def runtime(plan: Plan, wildcards: Any, attempt: int) -> int:
    """Return the minutes of a job that samples or verifies a block."""
    throughput = plan.throughput[wildcards.task, wildcards.model, wildcards.strategy]
    completions = _completions(plan, wildcards)
    seconds, measured = throughput.seconds(completions), throughput.measured
    if label := getattr(wildcards, "verifier", None):
        told = plan.seconds_per_verdict(wildcards)
        stated = stated_seconds(plan.study.verifier(wildcards.task, label))
        asks = plan.starts_engine(wildcards)
        if told is not None:
            seconds, measured = completions * told + throughput.startup * asks, True
        elif stated or not asks:  # else it reads about as much as was sampled
            seconds = completions * (stated or SECONDS_PER_VERDICT) + throughput.startup * asks
    margin = MARGIN if measured else BLIND_MARGIN
    return min(max(SHORTEST, math.ceil(seconds / 60 * margin)) * attempt, LONGEST)


def mem_mb(plan: Plan, wildcards: Any, attempt: int) -> int:
    """Return the memory (MB) of a job that samples or verifies a block."""
    here = _completions(plan, wildcards) * COMPLETION_MB
    here += MODEL_MB * len(plan.computing_here(wildcards))
    if label := getattr(wildcards, "verifier", None):
        here += cost_of(plan.study.verifier(wildcards.task, label)).memory_mb
    return math.ceil(BASE_MB + here) * attempt


def disk_mb(plan: Plan, wildcards: Any, attempt: int) -> int:
    """Return the scratch space (MB) of a job that samples or verifies a block."""
    return math.ceil(BASE_MB + _completions(plan, wildcards) * COMPLETION_MB) * attempt


def gpus(plan: Plan, wildcards: Any) -> int:
    """Return the GPUs over which the models that compute on the job's machine are spread.

    Models with stated shares of an accelerator's memory that fit on one share theirs.
    """
    options = [plan.study.models[model].options for model in plan.computing_here(wildcards)]
    spread = [
        math.prod(getattr(one, name, 1) for name in ("tensor_parallel", "pipeline_parallel"))
        for one in options
    ]
    shares = [getattr(one, "gpu_memory", None) or 1.0 for one in options]
    return max(spread, default=0) if sum(shares) <= 1 else sum(spread)


def _completions(plan: Plan, wildcards: Any) -> int:
    return plan.completions(wildcards.strategy, Block.parse(wildcards.block))
