"""Judge a block of completions."""

from pathlib import Path

from itscale.running.job import by_name, job, progress_writer
from itscale.stages.verification import verify_block

with job(snakemake) as study:
    place = {name: snakemake.wildcards[name] for name in ("task", "model", "strategy", "verifier")}
    paths = {name: Path(snakemake.input[name]) for name in ("problems", "completions")}
    paths |= {"output": Path(snakemake.output.verdicts), "ledger": Path(snakemake.output.ledger)}
    paths |= {"model_directories": by_name(snakemake.input.models)}
    verify_block(study, **place, **paths, progress=progress_writer(Path(snakemake.log[0])))
