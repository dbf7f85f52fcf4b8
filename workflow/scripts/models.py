"""Fetch and convert a model."""

from pathlib import Path

from itscale.running.job import job
from itscale.stages.models import prepare_model

with job(snakemake) as study:
    prepare_model(study, snakemake.wildcards.model, Path(snakemake.output.directory))
