"""All that a study makes, for its manifest."""


def get_artifacts():
    """Return every table of the study, from problems to forecasts."""
    return [f"<results>/{table}" for table in plan.tables()]


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
    files += expand("<reports>/summary.{kind}", kind=[*csv_and_tex, "rst"])
    if plan.block_paths():
        files += expand("<reports>/failures.csv")
    if study.curve_laws:
        files += expand("<reports>/leaderboard.{kind}", kind=csv_and_tex)
    if study.config.differences:
        files += expand("<reports>/differences.{kind}", kind=csv_and_tex)
    return files


def get_everything():
    """Return every file by name: of what only its maker's outputs need, nothing would be made again if deleted."""
    return [
        *local(["<reports>/manifest.json", *get_reports()]),
        # Not the problems: blocks that are there would be sampled again. `itscale run` sees to them.
        *(table for table in get_artifacts() if "/problems/" not in table),
    ]
