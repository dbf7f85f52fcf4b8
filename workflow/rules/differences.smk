"""Inputs: accuracies by problem. Outputs: paired differences with intervals and tests, and a table of them."""


rule differences:
    input:
        accuracies=get_combinations(
            "<results>/accuracies/{task}/{model}/{strategy}.parquet"
        ),
    output:
        output="<results>/differences.parquet",
        csv=report(
            local("<reports>/differences.csv"),
            caption="../report/differences.rst",
            category="Tables",
            labels={"table": "differences"},
        ),
        tex=local("<reports>/differences.tex"),
    log:
        "<logs>/differences.log",
    conda:
        "../../envs/core.yaml"
    params:
        depends=lambda wildcards: plan.depends("differences", wildcards),
    script:
        "../scripts/differences.py"


# Seconds: not worth a cluster job.
localrules:
    tricks,


rule tricks:
    input:
        differences=rules.differences.output.output,
    output:
        csv=report(
            local("<reports>/tricks.csv"),
            caption="../report/tricks.rst",
            category="Tables",
            labels={"table": "tricks"},
        ),
        tex=local("<reports>/tricks.tex"),
    log:
        "<logs>/tricks.log",
    conda:
        "../../envs/core.yaml"
    params:
        depends=lambda wildcards: plan.depends("tricks", wildcards),
    script:
        "../scripts/tricks.py"
