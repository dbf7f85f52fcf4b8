"""Gather the judged completions of all blocks."""

from pathlib import Path

from itscale.job import job, paths
from itscale.stages.outcomes import gather_outcomes

with job(snakemake) as study:
    blocks = {name: paths(snakemake.input[name]) for name in ("completions", "verdicts")}
    files = {"problems": Path(snakemake.input.problems), "output": Path(snakemake.output.outcomes)}
    gather_outcomes(study, **snakemake.wildcards, **files, **blocks)
