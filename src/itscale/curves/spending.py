"""Tokens spent at each budget: per problem, generator and scorer apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import polars as pl

from itscale.outcomes import FloatArray, IntArray
from itscale.store.parquet import read_table
from itscale.store.schemas import LEDGER

__all__ = [
    "Tokens",
    "all_runs",
    "known_sum",
    "read_ledgers",
    "run_budgets",
    "spent_on_runs",
    "tokens_of_pools",
    "tokens_of_runs",
]


@dataclass(frozen=True)
class Tokens:
    """Mean tokens per problem at each budget, shape (budgets,): generated, of prompts, and of scorers.

    NaN where nobody counted them.
    """

    generated: FloatArray
    prompt: FloatArray
    scorer: FloatArray

    def at(self, budgets: npt.NDArray[np.bool_]) -> Tokens:
        """Return those of some of the budgets."""
        return Tokens(self.generated[budgets], self.prompt[budgets], self.scorer[budgets])


def read_ledgers(ledgers: Sequence[Path], afterwards: Sequence[Path] = ()) -> pl.DataFrame:
    """Read ledgers, with the tokens that scorers spent beside those of the strategy.

    What came to nothing (`failed`) is left out: it is no cost of the completions there are.

    Parameters
    ----------
    ledgers
        What sampling spent, scores that were asked for on the way included.
    afterwards
        What verification spent; the column `afterwards` says which rows are of these.
    """
    parts = [
        read_table(path, LEDGER).select(*LEDGER).filter(~pl.col("failed")).with_columns(afterwards=after)
        for paths, after in ((ledgers, False), (afterwards, True))
        for path in paths
    ]
    schema = {**LEDGER, "afterwards": pl.Boolean}
    table = pl.concat(parts) if parts else pl.DataFrame(schema=schema)
    scores = pl.col("scorer").is_not_null()
    return table.select(
        "problem_id",
        "budget",
        "replicate",
        "afterwards",
        asked_by=pl.col("scorer"),
        generated=pl.when(scores).then(0).otherwise("generated_tokens"),
        prompt=pl.when(scores).then(0).otherwise("prompt_tokens"),
        scorer=pl.when(scores).then(pl.col("prompt_tokens") + pl.col("generated_tokens")).otherwise(0),
    )


def spent_on_runs(spent: pl.DataFrame, scorer: str) -> pl.DataFrame:
    """Return what runs cost a selector: all of sampling, and of the scores given afterwards its own.

    Parameters
    ----------
    spent
        Ledgers, as `read_ledgers` gives them.
    scorer
        Label of the scorer that the selector reads; none if empty.
    """
    return spent.filter(~pl.col("afterwards") | (pl.col("asked_by") == scorer))


def known_sum(name: str, where: pl.Expr | None = None) -> pl.Expr:
    """Return the sum of a column of a ledger as Float64: NaN, not less, where a term is not known.

    `where` leaves out rows.
    """
    column = pl.col(name) if where is None else pl.col(name).filter(where)
    return column.cast(pl.Float64).fill_null(np.nan).sum().alias(name)


def tokens_of_pools(
    spans: pl.DataFrame,
    spent: pl.DataFrame,
    problems: Sequence[str],
    drawn: FloatArray,
    scorer: str,
    *,
    conversations: bool = False,
) -> Tokens:
    """Return tokens at each k: the completions a selector draws, the prompt once, its own scorer.

    Each drawn completion counts as the mean one of its problem.

    Parameters
    ----------
    spans
        What each problem's completions add up to, as `Outcomes.spans` has it.
    spent
        Ledgers, as `read_ledgers` gives them.
    problems
        The problems, in the order of the rows of `drawn`.
    drawn
        How many completions the selector draws of each problem at each k, shape (problems, budgets).
    scorer
        Label of the scorer that is counted; none if empty.
    conversations
        Whether each completion came of a conversation of its own: then k of them read k times the prompts of
        one, as the ledger has them.

    Returns
    -------
    Tokens
        NaN where neither the outcomes nor a ledger know, be it of one problem: a mean of the others would be
        another.
    """
    mine = pl.col("asked_by") == scorer
    charged = spent.group_by("problem_id").agg(
        known_sum("generated"), known_sum("prompt"), known_sum("scorer", mine)
    )
    read = pl.col("prompt") / pl.col("sampled") if conversations else pl.col("prompt_tokens")
    each = (
        pl.DataFrame({"problem_id": list(problems)}, schema={"problem_id": pl.String})
        .join(spans, on="problem_id", how="left", maintain_order="left")
        .join(charged, on="problem_id", how="left", maintain_order="left")
        .with_columns(generated=pl.coalesce("generated", "generated_tokens"))
        .select(
            generated=pl.col("generated").fill_null(np.nan) / pl.col("sampled"),
            prompt=read.cast(pl.Float64).fill_null(np.nan),
            scorer=pl.col("scorer").fill_null(0) / pl.col("sampled"),
        )
    )
    generated, prompt, scored = (each[name].to_numpy() for name in each.columns)
    return Tokens(
        generated=(drawn * generated[:, None]).mean(axis=0),
        prompt=((drawn if conversations else np.ones_like(drawn)) * prompt[:, None]).mean(axis=0),
        scorer=(drawn * scored[:, None]).mean(axis=0),
    )


def tokens_of_runs(runs: pl.DataFrame, spent: pl.DataFrame, budgets: IntArray) -> Tokens:
    """Return the mean tokens of a run at each budget: every branch, every score asked for on the way."""
    counts = runs.group_by("budget").len()
    sums = spent.group_by("budget").agg(known_sum(name) for name in ("generated", "prompt", "scorer"))
    table = pl.DataFrame({"budget": budgets}).with_columns(pl.col("budget").cast(pl.Int32))
    table = table.join(counts, on="budget", how="left").join(sums, on="budget", how="left").sort("budget")
    means = {name: (table[name] / table["len"]).to_numpy() for name in ("generated", "prompt", "scorer")}
    return Tokens(**means)


def all_runs(left: pl.DataFrame, spent: pl.DataFrame) -> pl.DataFrame:
    """List the runs: those that left completions, and those whose ledger is all they left."""
    columns = ("problem_id", "budget", "replicate")
    return pl.concat([left.select(columns), spent.select(columns)]).unique().sort(columns)


def run_budgets(runs: pl.DataFrame) -> IntArray:
    """Return the budgets of the runs, increasing."""
    return np.unique(runs["budget"].cast(pl.Int64).to_numpy())
