"""Inputs: problems, the prepared model. Outputs: completions, what they cost, and their trees, by block.

Problems and model are ancient: asking for more problems writes the file anew but leaves earlier ones as they
were, so blocks that were sampled stay. What does change completions is in the params, with every wildcard: a
key of the cache between workflows is made of them, and not of wildcards.
"""


rule sampling:
    input:
        problems=ancient("<results>/problems/{task}.parquet"),
        models=get_model_directories,
    output:
        completions="<results>/completions/{task}/{model}/{strategy}/{block}.parquet",
        ledger="<results>/ledger/{task}/{model}/{strategy}/{block}.parquet",
        trees="<results>/trees/{task}/{model}/{strategy}/{block}.parquet",
    log:
        "<logs>/sampling/{task}/{model}/{strategy}/{block}.log",
    cache: True
    conda:
        "../../envs/cpu.yaml"
    threads: get_threads
    resources:
        disk_mb=partial(disk_mb, plan),
        gpu=partial(gpus, plan),
        mem_mb=partial(mem_mb, plan),
        runtime=partial(runtime, plan),
    params:
        task="{task}",
        model="{model}",
        strategy="{strategy}",
        block="{block}",
        depends=lambda wildcards: plan.depends("sampling", wildcards),
    script:
        "../scripts/sampling.py"
