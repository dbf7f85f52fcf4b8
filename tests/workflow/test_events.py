"""Snakemake's events by its logger plugin `itscale`: what a real run and a real dry run tell."""

import re
import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest
from hatchling.builders.wheel import WheelBuilder
from snakemake.persistence.file import FilePersistence
from snakemake_interface_logger_plugins.common import logger_plugin_module_prefix
from snakemake_interface_logger_plugins.tests import TestLogHandlerBase
from workspace import CHECKOUT

from itscale.errors import UserError
from itscale.running.events import LOGGER, events_of, read_events, with_events
from itscale.running.failures import JobFailure, failures_of
from itscale.running.logger import LogHandler, LogHandlerSettings
from itscale.running.snakemake import dry_run, start
from itscale.running.watch import Watch
from itscale.store.snakemake import snakemake_record

SNAKEFILE = """
rule all:
    input: "killed.txt", "silent.txt", "again.txt", "broken.txt"

rule killed:
    output: "killed.txt"
    log: "killed.log"
    shell: "kill -9 $$"

rule silent:
    output: "silent.txt"
    log: "silent.log"
    shell: "true"

rule again:
    output: "again.txt"
    log: "again.log"
    retries: 1
    shell: "test -e tried || (touch tried && false); touch {output}"

rule broken:
    output: "broken.txt"
    log: "broken.log"
    shell: "echo 'error: no such model' > {log}; false"
"""


class TestTheInterfacesOwnTests(TestLogHandlerBase):
    """What Snakemake expects of every logger plugin."""

    __test__ = True

    @pytest.fixture(autouse=True)
    def folder(self, tmp_path: Path) -> None:
        self.file = tmp_path / "logs" / "run.events.jsonl"

    def get_log_handler_cls(self) -> type[LogHandler]:
        return LogHandler

    def get_log_handler_settings(self) -> LogHandlerSettings:
        return LogHandlerSettings(file=self.file)


@pytest.fixture
def snakemake(tmp_path, monkeypatch):
    """The command of a workflow in which each job fails in a way of its own."""
    monkeypatch.chdir(tmp_path)
    Path("Snakefile").write_text(SNAKEFILE)
    options = ("--cores", "2", "--keep-going", "--latency-wait", "0", "--scheduler", "greedy", "--nocolor")
    return [sys.executable, "-P", "-m", "snakemake", *options]


def test_a_run_of_snakemake_tells_which_jobs_failed_and_why(snakemake):
    log = Path("run.log")
    assert (
        start([*snakemake, "--quiet", "rules"], log).wait() == 1
    )  # what people are not shown is told all the same
    found = sorted(failures_of(read_events(events_of(log))), key=lambda failure: failure.rule)
    silent = found.pop()
    assert found == [
        JobFailure("again", "it failed", "again.log", tried_again=True),
        JobFailure("broken", "no such model", "broken.log"),
        JobFailure(
            "killed", "it was killed (SIGKILL), as the system does when memory runs out", "killed.log"
        ),
    ]
    assert (silent.rule, silent.log, silent.tried_again) == ("silent", "silent.log", False)
    assert "before it had written silent.txt:" in silent.reason
    seen = Watch(events_of(log), Path(), {}, jobs=4).look()
    assert (seen.jobs, seen.all_jobs) == (1, 4)


def test_a_dry_run_tells_what_there_is_to_do_and_what_is_wrong(snakemake):
    log = Path("dry-run.log")
    assert dry_run(snakemake, log).jobs == {"killed": 1, "silent": 1, "again": 1, "broken": 1}
    with pytest.raises(
        UserError, match=r"refused the study: MissingRuleException: No rule to produce no\.txt"
    ):
        dry_run([*snakemake, "no.txt"], log)


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (
            "sys.exit('snakemake: error: unrecognized arguments: --x')",
            "refused the study: snakemake: error: unr",
        ),
        ("print('9.27.1')", "dry-run.events.jsonl: found no events, expected those of a dry run"),
    ],
    ids=["refused", "asked for something else"],
)
def test_a_snakemake_that_starts_no_logger_is_told_from_one_that_has_nothing_to_do(tmp_path, code, said):
    with pytest.raises(UserError, match=re.escape(said)):
        dry_run([sys.executable, "-c", f"import sys; {code}", "snakemake"], tmp_path / "dry-run.log")


@pytest.mark.parametrize("given", [["--logger", "theirs", "--quiet"], ["--logger=theirs", "--quiet"]])
def test_a_logger_that_is_asked_for_stays(given):
    assert with_events(["python", "-m", "snakemake", *given], Path("e")) == (
        ["python", "-m", "snakemake", "--logger-itscale-file", "e", "--logger", LOGGER, "theirs", "--quiet"]
    )


def test_the_wheel_brings_the_plugin_where_snakemake_looks_for_it():
    name = f"{logger_plugin_module_prefix}{LOGGER}"
    assert import_module(name).LogHandler is LogHandler
    shipped = {file.distribution_path for file in WheelBuilder(str(CHECKOUT)).recurse_included_files()}
    assert f"{name}/__init__.py" in shipped


@pytest.mark.parametrize("made", ["a.parquet", f"{'long/' * 60}a.parquet"], ids=["short", "long"])
def test_records_are_where_snakemake_keeps_them(made):
    keeper = SimpleNamespace(_fetch_max_len=lambda _: 255)
    theirs = FilePersistence._record_path(keeper, ".snakemake/metadata", made)
    assert snakemake_record(Path(), Path(made)) == Path(theirs)
