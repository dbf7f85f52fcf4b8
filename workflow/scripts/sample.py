"""Sample a block of completions."""

from pathlib import Path

from itscale.running.job import job, job_labels, optional_path, progress_writer
from itscale.stages.sampling import sample_block

with job(snakemake) as study:
    paths = {"problems": Path(snakemake.input.problems), "model_directory": optional_path(snakemake.input.model)}
    paths |= {name: Path(path) for name, path in snakemake.output.items()}
    sample_block(study, **job_labels(snakemake), **paths, progress=progress_writer(Path(snakemake.log[0])))
