"""Inputs: problems, completions of a block. Outputs: a verifier's verdict on each completion, what it cost."""


rule verification:
    input:
        problems=ancient("<results>/problems/{task}.parquet"),
        completions="<results>/completions/{task}/{model}/{strategy}/{block}.parquet",
        models=get_model_directories,
    output:
        verdicts="<results>/verdicts/{task}/{model}/{strategy}/{verifier}/{block}.parquet",
        ledger="<results>/ledger/{task}/{model}/{strategy}/{verifier}/{block}.parquet",
    log:
        "<logs>/verification/{task}/{model}/{strategy}/{verifier}/{block}.log",
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
        verifier="{verifier}",
        block="{block}",
        depends=lambda wildcards: plan.depends("verification", wildcards),
    script:
        "../scripts/verification.py"
