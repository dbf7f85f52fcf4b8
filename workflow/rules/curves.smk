"""Inputs: outcomes, ledgers of sampling, verdicts of the scorers that selectors read. Outputs: accuracy of every selector against the budget, with intervals, and problem by problem."""


rule curves:
    input:
        outcomes="<results>/outcomes/{task}/{model}/{strategy}.parquet",
        ledgers=per_block("<results>/ledger/{task}/{model}/{strategy}/{block}.parquet"),
        verdicts=per_block(
            "<results>/verdicts/{task}/{model}/{strategy}/{verifier}/{block}.parquet",
            lambda task: study.scorers_read,
        ),
    output:
        curves="<results>/curves/{task}/{model}/{strategy}.parquet",
        accuracies="<results>/accuracies/{task}/{model}/{strategy}.parquet",
    log:
        "<logs>/curves/{task}/{model}/{strategy}.log",
    conda:
        "../../envs/core.yaml"
    params:
        depends=lambda wildcards: plan.depends("curves", wildcards),
    script:
        "../scripts/curves.py"
