"""Rank and combine the laws of one task, model and strategy."""

from pathlib import Path

from itscale.running.job import job, paths
from itscale.stages.leaderboard import rank_laws

with job(snakemake) as study:
    files = {name: paths(snakemake.input[name]) for name in ("fits", "forecasts", "refits")}
    written = {name: Path(path) for name, path in snakemake.output.items()}
    rank_laws(study, **snakemake.wildcards, **files, **written)
