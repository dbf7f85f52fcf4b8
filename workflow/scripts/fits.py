"""Fit a law."""

from pathlib import Path

from itscale.running.job import job
from itscale.stages.fits import fit_law

with job(snakemake) as study:
    files = {**dict(snakemake.input.items()), **dict(snakemake.output.items())}
    fit_law(study, **snakemake.wildcards, **{name: Path(path) for name, path in files.items()})
