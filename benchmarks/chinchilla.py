"""How long Chinchilla's approach 3 takes: our fit from scratch next to the grid of 4,500 starts.

    python benchmarks/chinchilla.py [--fraction 1.0] [--runs RUNS.csv]

The grid is that of Hoffmann et al. 2022 (alpha, beta in {0, .5 .. 2}, e in {-1, -.5 .. 1}, a, b in
{0, 5 .. 25}), every start run to the end by L-BFGS-B with tight tolerances on the summed Huber loss, with
the analytic gradient: what people run who want to be sure. Both on one core, in this run, on the same data: a
synthetic twin of the paper's 240 runs, or a table with columns `Model Size`, `Training FLOP`, `loss`, less
its five highest losses. A fraction of the grid is every so-manieth start; its seconds are extrapolated.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

from itscale.plugins.laws import TableData
from itscale.plugins.table_laws import load_table
from itscale_builtin.laws._robust import huber_sum, log_sum_exp
from itscale_builtin.laws.chinchilla import Chinchilla, ChinchillaOptions

DELTA = 1e-3
TRUTH = (477.826, 2143.417, 1.817218, 0.347311, 0.367172)
REPEATS = 5


def twin() -> TableData:
    """Return 240 runs over the paper's ranges of N and D, with noise of .0075 in log loss."""
    rng = np.random.default_rng(0)
    n = np.exp(rng.uniform(np.log(5.733e7), np.log(1.6184e10), 240))
    d = np.exp(rng.uniform(np.log(2.451e8), np.log(3.178e11), 240))
    a, b, floor, alpha, beta = TRUTH
    loss = (floor + a * n**-alpha + b * d**-beta) * np.exp(0.0075 * rng.normal(size=240))
    return TableData(inputs={"n": n, "d": d}, response=loss)


def read(path: Path) -> TableData:
    """Return the runs of a table, D = C / (6 N), without the five highest losses."""
    columns = {"n": "Model Size", "flops": "Training FLOP", "response": "loss"}
    options = ChinchillaOptions(file=path, columns=columns, drop_highest=5)
    data = load_table(Chinchilla(options), options, "runs").data
    n, flops = data.inputs["n"], data.inputs["flops"]
    return TableData(inputs={"n": n, "d": flops / (6 * n)}, response=data.response)


def starts() -> Iterator[tuple[float, ...]]:
    """Yield (a, b, e, alpha, beta) of the grid."""
    exponents = np.arange(0, 2.1, 0.5)
    coefficients = np.arange(0, 25.1, 5)
    yield from product(coefficients, coefficients, np.arange(-1, 1.1, 0.5), exponents, exponents)


def grid(data: TableData, fraction: float) -> tuple[float, np.ndarray, int]:
    """Return the seconds the grid takes, the objective at the end of each start, and how many were run."""
    x, z, y = np.log(data.inputs["n"]), np.log(data.inputs["d"]), np.log(data.response)

    def value(theta: np.ndarray) -> tuple[float, np.ndarray]:
        terms = np.stack([theta[0] - theta[3] * x, theta[1] - theta[4] * z, np.full_like(x, theta[2])])
        predicted, shares = log_sum_exp(terms)
        derivatives = np.column_stack([*shares, -shares[0] * x, -shares[1] * z])
        residuals = predicted - y
        return huber_sum(residuals, DELTA), np.clip(residuals, -DELTA, DELTA) @ derivatives

    chosen = list(starts())[:: max(round(1 / fraction), 1)]
    tight = {"ftol": 1e-15, "gtol": 1e-9, "maxiter": 5000, "maxfun": 20_000}
    begun = time.process_time()
    ends = [minimize(value, start, jac=True, method="L-BFGS-B", options=tight).fun for start in chosen]
    return time.process_time() - begun, np.array(ends), len(chosen)


def ours(data: TableData) -> tuple[float, float]:
    """Return the median seconds of our fit from scratch, and its objective."""
    law = Chinchilla(ChinchillaOptions(file=Path("runs.csv")))
    seconds = []
    for _ in range(REPEATS):
        begun = time.process_time()
        found = law.fit(data)
        seconds.append(time.process_time() - begun)
    residuals = np.log(law.predict(found, data.inputs)) - np.log(data.response)
    return float(np.median(seconds)), huber_sum(residuals, DELTA)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--fraction", type=float, default=1.0, help="share of the 4,500 starts to run")
    parser.add_argument("--runs", type=Path, help="a table of runs; a synthetic twin if left out")
    arguments = parser.parse_args()
    data = twin() if arguments.runs is None else read(arguments.runs)
    seconds, objective = ours(data)
    measured, ends, count = grid(data, arguments.fraction)
    best, whole = ends.min(), measured * len(list(starts())) / count
    reached = np.mean(ends - best <= 1e-6 * best)
    share = "" if count == len(list(starts())) else f" (extrapolated from {count} starts, {measured:.1f} s)"
    print(f"{len(data.response)} runs, one core")
    print(f"ours: {seconds:.3f} s, objective {objective:.8e}")
    print(f"grid: {whole:.1f} s{share}, best {best:.8e}, reached by {100 * reached:.1f} % of starts")
    print(f"speed: {whole / seconds:.0f}x; difference of objectives {objective / best - 1:+.1e} (relative)")


if __name__ == "__main__":
    main()
