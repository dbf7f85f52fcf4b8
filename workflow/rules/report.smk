"""Inputs: everything above. Outputs: the short summary, and the manifest that ties every number to its origin.

What a reader wants is local: it stays here even where a storage provider keeps the results.
"""


report: "../report/workflow.rst"


# Seconds each: not worth a cluster job.
localrules:
    summary,
    manifest,


rule summary:
    input:
        curves=get_combinations("<results>/curves/{task}/{model}/{strategy}.parquet"),
        fits=get_combinations(
            "<results>/fits/{task}/{model}/{strategy}/{law}.parquet",
            law=study.curve_laws,
        )
        + expand("<results>/fits/tables/{law}.parquet", law=study.table_laws),
        missing=get_missing(),
    output:
        csv=report(
            local("<reports>/summary.csv"),
            caption="../report/summary.rst",
            category="Tables",
            labels={"table": "summary"},
        ),
        tex=local("<reports>/summary.tex"),
        rst=local("<reports>/summary.rst"),  # what the report begins with
    log:
        "<logs>/summary.log",
    conda:
        "../../envs/core.yaml"
    params:
        depends=lambda wildcards: plan.depends("summary", wildcards),
    script:
        "../scripts/summary.py"


rule manifest:
    input:
        tables=get_artifacts(),
        reports=get_reports(but="manifest"),
    output:
        manifest=report(
            local("<reports>/manifest.json"),
            caption="../report/manifest.rst",
            category="Provenance",
            labels={"file": "manifest"},
        ),
    log:
        "<logs>/manifest.log",
    conda:
        "../../envs/core.yaml"
    params:
        depends=lambda wildcards: plan.depends("manifest", wildcards),
    script:
        "../scripts/manifest.py"
