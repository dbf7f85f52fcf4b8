"""Inputs: none, a task plugin brings them. Outputs: the problems of each task."""


# Short, and may need the network, which nodes of a cluster often lack.
localrules:
    problems,


rule problems:
    output:
        problems="<results>/problems/{task}.parquet",
    log:
        "<logs>/problems/{task}.log",
    conda:
        "../../envs/core.yaml"
    params:
        task="{task}",
        problems=lambda wildcards: plan.problems[wildcards.task],
        depends=lambda wildcards: plan.depends("problems", wildcards),
    script:
        "../scripts/problems.py"
