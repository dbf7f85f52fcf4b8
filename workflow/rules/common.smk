"""What the rules share: the study, the plan of its blocks, and what each job depends on."""

from functools import partial

from snakemake.exceptions import WorkflowError

from itscale.store.directory import keep_off_import_path
from itscale.errors import UserError
from itscale.running.job import begin, study_of_workflow
from itscale.running.waiting import note_waiting
from itscale.planning.plan import make_plan
from itscale.planning.resources import disk_mb, gpus, mem_mb, runtime
from itscale.stages.figures import figure_caption

keep_off_import_path()


def or_workflow_error(function, *arguments):
    """Call a function whose mistakes are the user's: they end the workflow, a line each."""
    try:
        return function(*arguments)
    except UserError as error:
        raise WorkflowError(str(error)) from None


def begin_run():
    """End what an earlier run left, and tell the jobs of this one which blocks wait."""
    or_workflow_error(begin, workflow, config)
    note_waiting(workflow, plan)


def per_block(path, verifiers=lambda task: [None]):
    """Return an input function: the path, for each block of its (task, model, strategy) and each verifier."""
    return lambda wildcards: [
        path.format(block=block.name, verifier=verifier, **wildcards)
        for block in plan.blocks(wildcards.task, wildcards.model, wildcards.strategy)
        for verifier in verifiers(wildcards.task)
    ]


def get_problems(wildcards):
    """Return the problems of the task, where completions are sampled."""
    if plan.source(wildcards):
        return []
    return ancient("<results>/problems/{task}.parquet".format(**wildcards))


def get_source(wildcards):
    """Return the files of imported outcomes, where they are."""
    return plan.source_files(wildcards)


def get_model_directories(wildcards):
    """Return the prepared models among those that the job starts, where their engines want that."""
    return [
        ancient(f"<resources>/models/{model}")
        for model in plan.models_of(wildcards)
        if study.wants_preparing(model)
    ]


def get_threads(wildcards):
    """Return all cores for a model that computes here, else one; on a cluster, what a GPU is fed by."""
    if not plan.computing_here(wildcards):
        return 1
    return 8 if workflow.non_local_exec else workflow.cores


def get_combinations(path, **labels):
    """Return a path for every task, model and strategy there is, and for each of further labels."""
    return [
        found
        for task, model, strategy in plan.cut
        for found in expand(path, task=task, model=model, strategy=strategy, **labels)
    ]


def get_missing():
    """Return what the study lacks, if it samples anything."""
    return ["<results>/missing.parquet"] if study.samples else []


def read_by_figure(kind, path, **labels):
    """Return an input function: every table of a kind, for a figure that reads that kind."""
    files = get_combinations(path, **labels)
    return lambda wildcards: (
        files if kind in study.figures[wildcards.figure].entry.reads else []
    )


include: "artifacts.smk"
