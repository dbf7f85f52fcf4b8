"""A job that ends without a word is named, with its rule, its log and what it had to write."""

from pathlib import Path

from itscale.running.failures import parse_failures
from itscale.running.watch import Watch

OUTPUT = """
rule sample:
    output: results/s/completions/t/m/r/p0.parquet, results/s/ledger/t/m/r/p0.parquet
    log: logs/s/sampling/t/m/r/p0.log

rule verify:
    input: results/s/completions/t/m/r/p0.parquet
    output: results/s/verdicts/t/m/r/mine/p0.parquet
    log: logs/s/verification/t/m/r/mine/p0.log
    jobid: 3

MissingOutputException in rule verify in file "verification.smk", line 5:
Job 3 completed successfully, but some output files are missing. Missing files after 5 seconds:
results/s/verdicts/t/m/r/mine/p0.parquet (missing locally, parent dir contents: )
"""


def test_a_job_whose_process_a_plugin_ended_is_named() -> None:
    (failure,) = parse_failures(OUTPUT)
    assert failure.rule == "verify"
    assert Path(failure.log) == Path("logs/s/verification/t/m/r/mine/p0.log")
    assert "ended without a word" in failure.reason
    assert "results/s/verdicts/t/m/r/mine/p0.parquet" in failure.reason


def test_progress_names_the_verifier_that_is_waited_for(tmp_path: Path) -> None:
    log = tmp_path / "run.log"
    log.write_text("rule verify:\n    wildcards: task=t, model=m, strategy=r, verifier=mine, block=p0\n")
    assert Watch(log, tmp_path, {}, 3).look().line().endswith("verify by mine")
