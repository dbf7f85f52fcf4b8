"""Compare curves over the same problems."""

from pathlib import Path

from itscale.running.job import job, paths
from itscale.stages.differences import compare_curves

with job(snakemake) as study:
    files = {name: Path(path) for name, path in snakemake.output.items()}
    compare_curves(study, accuracies=paths(snakemake.input.accuracies), **files)
