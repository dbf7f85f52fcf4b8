"""Inputs: problems, completions and verdicts of all blocks; or other people's results.

Outputs: one row per completion, judged; and over all strategies, what failed and what is missing therefore.
"""


rule outcomes:
    input:
        problems=get_problems,
        completions=per_block(
            "<results>/completions/{task}/{model}/{strategy}/{block}.parquet"
        ),
        verdicts=per_block(
            "<results>/verdicts/{task}/{model}/{strategy}/{verifier}/{block}.parquet",
            study.verifiers_of,
        ),
        source=get_source,
    output:
        outcomes="<results>/outcomes/{task}/{model}/{strategy}.parquet",
    log:
        "<logs>/outcomes/{task}/{model}/{strategy}.log",
    conda:
        "../../envs/core.yaml"
    params:
        depends=lambda wildcards: plan.depends("outcomes", wildcards),
    script:
        "../scripts/outcomes.py"


# Seconds: not worth a cluster job.
localrules:
    failures,


rule failures:
    input:
        completions=expand(
            "<results>/completions/{block}.parquet", block=plan.block_paths()
        ),
        verdicts=expand(
            "<results>/verdicts/{block}.parquet", block=plan.verdict_paths()
        ),
        outcomes=expand(
            "<results>/outcomes/{place}.parquet", place=plan.sampled_paths()
        ),
    output:
        failures="<results>/failures.parquet",
        missing="<results>/missing.parquet",
        csv=report(
            local("<reports>/failures.csv"),
            caption="../report/failures.rst",
            category="Tables",
            labels={"table": "failures"},
        ),
    log:
        "<logs>/failures.log",
    priority: 1  # where nothing was sampled, curves end the run: what failed is listed before
    conda:
        "../../envs/core.yaml"
    params:
        depends=lambda wildcards: plan.depends("failures", wildcards),
    script:
        "../scripts/failures.py"
