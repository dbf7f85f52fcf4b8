"""Write the short summary."""

from pathlib import Path

from itscale.running.job import job, paths
from itscale.stages.summary import write_summary

with job(snakemake) as study:
    tables = {name: paths(snakemake.input[name]) for name in ("curves", "fits", "missing")}
    write_summary(study, **tables, **{name: Path(path) for name, path in snakemake.output.items()})
