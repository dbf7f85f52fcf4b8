"""Jobs and runs: what surrounds a stage, Snakemake, progress, failures, and what a killed run left."""
