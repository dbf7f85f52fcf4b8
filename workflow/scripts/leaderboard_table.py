"""Write all leaderboards as one table."""

from pathlib import Path

from itscale.running.job import job, paths
from itscale.stages.leaderboard import write_leaderboard

with job(snakemake) as study:
    csv, tex = Path(snakemake.output.csv), Path(snakemake.output.tex)
    write_leaderboard(study, boards=paths(snakemake.input.boards), csv=csv, tex=tex)
