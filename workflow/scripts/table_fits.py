"""Fit a law to a table."""

from pathlib import Path

from itscale.running.job import job
from itscale.stages.table_fits import fit_table

with job(snakemake) as study:
    files = {name: Path(path) for name, path in snakemake.output.items()}
    fit_table(study, snakemake.wildcards.table_law, **files)
