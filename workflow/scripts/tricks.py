"""Write what the points of grids gain as a table."""

from pathlib import Path

from itscale.running.job import job
from itscale.stages.tricks import write_tricks

with job(snakemake) as study:
    csv, tex = Path(snakemake.output.csv), Path(snakemake.output.tex)
    write_tricks(study, differences=Path(snakemake.input.differences), csv=csv, tex=tex)
