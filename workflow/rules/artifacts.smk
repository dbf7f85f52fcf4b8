"""All that a study makes, for its manifest."""


def get_artifacts():
    """Return every table of the study, from problems to forecasts."""
    tables = expand("<results>/problems/{task}.parquet", task=study.tasks)
    tables += expand(
        "<results>/{stage}/{block}.parquet",
        stage=["completions", "ledger"],
        block=plan.block_paths(),
    )
    tables += expand("<results>/verdicts/{block}.parquet", block=plan.verdict_paths())
    if plan.block_paths():
        tables += expand("<results>/{kind}.parquet", kind=["failures", "missing"])
    for stage in ("outcomes", "curves", "accuracies"):
        tables += get_combinations(
            f"<results>/{stage}/{{task}}/{{model}}/{{strategy}}.parquet"
        )
    for stage in ("leaderboard", "ensemble") if study.curve_laws else ():
        tables += get_combinations(
            f"<results>/{stage}/{{task}}/{{model}}/{{strategy}}.parquet"
        )
    for stage in ("fits", "forecasts", "refits"):
        path = f"<results>/{stage}/{{task}}/{{model}}/{{strategy}}/{{law}}.parquet"
        tables += get_combinations(path, law=study.curve_laws)
    for stage in ("fits", "forecasts"):
        tables += expand(
            f"<results>/{stage}/tables/{{law}}.parquet", law=study.table_laws
        )
    if study.config.differences:
        tables += expand("<results>/differences.parquet")
    return tables


def get_reports():
    """Return every figure and table for a reader, but not what describes them."""
    csv_and_tex = ["csv", "tex"]
    files = expand(
        "<reports>/figures/{figure}.{kind}",
        figure=study.figures,
        kind=["pdf", "svg", "png"],
    )
    files += expand(
        "<reports>/tables/{figure}.{kind}", figure=study.figures, kind=csv_and_tex
    )
    files += expand("<reports>/summary.{kind}", kind=csv_and_tex)
    if plan.block_paths():
        files += expand("<reports>/failures.csv")
    if study.curve_laws:
        files += expand("<reports>/leaderboard.{kind}", kind=csv_and_tex)
    if study.config.differences:
        files += expand("<reports>/differences.{kind}", kind=csv_and_tex)
    return files
