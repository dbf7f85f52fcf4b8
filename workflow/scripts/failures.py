"""Write what failed, and what is missing therefore."""

from pathlib import Path

from itscale.running.job import job, paths
from itscale.stages.failures import gather_failures

with job(snakemake) as study:
    tables = {name: paths(snakemake.input[name]) for name in ("completions", "verdicts", "outcomes")}
    gather_failures(study, **tables, **{name: Path(path) for name, path in snakemake.output.items()})
