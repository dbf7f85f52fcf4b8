"""`itscale run`: check a study, let Snakemake do it, show how far it is, and print what came out."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itscale.cli.terminal import complain

if TYPE_CHECKING:
    from rich.console import Console

    from itscale.planning.plan import Plan
    from itscale.running.failures import JobFailure
    from itscale.running.snakemake import DryRun
    from itscale.sampling.progress import BlockExtent

__all__ = ["run"]

POLL = 0.25  # seconds
FULL = 1 << 20  # bytes: with less free, nobody can say any more what went wrong
SIDE_BY_SIDE = 3  # results in one table
MOST_PLACES = 6  # of a study that are printed at its end: a screen
MOST_DIFFERENCES = 6


def run(
    context: typer.Context,
    study: Annotated[Path, typer.Argument(help="the study, a YAML file; further arguments go to Snakemake")],
    cores: Annotated[int | None, typer.Option(min=1, help="cores to use; all if left out")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="say what would run, and stop")] = False,
    retry_failures: Annotated[
        bool, typer.Option(help="do what failed in an earlier run again, and what follows from it")
    ] = False,
) -> None:
    """Run a study and build its report. What is already there and still right is not done again."""
    from itscale.cli.check import checked_plan
    from itscale.cli.console import LiteralConsole
    from itscale.running.job import CHECKED, study_digest
    from itscale.running.profiles import jobs_bring_their_own
    from itscale.study.resolution import read_document

    console = LiteralConsole()
    plan, notes = checked_plan(study, elsewhere=jobs_bring_their_own(context.args))
    for note in notes:
        console.print(f"note: {note}", markup=False)
    os.environ[CHECKED] = study_digest(read_document(study).data)
    _Run(console, plan, study, cores, tuple(context.args)).go(dry_run, retry_failures)


class _Run:
    """One run of a study in the current directory."""

    def __init__(
        self, console: Console, plan: Plan, path: Path, cores: int | None, extra: tuple[str, ...]
    ) -> None:
        from itscale.running.snakemake import command

        self.console = console
        self.plan = plan
        self.command = command(path, cores, *extra)
        self.results = Path("results", plan.study.name)
        self.logs = Path("logs", plan.study.name)
        self.reports = Path("reports", plan.study.name)
        self.output = self.logs / "run.log"
        self.report = self.reports / "report.html"

    def go(self, only_say: bool, retry: bool) -> None:
        """Do what there is to do."""
        from itscale.cli.tables import refuse_strangers, restore_problems, set_aside
        from itscale.running.snakemake import dry_run
        from itscale.store.directory import HELD, hold

        manifest = self.reports / "manifest.json"
        if only_say:
            for line in set_aside(self.plan, self.results, manifest, only_say=True):
                self.console.print(line, markup=False)
            if retry:
                self.reopen(only_count=True)
            todo = dry_run(self.command, self.logs / "dry-run.log")
            refuse_strangers(self.plan, self.results, todo.blocks, everything=not todo.jobs)
            self.say(todo)
            if again := self.made_again(todo):
                self.console.print(
                    f"and then what follows from {' and '.join(again)}, planned once that is there"
                )
            return
        descriptor = hold(Path.cwd())
        os.environ[HELD] = str(Path.cwd().resolve())
        self.clear()
        for line in [
            *set_aside(self.plan, self.results, manifest),
            *restore_problems(self.plan, self.results),
        ]:
            self.console.print(line)
        if retry:
            blocks = dry_run(self.command, self.logs / "dry-run.log").blocks
            refuse_strangers(self.plan, self.results, blocks, everything=False)
            self.reopen(only_count=False)
        todo = self.first_things(dry_run(self.command, self.logs / "dry-run.log"), descriptor)
        refuse_strangers(self.plan, self.results, todo.blocks, everything=not todo.jobs)
        self.say(todo)
        if todo.jobs:
            self.watch(todo, descriptor)
        elif not self.report.is_file() or self.is_older_than_manifest():
            self.snakemake("--report", str(self.report))
        self.summary()

    def first_things(self, todo: DryRun, descriptor: int) -> DryRun:
        """Make models and problems that are there anew by themselves; return what there is to do after it.

        Samples take them as ancient: Snakemake plans nothing for them to follow from, and does not look for
        other reasons either of whatever stands behind a job that it plans.
        """
        from itscale.running.snakemake import dry_run, start

        again = self.made_again(todo)
        if not again:
            return todo
        if start([*self.command, "--until", *again], self.output, keep_open=(descriptor,)).wait() != 0:
            self.fail()
        return dry_run(self.command, self.logs / "dry-run.log")

    def made_again(self, todo: DryRun) -> list[str]:
        """Return the rules of what is made anew although some of it is there: models, problems."""
        from itscale.stages.declared import MODELS, PROBLEMS

        made = {MODELS.name: Path("resources", "models"), PROBLEMS.name: self.results / "problems"}
        return [rule for rule, folder in made.items() if rule in todo.jobs and folder.is_dir()]

    def reopen(self, *, only_count: bool) -> None:
        """Open what failed again, and say how much that is."""
        from itscale.errors import UserError
        from itscale.running.reopening import reopen_failures

        if "--cache" in self.command:
            raise UserError(
                "--retry-failures: found --cache beside it, expected none: the cache would give back the "
                "blocks that failures are in"
            )
        results = Path("results", self.plan.study.name)
        found = reopen_failures(results, self.reports / "manifest.json", only_count=only_count)
        units = f"{found.units:,} unit{'s' * (found.units != 1)}"
        self.console.print(f"trying again: {units}, {found.verdicts:,} verdict{'s' * (found.verdicts != 1)}")

    def say(self, todo: DryRun) -> None:
        """Say what there is to do."""
        name = self.plan.study.name
        if not todo.jobs:
            self.console.print(f"{name}: nothing to do")
            return
        completions = sum(extent.completions for extent in self.extents(todo).values())
        sampled = f", {completions:,} completions in {len(todo.blocks):,} blocks" if completions else ""
        named = ", ".join(f"{count} {rule}" for rule, count in todo.jobs.items())
        self.console.print(f"{name}: {sum(todo.jobs.values()):,} jobs ({named}){sampled}")

    def extents(self, todo: DryRun) -> dict[str, BlockExtent]:
        """Return what each block to sample shall hold."""
        return {path: self.plan.block_extent(path) for path in todo.blocks}

    def clear(self) -> None:
        """End what a killed run left: this one holds the directory, so its jobs and locks are nobody's."""
        from itscale.running.job import PATIENCE
        from itscale.running.leftovers import cancel_leftovers
        from itscale.store.snakemake import is_locked_by_snakemake

        if jobs := cancel_leftovers(Path.cwd()):
            self.console.print(f"cancelled what an earlier run left in Slurm: job {', '.join(jobs)}")
        if is_locked_by_snakemake(Path.cwd()):
            self.console.print("an earlier run was killed here: going on where it stopped")
            time.sleep(2 * PATIENCE)  # its jobs notice and end
            self.snakemake("--unlock")

    def watch(self, todo: DryRun, descriptor: int) -> None:
        """Run Snakemake to its end, showing progress."""
        from itscale.errors import UserError
        from itscale.running.events import events_of
        from itscale.running.snakemake import start
        from itscale.running.watch import Watch, display

        arguments = [*self.command, "--report", str(self.report), "--report-after-run"]
        process = start(arguments, self.output, keep_open=(descriptor,))
        jobs, verdicts = sum(todo.jobs.values()), self.plan.verdicts_of(todo.verdicts)
        watch = Watch(events_of(self.output), self.logs, self.extents(todo), jobs, verdicts)
        try:
            with display(self.console) as show:
                while process.poll() is None:
                    show(watch.look())
                    time.sleep(POLL)
        except KeyboardInterrupt:
            self.stop(process)
        self.console.print(watch.look().line(), markup=False)
        if process.returncode < 0:
            ended_by = signal.Signals(-process.returncode).name
            raise UserError(f"Snakemake was ended by {ended_by}; run again to resume here")
        if process.returncode != 0:
            self.fail()
        for failure in self.failures():
            self.console.print(f"{failure.rule}: {failure.reason}; tried again", markup=False)

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """Wait for Snakemake, which was interrupted, too, to end its jobs; see to it that it did."""
        from itscale.running.leftovers import cancel_leftovers

        self.console.print("stopping; run again to resume here")
        try:
            process.wait(timeout=30)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            process.kill()
        cancel_leftovers(Path.cwd())
        raise typer.Exit(130)

    def failures(self) -> list[JobFailure]:
        """Return the jobs that failed, whether or not they were tried again."""
        from itscale.running.events import events_of, read_events
        from itscale.running.failures import failures_of

        printed = self.output.read_text(encoding="utf-8", errors="replace")
        return failures_of(read_events(events_of(self.output)), printed)

    def fail(self) -> None:
        """Say which jobs failed and why."""
        from itscale.errors import UserError, describe_os_error
        from itscale.running.snakemake import complaint

        if shutil.disk_usage(Path.cwd()).free < FULL:
            raise UserError(
                describe_os_error(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(Path.cwd())))
            )
        failures = [failure for failure in self.failures() if not failure.tried_again]
        for failure in failures[1:]:
            complain(f"{failure.rule}: {failure.reason} (log: {failure.log})")
        if failures:
            first = failures[0]
            raise UserError(
                f"{first.rule}: {first.reason} (log: {first.log}; Snakemake's own: {self.output})"
            )
        raise UserError(f"Snakemake stopped: {complaint(self.output)} (all it says: {self.output})")

    def snakemake(self, *arguments: str) -> None:
        """Run Snakemake for something short."""
        from itscale.errors import UserError
        from itscale.running.snakemake import complaint, start

        log = self.logs / "snakemake.log"
        if start([*self.command, *arguments], log).wait() != 0:
            raise UserError(f"snakemake {arguments[0]}: {complaint(log)} (all it says: {log})")

    def is_older_than_manifest(self) -> bool:
        """Return whether the report was built before the study was last finished."""
        manifest = self.reports / "manifest.json"
        return manifest.is_file() and self.report.stat().st_mtime < manifest.stat().st_mtime

    def summary(self) -> None:
        """Print the short table, and where the report is."""
        import polars as pl
        from rich.table import Table

        from itscale.messages.numbers import counted
        from itscale.stages.summary import LAW, read_summary, remarks, summary_rows

        path = self.reports / "summary.csv"
        summary = read_summary(path)
        rows = summary_rows(summary.filter(pl.col("role") != LAW))
        for start in range(0, len(rows[:MOST_PLACES]), SIDE_BY_SIDE):
            beside = rows[start : min(start + SIDE_BY_SIDE, MOST_PLACES)]
            table = Table(show_header=False, box=None, pad_edge=False)
            for name in dict.fromkeys(name for row in beside for name in row):
                table.add_row(name, *(row.get(name, "") for row in beside))
            self.console.print("")
            self.console.print(table, markup=False)
        if len(rows) > MOST_PLACES:
            self.console.print(f"and {len(rows) - MOST_PLACES} more: {path}", markup=False)
        fitted = summary.filter(role=LAW)["label"].unique(maintain_order=True).to_list()
        if fitted:
            noted = len(remarks(summary))
            said = f" ({counted(noted, 'remark')} in the column message)" if noted else ""
            self.console.print(f"\nlaws: {', '.join(fitted)}", markup=False)
            self.console.print(f"  parameters: {path}{said}", markup=False)
            if (board := self.reports / "leaderboard.csv").is_file():
                self.console.print(f"  forecasts: {board}", markup=False)
        self.differences()
        self.incomplete()
        self.console.print(f"\nreport: {self.report}")

    def differences(self) -> None:
        """Print the paired differences of the study, if it has any."""
        import polars as pl

        from itscale.stages.differences import difference_note, difference_rows, shown_selectors
        from itscale.store.parquet import literal

        path = self.reports / "differences.csv"
        if not self.plan.study.config.differences or not path.is_file():
            return
        self.console.print("")
        table = pl.read_csv(literal(path), glob=False)
        shown = table.sort("p_holm", "p_value", maintain_order=True).head(MOST_DIFFERENCES)
        for row in difference_rows(shown, shown_selectors(self.plan.study)):
            self.console.print(
                f"{row['difference']}, {row['task']}: {row['of']} minus {row['minus']}, "
                f"at equal {row['at equal']}: {row['points']} points, "
                f"p {row['p']}, Holm {row['Holm']}, {row['problems']} problems",
                markup=False,
            )
        if more := table.height - shown.height:
            self.console.print(f"and {more} more with no smaller p: {path}", markup=False)
        self.console.print(difference_note(table, self.plan.study.config.curves.confidence), markup=False)

    def incomplete(self) -> None:
        """Say what is missing from the study, and how to get it."""
        from itscale.stages.failures import missing_lines, unparsable
        from itscale.store.parquet import read_table
        from itscale.store.schemas import FAILURES, MISSING

        results = Path("results", self.plan.study.name)
        if not (results / "missing.parquet").is_file():  # a storage provider keeps it, or nothing was sampled
            return
        missing = read_table(results / "missing.parquet", MISSING)
        if unread := unparsable(missing):
            self.console.print("")
            for line in unread:
                self.console.print(line, markup=False)
        lines = missing_lines(missing, read_table(results / "failures.parquet", FAILURES))
        if not lines:
            return
        self.console.print("\nincomplete:")
        for line in lines:
            self.console.print(f"  {line}", markup=False)
        self.console.print(
            f"all of it: {self.reports / 'failures.csv'}; itscale run --retry-failures tries it again"
        )
