"""The stages of a study, each declared once, in the order of the data.

A job reads what other stages say of its inputs without importing what they do: declarations are here, and the
functions in the modules of the same names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from itscale.plugins.entries import Kind
from itscale.plugins.ingredient import Ingredient
from itscale.stages.declaration import Labels, Stage
from itscale.store.parquet import payload_hash
from itscale.store.schemas import COMBINATION
from itscale.study.study import Study

__all__ = [
    "CURVES",
    "DIFFERENCES",
    "FAILURES",
    "FIGURES",
    "FITS",
    "IMPORTED",
    "LEADERBOARD",
    "MANIFEST",
    "MODELS",
    "OUTCOMES",
    "PROBLEMS",
    "SAMPLING",
    "STAGES",
    "SUMMARY",
    "TABLE_FITS",
    "TRICKS",
    "VERIFICATION",
    "is_literal",
]

IMPORTED = "import"
"""What footers of imported outcomes say in place of the stage's name."""

NO_ANALYSIS: tuple[Kind, ...] = ("selectors", "laws", "prices", "figures")
"""Kinds of plugins that nothing up to outcomes has a use for."""

NO_FIGURES: tuple[Kind, ...] = ("figures",)
"""Kinds of plugins that nothing but figures has a use for."""

NO_FITS: tuple[Kind, ...] = ("laws", *NO_FIGURES)
"""Kinds of plugins that what is estimated has no use for."""


def _path(folder: str, *labels: str) -> str:
    return "/".join((folder, *(f"{{{label}}}" for label in labels)))


def _problems(study: Study, labels: Labels) -> dict[str, Any]:
    return {"task": study.tasks[labels["task"]].fingerprint()}


def _ancient_problems(study: Study, labels: Labels) -> dict[str, Any]:
    """Blocks outlive more problems: their rules take the file as it is, and see only other problems."""
    return {"problems": _problems(study, labels)}


PROBLEMS = Stage(
    name="problems",
    revision=2,
    each=("task",),
    fingerprint=_problems,
    tables=(_path("problems", "task"),),
    unused=NO_ANALYSIS,
)

MODELS = Stage(
    name="models",
    revision=1,
    each=("model",),
    fingerprint=lambda study, labels: {"model": study.models[labels["model"]].fingerprint()},
    wanted=lambda study, labels: study.wants_preparing(labels["model"]),
    unused=NO_ANALYSIS,
)


def _sampled(study: Study, labels: Labels) -> dict[str, Any]:
    """Return what all completions of a task, model and strategy depend on."""
    sampling = study.sampling_fingerprint(labels["model"], labels["strategy"])
    return {"seed": study.config.seed, "task": labels["task"], "sampling": sampling}


SAMPLING = Stage(
    name="sampling",
    revision=10,
    each=(*COMBINATION, "block"),
    fingerprint=lambda study, labels: {**_sampled(study, labels), "block": labels["block"]},
    unwatched=_ancient_problems,
    tables=tuple(_path(kind, *COMBINATION, "block") for kind in ("completions", "ledger", "trees")),
    unused=NO_ANALYSIS,
)


def _verification(study: Study, labels: Labels) -> dict[str, Any]:
    verifier = study.verifier(labels["task"], labels["verifier"])
    return {"verifier": study.scorer_fingerprint(verifier)}


VERIFICATION = Stage(
    name="verification",
    revision=7,
    each=(*COMBINATION, "verifier", "block"),
    fingerprint=_verification,
    unwatched=_ancient_problems,
    tables=tuple(_path(kind, *COMBINATION, "verifier", "block") for kind in ("verdicts", "ledger")),
    unused=NO_ANALYSIS,
)


def is_literal(path: Path) -> bool:
    """Return whether Snakemake takes a path as it is: it knows no way to write a brace in an input."""
    return not set("{}<>") & set(str(path))


def _outcomes(study: Study, labels: Labels) -> dict[str, Any]:
    if source := study.source(labels):
        return source.fingerprint()
    task = labels["task"]
    verifiers = {
        label: study.scorer_fingerprint(study.verifier(task, label)) for label in study.verifiers_of(task)
    }
    return {**_sampled(study, labels), "verifiers": verifiers}


def _unwatched_sources(study: Study, labels: Labels) -> dict[str, Any]:
    source = study.source(labels)
    paths = source.paths if source else ()
    hashes = {str(path): payload_hash(path) for path in paths if not is_literal(path)}
    return {"files": hashes} if hashes else {}


def _of_outcomes(study: Study, labels: Labels) -> dict[str, Any]:
    return {"task": labels["task"], "outcomes": _outcomes(study, labels)}


OUTCOMES = Stage(
    name="outcomes",
    revision=4,
    each=COMBINATION,
    fingerprint=_outcomes,
    unwatched=_unwatched_sources,
    tables=(_path("outcomes", *COMBINATION),),
    unused=NO_ANALYSIS,
)

FAILURES = Stage(
    name="failures",
    revision=4,
    tables=("failures", "missing"),
    reports=("failures.csv",),
    wanted=lambda study, _: study.samples,
    unused=NO_ANALYSIS,
)


def _fingerprints(ingredients: Mapping[str, Ingredient[Any]]) -> dict[str, Any]:
    return {label: ingredient.fingerprint() for label, ingredient in ingredients.items()}


def _curves(study: Study, labels: Labels) -> dict[str, Any]:
    priced = study.prices_of(labels["model"], labels["strategy"])
    return {
        "seed": study.config.seed,
        **_of_outcomes(study, labels),
        "draws": study.draws(labels["strategy"]),
        "curves": study.config.curves.model_dump(mode="json"),
        "selectors": _fingerprints(study.selectors),
        **({"prices": _fingerprints(priced)} if priced else {}),
    }


CURVES = Stage(
    name="curves",
    revision=12,
    each=COMBINATION,
    fingerprint=_curves,
    tables=tuple(_path(kind, *COMBINATION) for kind in ("curves", "accuracies")),
    unused=NO_FITS,
)


def _law(study: Study, law: str) -> dict[str, Any]:
    return {
        "seed": study.config.seed,
        "law": study.laws[law].fingerprint(),
        "fits": study.config.fits.model_dump(mode="json"),
        "confidence": study.config.curves.confidence,
    }


def _fits(study: Study, labels: Labels) -> dict[str, Any]:
    clusters = study.config.curves.clusters
    return {**_law(study, labels["law"]), **_of_outcomes(study, labels), "clusters": clusters}


FITS = Stage(
    name="fits",
    revision=7,
    each=(*COMBINATION, "law"),
    fingerprint=_fits,
    tables=tuple(_path(kind, *COMBINATION, "law") for kind in ("fits", "forecasts", "refits")),
    unused=NO_FIGURES,
)


def _leaderboard(study: Study, labels: Labels) -> dict[str, Any]:
    laws = {label: study.laws[label].fingerprint() for label in study.curve_laws}
    return {**_of_outcomes(study, labels), "laws": laws, "confidence": study.config.curves.confidence}


def _has_curve_laws(study: Study, labels: Labels) -> bool:
    return bool(study.curve_laws)


LEADERBOARD = Stage(
    name="leaderboard",
    revision=7,
    each=COMBINATION,
    fingerprint=_leaderboard,
    tables=tuple(_path(kind, *COMBINATION) for kind in ("leaderboard", "ensemble")),
    wanted=_has_curve_laws,
    unused=NO_FIGURES,
)

LEADERBOARD_TABLE = Stage(
    name="leaderboard_table",
    revision=5,
    fingerprint=lambda study, _: {"confidence": study.config.curves.confidence},
    reports=("leaderboard.csv", "leaderboard.tex"),
    wanted=_has_curve_laws,
    unused=NO_FIGURES,
)

TABLE_FITS = Stage(
    name="table_fits",
    revision=4,
    each=("table_law",),
    fingerprint=lambda study, labels: _law(study, labels["table_law"]),
    tables=tuple(_path(f"{kind}/tables", "table_law") for kind in ("fits", "forecasts")),
    unused=NO_FIGURES,
)


def _differences(study: Study, labels: Labels) -> dict[str, Any]:
    sections = study.config.differences.items()
    return {
        "seed": study.config.seed,
        "curves": study.config.curves.model_dump(mode="json"),
        # where they are shown changes none
        "differences": {
            label: section.model_dump(mode="json", exclude={"trick"}) for label, section in sections
        },
    }


DIFFERENCES = Stage(
    name="differences",
    revision=9,
    fingerprint=_differences,
    tables=("differences",),
    reports=("differences.csv", "differences.tex"),
    wanted=lambda study, _: bool(study.config.differences),
    unused=NO_FITS,
)

TRICKS = Stage(
    name="tricks",
    revision=2,
    fingerprint=lambda study, _: {
        "tricks": [label for label, section in study.config.differences.items() if section.trick],
        "budgets": study.config.curves.budgets,
    },
    reports=("tricks.csv", "tricks.tex"),
    wanted=lambda study, _: any(section.trick for section in study.config.differences.values()),
    unused=NO_FITS,
)


def _figures(study: Study, labels: Labels) -> dict[str, Any]:
    figure = study.figures[labels["figure"]].fingerprint()
    return {"figure": figure, "confidence": study.config.curves.confidence}


FIGURES = Stage(
    name="figures",
    revision=6,
    each=("figure",),
    fingerprint=_figures,
    reports=(
        *(f"figures/{{figure}}.{kind}" for kind in ("pdf", "svg", "png")),
        *(f"tables/{{figure}}.{kind}" for kind in ("csv", "tex")),
    ),
)


def _summary(study: Study, labels: Labels) -> dict[str, Any]:
    return {
        "selectors": list(study.selectors),
        "laws": list(study.laws),
        "confidence": study.config.curves.confidence,
    }


SUMMARY = Stage(
    name="summary",
    revision=9,
    fingerprint=_summary,
    reports=tuple(f"summary.{kind}" for kind in ("csv", "tex", "rst")),
    unused=NO_FIGURES,
)

MANIFEST = Stage(
    name="manifest",
    revision=2,
    fingerprint=lambda study, _: {"study": study.config.model_dump(mode="json")},
    reports=("manifest.json",),
)

STAGES = (
    PROBLEMS,
    MODELS,
    SAMPLING,
    VERIFICATION,
    OUTCOMES,
    FAILURES,
    CURVES,
    FITS,
    LEADERBOARD,
    LEADERBOARD_TABLE,
    TABLE_FITS,
    DIFFERENCES,
    TRICKS,
    FIGURES,
    SUMMARY,
    MANIFEST,
)
