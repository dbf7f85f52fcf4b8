"""Inputs: outcomes, curves; a law's own table. Outputs: fits, forecasts, refits; leaderboards, the ensemble."""


rule fits:
    input:
        outcomes="<results>/outcomes/{task}/{model}/{strategy}.parquet",
        curves="<results>/curves/{task}/{model}/{strategy}.parquet",
    output:
        fits="<results>/fits/{task}/{model}/{strategy}/{law}.parquet",
        forecasts="<results>/forecasts/{task}/{model}/{strategy}/{law}.parquet",
        refits="<results>/refits/{task}/{model}/{strategy}/{law}.parquet",
    log:
        "<logs>/fits/{task}/{model}/{strategy}/{law}.log",
    conda:
        "../../envs/core.yaml"
    params:
        law="{law}",
        depends=lambda wildcards: plan.depends("fits", wildcards),
    script:
        "../scripts/fits.py"


rule table_fits:
    output:
        fits="<results>/fits/tables/{table_law}.parquet",
        forecasts="<results>/forecasts/tables/{table_law}.parquet",
    log:
        "<logs>/table_fits/{table_law}.log",
    conda:
        "../../envs/core.yaml"
    params:
        law="{table_law}",
        depends=lambda wildcards: plan.depends("table_fits", wildcards),
    script:
        "../scripts/table_fits.py"


rule leaderboard:
    input:
        fits=expand(
            "<results>/fits/{{task}}/{{model}}/{{strategy}}/{law}.parquet",
            law=study.curve_laws,
        ),
        forecasts=expand(
            "<results>/forecasts/{{task}}/{{model}}/{{strategy}}/{law}.parquet",
            law=study.curve_laws,
        ),
        refits=expand(
            "<results>/refits/{{task}}/{{model}}/{{strategy}}/{law}.parquet",
            law=study.curve_laws,
        ),
    output:
        board="<results>/leaderboard/{task}/{model}/{strategy}.parquet",
        ensemble="<results>/ensemble/{task}/{model}/{strategy}.parquet",
    log:
        "<logs>/leaderboard/{task}/{model}/{strategy}.log",
    conda:
        "../../envs/core.yaml"
    params:
        depends=lambda wildcards: plan.depends("leaderboard", wildcards),
    script:
        "../scripts/leaderboard.py"


# Seconds: not worth a cluster job.
localrules:
    leaderboard_table,


rule leaderboard_table:
    input:
        boards=get_combinations(
            "<results>/leaderboard/{task}/{model}/{strategy}.parquet"
        ),
    output:
        csv=report(
            local("<reports>/leaderboard.csv"),
            caption="../report/leaderboard.rst",
            category="Tables",
            labels={"table": "leaderboard"},
        ),
        tex=local("<reports>/leaderboard.tex"),
    log:
        "<logs>/leaderboard_table.log",
    conda:
        "../../envs/core.yaml"
    params:
        depends=lambda wildcards: plan.depends("leaderboard_table", wildcards),
    script:
        "../scripts/leaderboard_table.py"
