"""Inputs: none, an engine plugin fetches the model. Outputs: a directory the engine can load."""


# Fetches over the network, which nodes of a cluster often lack.
localrules:
    models,


rule models:
    output:
        directory=directory("<resources>/models/{model}"),
    log:
        "<logs>/models/{model}.log",
    conda:
        "../../envs/cpu.yaml"
    params:
        model="{model}",
        depends=lambda wildcards: plan.depends("models", wildcards),
    script:
        "../scripts/models.py"
