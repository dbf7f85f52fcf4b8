"""All that a study makes, for its manifest."""


def get_artifacts():
    """Return every table of the study, from problems to forecasts."""
    return [f"<results>/{table}" for table in plan.tables()]


def get_reports(**but):
    """Return every file for a reader; those of one stage may be left out."""
    return local([f"<reports>/{report}" for report in plan.reports(**but)])


def get_everything():
    """Return every file by name: of what only its maker's outputs need, nothing would be made again if deleted."""
    return [
        *get_reports(),
        # Not the problems: blocks that are there would be sampled again. `itscale run` sees to them.
        *(table for table in get_artifacts() if "/problems/" not in table),
    ]
