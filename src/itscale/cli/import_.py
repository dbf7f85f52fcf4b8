"""`itscale import`: check other people's results and write them as outcomes that a study can name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from itscale.cli.terminal import say
from itscale.messages.numbers import percent

if TYPE_CHECKING:
    from itscale.outcomes import Design
    from itscale.plugins.entries import VerifierEntry
    from itscale.plugins.ingredient import Ingredient
    from itscale.stages.imports import Imported

__all__ = ["import_"]


SAID = {
    "unparsable": "no answer found, counted as wrong",
    "error": "not judged, as the oracle failed, counted as wrong",
    "timeout": "not judged in time, counted as wrong",
}
"""What a status of verdicts is called."""


def import_(
    sources: Annotated[
        list[Path], typer.Argument(help="CSV, JSON, JSON lines (also .gz, .zst) or parquet; several are one")
    ],
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--columns",
            help="FIELD=COLUMN,... with the fields problem, correct, attempt, n, answer, reference, score, "
            "score.LABEL, metadata.NAME, prompt_tokens, generated_tokens, cost; a column inside of others: "
            "a.b, a[0], a[].b for each; several columns, an attempt each: pass_*",
        ),
    ] = None,
    where: Annotated[
        list[str] | None,
        typer.Option("--where", help="COLUMN=VALUE: only such rows; a column twice: either value"),
    ] = None,
    oracle: Annotated[
        str | None,
        typer.Option(help="what judges each answer by its reference: exact_match, math ..."),
    ] = None,
    oracle_options: Annotated[
        str | None,
        typer.Option(help='options of the oracle, as JSON: \'{"find": ["whole"]}\''),
    ] = None,
    design: Annotated[
        str | None,
        typer.Option(help="how many attempts were made: fixed beforehand, until_success, or adaptive"),
    ] = None,
    successes: Annotated[
        int | None,
        typer.Option(min=1, help="of --design until_success: after how many a problem was left"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="where to; SOURCE.outcomes.parquet, here, if left out"),
    ] = None,
) -> None:
    """Check other people's results, attempts or counts (n, correct), and write them as outcomes."""
    from itscale.importing.columns import parse_columns, parse_where
    from itscale.importing.source import Source
    from itscale.stages.imports import import_outcomes

    mapping = parse_columns(",".join(columns)) if columns else None
    judge = _oracle(oracle, oracle_options)
    path = output or Path(f"{sources[0].name}.outcomes.parquet")
    _check_output(path, sources)
    source = Source.find(sources, mapping, _design(design), parse_where(where or ()), judge, successes)
    _say(import_outcomes(source, path), path)


def _oracle(name: str | None, options: str | None) -> Ingredient[VerifierEntry] | None:
    from itscale.errors import StudyError
    from itscale.importing.judging import options_in, oracle_named

    if name is not None:
        given = {} if options is None else options_in(options, "--oracle-options")
        return oracle_named(name, "--oracle" if options is None else f"--oracle-options: {name}", given)
    if options is not None:
        raise StudyError(f"--oracle-options: found {options[:60]!r} and no --oracle, expected both")
    return None


def _check_output(path: Path, sources: list[Path]) -> None:
    """Refuse to write over a source, or under a name that says another kind of file."""
    from itscale.errors import StudyError

    if any(path.resolve() == source.resolve() for source in sources):
        raise StudyError(f"--output: found {str(path)!r}, which is a source, expected another name")
    if path.suffix != ".parquet":
        raise StudyError(f"--output: found {str(path)!r}, expected a name that ends in .parquet")
    if path.is_dir():
        raise StudyError(f"--output: found {str(path)!r}, which is a folder, expected a file in it")
    if path.exists() and not _is_import(path):
        raise StudyError(f"--output: found {str(path)!r}, which no import has made, expected another name")


def _is_import(path: Path) -> bool:
    from itscale.errors import DataError
    from itscale.store.parquet import read_metadata

    try:
        return bool(read_metadata(path).get("stage") == "import")
    except DataError:
        return False


def _design(name: str | None) -> Design | None:
    from itscale.errors import StudyError, nearest
    from itscale.outcomes import DESIGNS

    if name is not None and name not in DESIGNS:
        raise StudyError(f"--design: found {name!r}; {nearest(name, DESIGNS)}")
    return name


def _say(imported: Imported, path: Path) -> None:
    attempts = f"{imported.fewest:,}"
    if imported.most > imported.fewest:
        attempts = f"{imported.fewest:,} to {imported.most:,} (ragged: the curve ends at the smallest)"
    held = ["answers"] * imported.answers + [f"scores of {label}" for label in imported.scorers]
    say(f"{path}: {imported.problems:,} problems, {imported.attempts:,} attempts, {attempts} each")
    single = f"pass@1 {percent(imported.single)}, " if imported.design == "fixed" else ""  # else biased
    wanted = f" ({imported.successes} correct)" if imported.successes is not None else ""
    say(f"{single}design {imported.design}{wanted}, with {', '.join(held) or 'correctness alone'}")
    for status, count in imported.statuses.items():
        share = percent(count / imported.attempts)
        say(f"{SAID.get(status, status)}: {count:,} of {imported.attempts:,} attempts ({share})")
    say("in a study:")
    say(f"outcomes:\n  LABEL: {{path: {path}, task: TASK}}")
