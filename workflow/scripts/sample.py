"""Sample a block of completions."""

from pathlib import Path

from itscale.job import job, optional_path, progress_writer
from itscale.stages.sampling import sample_block

with job(snakemake) as study:
    paths = {"problems": Path(snakemake.input.problems), "model_directory": optional_path(snakemake.input.model)}
    paths |= {name: Path(path) for name, path in snakemake.output.items()}
    sample_block(study, **snakemake.wildcards, **paths, progress=progress_writer(Path(snakemake.log[0])))
