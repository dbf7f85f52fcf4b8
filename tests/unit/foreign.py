"""Results that others have written, brought in."""

import json

import polars as pl

from itscale.importing.columns import parse_columns, parse_where
from itscale.importing.judging import oracle_named
from itscale.importing.source import Source
from itscale.stages.imports import import_outcomes


def bring(folder, name, content, columns=None, where=(), oracle=None, design=None, beside=(), successes=None):
    """Write a file and import it; return what was imported and its table."""
    path = folder / name
    if isinstance(content, pl.DataFrame):
        content.write_parquet(path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    source = Source.find(
        [path, *beside],
        parse_columns(columns) if columns else None,
        design,
        parse_where(where),
        oracle_named(oracle, "--oracle") if oracle else None,
        successes,
    )
    output = folder / "outcomes.parquet"
    return import_outcomes(source, output), pl.read_parquet(output)


def verdicts(table):
    """Return the correctness of each problem's attempts, as a text of 0 and 1, counts written out."""
    found = {}
    for row in table.iter_rows(named=True):
        digits = str(int(row["correct"])) * row.get("count", 1)
        found[row["problem_id"]] = found.get(row["problem_id"], "") + digits
    return found


TWO = {"a": "1", "b": "0"}
LM_EVAL = "\n".join(
    json.dumps({"doc_id": doc, "filter": name, "exact_match": float(name == "strict-match"), "doc": {"q": 1}})
    for doc in (0, 1)
    for name in ("strict-match", "flexible-extract")
)
