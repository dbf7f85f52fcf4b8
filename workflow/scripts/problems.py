"""Write the problems of a task."""

from pathlib import Path

from itscale.running.job import job
from itscale.stages.problems import write_problems

with job(snakemake) as study:
    write_problems(study, snakemake.wildcards.task, Path(snakemake.output.problems))
