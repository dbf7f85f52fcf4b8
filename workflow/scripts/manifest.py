"""Write the manifest: every file, its hash and where it comes from."""

from pathlib import Path

from itscale.running.job import job, paths
from itscale.provenance.manifest import write_manifest

with job(snakemake) as study:
    write_manifest(study, artifacts=paths(snakemake.input), output=Path(snakemake.output.manifest))
