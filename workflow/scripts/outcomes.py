"""Gather the judged completions of all blocks, or import imported outcomes."""

from pathlib import Path

from itscale.running.job import by_folder, job, optional_path, paths
from itscale.stages.imports import write_outcomes

with job(snakemake) as study:
    files = {"problems": optional_path(snakemake.input.problems), "output": Path(snakemake.output.outcomes)}
    files |= {"completions": paths(snakemake.input.completions), "verdicts": by_folder(snakemake.input.verdicts)}
    write_outcomes(study, **snakemake.wildcards, **files)
