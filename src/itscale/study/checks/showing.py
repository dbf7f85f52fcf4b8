"""Figures and differences that name what there is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from itscale.errors import nearest
from itscale.messages.mistakes import Mistake

if TYPE_CHECKING:
    from itscale.study.study import Study

__all__ = ["check_differences", "check_figures"]


def check_figures(study: Study) -> Iterator[Mistake]:
    """No figure is drawn of a table that the study does not make."""
    config = study.config
    completions = bool(config.outcomes or config.tasks)
    fitted = config.laws == "all" or len(config.laws) > len(study.table_laws)
    lacking = {
        "curves": "" if completions else "has no completions: add tasks, models and strategies, or outcomes",
        "fits": "" if completions and fitted else "fits no law to completions: add laws",
        "differences": "" if config.differences else "names none: add differences",
    }
    lacking["forecasts"] = lacking["fits"]
    lacking["accuracies"] = lacking["outcomes"] = lacking["curves"]
    sampled = study.samples
    lacking["trees"] = "" if sampled else "samples none: add tasks, models and strategies"
    for label, figure in study.figures.items():
        if not study.config.prices and figure.entry.priced(figure.options):
            found = "draws USD, and the study has no prices: add price tables, and name them under the models"
            yield Mistake(("figures", label), found)
        reasons = [(table, lacking[table]) for table in figure.entry.reads if lacking.get(table)]
        if reasons:
            table, reason = reasons[0]
            yield Mistake(("figures", label), f"draws {table}, of which the study {reason}, or leave it out")


def check_differences(study: Study) -> Iterator[Mistake]:
    """Every label that a difference names is one of the study's."""
    config = study.config
    known = {
        "model": {*config.models, *(place[1] for place in study.outcomes)},
        "strategy": {*config.strategies, *(place[2] for place in study.outcomes)},
        "selector": set(config.selectors),
    }
    for label, section in config.differences.items():
        for side in ("of", "minus"):
            for name, there_are in known.items():
                chosen = getattr(getattr(section, side), name)
                if chosen is not None and chosen not in there_are:
                    yield Mistake(
                        ("differences", label, side, name),
                        f"no {name} {chosen!r}; {nearest(chosen, there_are)}",
                    )
