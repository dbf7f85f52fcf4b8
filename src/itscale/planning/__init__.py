"""The plan of a study, and its readiness to run here: blocks, jobs, resources."""
