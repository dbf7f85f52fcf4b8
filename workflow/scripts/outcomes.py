"""Gather the judged completions of all blocks."""

from pathlib import Path

from itscale.job import by_folder, job, paths
from itscale.stages.outcomes import gather_outcomes

with job(snakemake) as study:
    files = {"problems": Path(snakemake.input.problems), "output": Path(snakemake.output.outcomes)}
    files |= {"completions": paths(snakemake.input.completions), "verdicts": by_folder(snakemake.input.verdicts)}
    gather_outcomes(study, **snakemake.wildcards, **files)
