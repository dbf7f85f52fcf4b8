"""What a study amounts to, and whether it can run here: blocks, jobs, resources."""
