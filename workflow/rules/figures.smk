"""Inputs: the tables of the study that a figure reads. Outputs: it as PDF, SVG and PNG, with the table it draws."""


# Seconds each: not worth a cluster job.
localrules:
    figures,


rule figures:
    input:
        curves=read_by_figure(
            "curves", "<results>/curves/{task}/{model}/{strategy}.parquet"
        ),
        fits=read_by_figure(
            "fits",
            "<results>/fits/{task}/{model}/{strategy}/{law}.parquet",
            law=study.curve_laws,
        ),
        forecasts=read_by_figure(
            "forecasts",
            "<results>/forecasts/{task}/{model}/{strategy}/{law}.parquet",
            law=study.curve_laws,
        ),
        ensembles=read_by_figure(
            "forecasts" if study.curve_laws else "nothing",
            "<results>/ensemble/{task}/{model}/{strategy}.parquet",
        ),
        differences=lambda wildcards: (
            rules.differences.output.output
            if study.config.differences
            and "differences" in study.figures[wildcards.figure].entry.reads
            else []
        ),
        accuracies=read_by_figure(
            "accuracies", "<results>/accuracies/{task}/{model}/{strategy}.parquet"
        ),
        outcomes=read_by_figure(
            "outcomes", "<results>/outcomes/{task}/{model}/{strategy}.parquet"
        ),
        trees=lambda wildcards: (
            expand("<results>/trees/{block}.parquet", block=plan.block_paths())
            if "trees" in study.figures[wildcards.figure].entry.reads
            else []
        ),
        missing=get_missing(),
    output:
        pdf=local("<reports>/figures/{figure}.pdf"),
        svg=report(
            local("<reports>/figures/{figure}.svg"),
            caption="../report/figure.rst",
            category="Figures",
            labels={"figure": "{figure}"},
        ),
        png=local("<reports>/figures/{figure}.png"),
        csv=report(
            local("<reports>/tables/{figure}.csv"),
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{figure}"},
        ),
        tex=local("<reports>/tables/{figure}.tex"),
    log:
        "<logs>/figures/{figure}.log",
    conda:
        "../../envs/core.yaml"
    params:
        figure="{figure}",
        caption=lambda wildcards: figure_caption(study, wildcards.figure),
        depends=lambda wildcards: plan.depends("figures", wildcards),
    script:
        "../scripts/figures.py"
