"""Sample a block of completions."""

from pathlib import Path

from itscale.running.job import by_name, job, job_labels, progress_writer
from itscale.running.waiting import waiting_blocks
from itscale.stages.sampling import sample_block

with job(snakemake) as study:
    paths = {"problems": Path(snakemake.input.problems), "model_directories": by_name(snakemake.input.models)}
    paths |= {name: Path(path) for name, path in snakemake.output.items()}
    told = {"waiting": waiting_blocks(study, snakemake), "progress": progress_writer(Path(snakemake.log[0]))}
    sample_block(study, **job_labels(snakemake), **paths, **told)
