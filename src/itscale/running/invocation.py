"""The invocation of Snakemake: whether jobs are to run, and where."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import redirect_stderr
from io import StringIO
from pathlib import Path
from typing import Any

__all__ = ["RUN_NO_JOB", "brings_environments", "jobs_to_run", "models_are_elsewhere", "shares_files"]

RUN_NO_JOB = (
    *("lint", "list_target_rules", "list_rules", "print_compilation", "containerize", "generate_unit_tests"),
    *("dag", "rulegraph", "filegraph", "d3dag", "unlock", "cleanup_metadata", "touch"),
    *("conda_cleanup_envs", "conda_create_envs_only", "list_conda_envs", "container_cleanup_images"),
    *("cleanup_shadow", "list_changes", "list_input_changes", "list_params_changes", "list_untracked"),
    *("summary", "detailed_summary", "archive", "delete_all_output", "delete_temp_output"),
)
"""Options with which Snakemake looks at a workflow or tidies up after it, and runs no job."""


def models_are_elsewhere(workflow: Any) -> bool | None:
    """Return whether this call of Snakemake lets no model run here, in this very environment.

    Jobs may run on other machines, or in environments that are made for them; and many a command runs none.
    While it reads a workflow, Snakemake keeps to itself which of it is so: its own parser is asked again.

    Parameters
    ----------
    workflow
        The workflow of Snakemake.

    Returns
    -------
    elsewhere
        None if it was not called by its command line: then it is known when jobs start.
    """
    if brings_environments(workflow):
        return True
    if (asked := _command_line()) is None:
        return None
    if any(getattr(asked, option, None) not in (None, False) for option in RUN_NO_JOB):
        return True
    reports = (asked.report or asked.reporter) and not asked.report_after_run
    return bool(reports) or not _is_local(asked.executor or "local")


def brings_environments(workflow: Any) -> bool:
    """Return whether Snakemake makes environments for the jobs of a workflow."""
    return bool(workflow.deployment_settings.deployment_method)


def shares_files(workflow: Any) -> bool:
    """Return whether jobs run on this machine and write where others find it: no storage, no cache."""
    storage = workflow.storage_settings.default_storage_provider
    return not (workflow.non_local_exec or storage or workflow.output_file_cache)


def jobs_to_run(workflow: Any, rule: str) -> Iterator[Any]:
    """Yield the jobs of a rule that a planned run is to run; Snakemake has no interface for it."""
    return (job for job in workflow.dag.needrun_jobs() if job.rule.name == rule)


def _command_line() -> Namespace | None:
    """Return what the command line of this process asks of Snakemake, its profiles included."""
    program = Path(sys.argv[0])
    if "snakemake" not in (program.stem, program.parent.name):
        return None
    from snakemake.cli import parse_args

    with redirect_stderr(StringIO()):  # it names the profiles, and has done so already
        _, asked = parse_args(None)
    return asked if isinstance(asked, Namespace) else None


def _is_local(executor: str) -> bool:
    from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

    return bool(ExecutorPluginRegistry().get_plugin(executor).common_settings.local_exec)
