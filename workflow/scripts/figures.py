"""Draw a figure and write the table beside it."""

from pathlib import Path

from itscale.running.job import job, paths
from itscale.stages.figures import draw_figure

with job(snakemake) as study:
    kinds = ("curves", "fits", "forecasts", "differences", "accuracies", "outcomes", "trees", "missing")
    tables = {name: paths(snakemake.input[name]) for name in kinds}
    tables["forecasts"] += paths(snakemake.input.ensembles)
    files = {name: Path(path) for name, path in snakemake.output.items()}
    draw_figure(study, snakemake.wildcards.figure, **tables, **files)
