"""A small study whose outcomes are made up, and its curves and fits."""

import numpy as np
import polars as pl

from itscale.stages.curves import estimate_curves
from itscale.stages.fits import fit_law
from itscale.store.parquet import read_table, write_table
from itscale.store.schemas import CURVES, LEDGER, OUTCOMES
from itscale.study import resolve

PROBLEMS, N = 24, 40
LAWS = ("power_law", "exponentiated_power_law", "beta_binomial")
WHERE = ("sums", "sim")


def a_study(**changes):
    return resolve(
        {
            "study": "tiny",
            "tasks": {
                "sums": {"plugin": "jsonl", "file": "x.jsonl", "prompt": "{question}", "reference": "answer"}
            },
            "models": {"sim": {"plugin": "simulated"}},
            "strategies": {
                "repeated": {"plugin": "repeated_sampling", "completions": N},
                "beam": {
                    "plugin": "particle_filter",
                    "budgets": [4, 8, 16],
                    "replicates": 2,
                    "scorer": "reward",
                },
            },
            "verifiers": {"reward": {"plugin": "process_reward"}},
            "selectors": {
                "oracle": {},
                "first": {},
                "majority_vote": {},
                "best": {"plugin": "best_of_n", "scorer": "reward"},
                "weighted": {"plugin": "weighted_vote", "scorer": "reward", "draws": 100},
            },
            "laws": list(LAWS),
            "fits": {"refits": 60},
            **changes,
        }
    )


def outcome_rows(problems=PROBLEMS, n=N, budget=0, replicate=0, seed=0):
    rng = np.random.default_rng((seed, budget, replicate))
    rates = np.random.default_rng(seed).beta(0.5, 3, problems)
    rows = []
    for problem, rate in enumerate(rates):
        for index in range(n):
            right = bool(rng.random() < rate)
            answer = "right" if right else rng.choice(["a", "b", "c", None])
            rows.append((f"p{problem:02d}", budget, replicate, index, answer, right, rng.random()))
    return rows


def write_outcomes(path, rows, simulated=True):
    names = ("problem_id", "budget", "replicate", "index", "answer", "correct", "score_reward")
    frame = pl.DataFrame(rows, schema=names, orient="row").with_columns(
        status=pl.lit("judged"), prompt_tokens=7, generated_tokens=pl.col("score_reward") * 100
    )
    types = {**OUTCOMES, "score_reward": pl.Float64}
    frame = frame.select(pl.col(name).cast(dtype) for name, dtype in types.items())
    write_table(frame, path, {"simulated": simulated})
    return path


def write_ledger(path, rows, *, generated, read=0):
    """One generate row and, where a scorer read something, one score row per problem and run."""
    calls = []
    for problem, budget, replicate in sorted({row[:3] for row in rows}):
        base = dict.fromkeys(LEDGER, 0) | {"problem_id": problem, "budget": budget, "replicate": replicate}
        calls.append(
            base
            | {
                "call": "generate",
                "by": "sim",
                "scorer": None,
                "generated_tokens": generated,
                "prompt_tokens": 7,
            }
        )
        calls.append(base | {"call": "score", "by": "sim", "scorer": "reward", "prompt_tokens": read})
    write_table(pl.DataFrame(calls, schema=dict(LEDGER)), path, {})
    return path


def pool_in(folder):
    rows = outcome_rows()
    return (
        write_outcomes(folder / "outcomes.parquet", rows),
        write_ledger(folder / "ledger.parquet", rows, generated=N * 12, read=N * 3),
        rows,
    )


def curves_of(tmp_path, pool, study=None, name="curves", strategy="repeated"):
    output = tmp_path / f"{name}.parquet"
    outcomes, ledger, _ = pool
    estimate_curves(study or a_study(), *WHERE, strategy, outcomes=outcomes, ledgers=[ledger], output=output)
    return output


def fit_of(tmp_path, pool, curves, law, study=None, strategy="repeated", name=""):
    fits, forecasts = tmp_path / f"{law}{name}.parquet", tmp_path / f"{law}{name}.forecasts.parquet"
    files = {"outcomes": pool[0], "curves": curves, "fits": fits, "forecasts": forecasts}
    files["refits"] = tmp_path / f"{law}{name}.refits.parquet"
    fit_law(study or a_study(), *WHERE, strategy, law, **files)
    return fits, forecasts


def curve(path, selector):
    return read_table(path, CURVES).filter(pl.col("selector") == selector).sort("budget")
