"""Estimate curves with intervals."""

from pathlib import Path

from itscale.running.job import job, paths
from itscale.stages.curves import estimate_curves

with job(snakemake) as study:
    files = {"outcomes": Path(snakemake.input.outcomes), "output": Path(snakemake.output.curves)}
    files["accuracies"] = Path(snakemake.output.accuracies)
    estimate_curves(study, **snakemake.wildcards, **files, ledgers=paths(snakemake.input.ledgers))
