"""Estimate curves with intervals."""

from pathlib import Path

from itscale.running.job import by_folder, job, paths
from itscale.stages.curves import estimate_curves

with job(snakemake) as study:
    files = {"outcomes": Path(snakemake.input.outcomes), "output": Path(snakemake.output.curves)}
    files["accuracies"] = Path(snakemake.output.accuracies)
    spent = {"ledgers": paths(snakemake.input.ledgers), "verdicts": by_folder(snakemake.input.verdicts)}
    estimate_curves(study, **snakemake.wildcards, **files, **spent)
