"""Blocks that wait for a model which a job has started: what a run has to sample, told to its jobs.

A model that computes on this machine takes long to start. So the first job that starts it also samples blocks
of other tasks and strategies, into their journals, as long as all of it takes no longer than a block may. The
jobs of those blocks write what they find. Every block keeps a job of its own: that is what Snakemake knows
of, deletes and makes again.

Jobs on other machines are told nothing: there they begin side by side, and no lock that is sure to hold
everywhere says who samples what.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from itscale.errors import UserError
from itscale.provenance.fingerprints import Fingerprints
from itscale.running.invocation import jobs_to_run, shares_files
from itscale.running.job import progress_writer
from itscale.sampling.blocks import Block
from itscale.stages.declared import SAMPLING
from itscale.stages.sampling import Waiting
from itscale.store.parquet import write_text
from itscale.store.snakemake import FOLDER
from itscale.study.study import Study

if TYPE_CHECKING:
    from itscale.planning.plan import Plan

__all__ = ["WAITING", "note_waiting", "waiting_blocks"]

WAITING = "ITSCALE_WAITING"
"""Environment variable: the file in which a run tells its jobs which blocks wait, and for which models."""


def note_waiting(workflow: Any, plan: Plan) -> None:
    """Tell the jobs of a run which blocks wait for a model that computes here, where several do.

    Parameters
    ----------
    workflow
        The workflow of Snakemake, which has planned the run.
    plan
        The plan of the study.
    """
    os.environ.pop(WAITING, None)
    if not shares_files(workflow):
        return
    found = [_told(job, plan) for job in jobs_to_run(workflow, SAMPLING.name)]
    models = [told["model"] for told in found]
    waiting = [
        told
        for told in sorted(found, key=lambda told: str(told["completions"]))
        if plan.study.models[told["model"]].entry.local_compute and models.count(told["model"]) > 1
    ]
    if waiting:
        path = Path(FOLDER, "itscale.waiting.json")
        write_text(path, json.dumps(waiting))
        os.environ[WAITING] = str(path.resolve())


def _told(job: Any, plan: Plan) -> dict[str, Any]:
    labels: dict[str, str] = dict(job.wildcards.items())
    throughput = plan.throughput[labels["task"], labels["model"], labels["strategy"]]
    completions = plan.completions(labels["strategy"], Block.parse(labels["block"]))
    return {
        **labels,
        "problems": str(job.input.problems),
        "completions": str(job.output.completions),
        "log": str(job.log[0]),
        "seconds": throughput.seconds(completions) - throughput.startup,
    }


def waiting_blocks(study: Study, snakemake: Any) -> Iterator[Waiting]:
    """Return the blocks that wait for the model of a job, one at a time while there is time for it.

    Parameters
    ----------
    study
        The study.
    snakemake
        The job, which begins now.
    """
    labels = dict(snakemake.wildcards.items())
    path = os.environ.get(WAITING)
    told = json.loads(Path(path).read_bytes()) if path else ()
    of_model = [one for one in told if one["model"] == labels["model"]]
    others = [one for one in of_model if {name: one[name] for name in labels} != labels]
    return _in_time(study, others, time.monotonic() + 60 * study.config.block.minutes)


def _in_time(study: Study, waiting: Sequence[Mapping[str, Any]], end: float) -> Iterator[Waiting]:
    """Yield blocks that can be sampled before a time: those that nobody has, and whose problems are there."""
    fingerprints = Fingerprints(study)
    for told in waiting:
        if time.monotonic() + told["seconds"] > end:
            continue
        problems, completions = Path(told["problems"]), Path(told["completions"])
        if _is_right(fingerprints, problems) and not _is_right(fingerprints, completions):
            yield Waiting(
                task=told["task"],
                strategy=told["strategy"],
                block=Block.parse(told["block"]),
                problems=problems,
                completions=completions,
                progress=progress_writer(Path(told["log"]), loading=False),
            )


def _is_right(fingerprints: Fingerprints, table: Path) -> bool:
    """Return whether a table is there, and is what the study makes there."""
    try:
        fingerprints.check(table)
    except (OSError, UserError):
        return False
    return True
