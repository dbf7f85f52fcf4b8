"""Observations that follow each tabular law, with a little noise: what its contract is tried on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit

from itscale.plugins.laws import TableData

FILE = {"file": Path("runs.csv")}
CHINCHILLA = np.array([477.826, 2143.417, 1.817218, 0.347311, 0.367172])
"""A, B, E, alpha, beta: the best fit to the runs of Hoffmann et al. (supporting.md 5.4)."""

BENCHMARKS = ("mmlu", "arc", "hellaswag", "winogrande")


def twin(rows: int = 240, noise: float = 0.0075, seed: int = 0, parameters=CHINCHILLA) -> TableData:
    """Runs like those of Hoffmann et al.: N and C over the same ranges, loss known but for its noise."""
    rng = np.random.default_rng(seed)
    n = np.exp(rng.uniform(np.log(5.733e7), np.log(1.6184e10), rows))
    d = np.exp(rng.uniform(np.log(2.451e8), np.log(3.178e11), rows))
    a, b, floor, alpha, beta = parameters
    loss = (floor + a * n**-alpha + b * d**-beta) * np.exp(noise * rng.normal(size=rows))
    return TableData(inputs={"n": n, "d": d}, response=loss)


def families() -> TableData:
    """Models of one capability, four benchmarks that follow it, and a fifth with a floor."""
    rng = np.random.default_rng(1)
    capability = rng.normal(size=40)
    loadings = np.array([0.2, 0.12, 0.1, 0.08])
    table = 0.5 + np.outer(capability, loadings) + 0.003 * rng.normal(size=(40, 4))
    inputs = dict(zip(BENCHMARKS, table.T, strict=True)) | {"flops": np.exp(2 * capability + 50)}
    return TableData(inputs=inputs, response=0.05 + 0.8 * expit(1.5 * capability - 0.3))


def passes() -> TableData:
    """Chance to pass of five models of the sizes of Hu et al. 2023."""
    n = np.array([0.03, 0.1, 0.3, 1.0, 2.4]) * 1e9
    return TableData(inputs={"n": n}, response=np.exp(-np.exp(6.0) * n**-0.25))


def retrieval(datasets: int = 4, noise: float = 0.01) -> TableData:
    """The grid of DRAG with k (m + 1) <= 1000, on tasks that differ in what a document and a shot add."""
    rng = np.random.default_rng(2)
    ks, ms = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000), (0, 1, 2, 4, 8, 16, 32, 64, 128, 256)
    grid = [(k, m) for k in ks for m in ms if k * (m + 1) <= 1000]
    rows = np.array([(k, m, task) for task in range(datasets) for k, m in grid], dtype=float)
    k, m, task = rows.T
    i_doc, i_shot = (
        np.array([0.05, 0.3, 0.15, 0.4])[task.astype(int)],
        np.array([0.2, 0.1, -0.05, 0.02])[task.astype(int)],
    )
    linear = (0.325 - 0.067 * i_doc) * np.log(k + 0.01) + (0.101 - 0.008 * i_shot) * np.log(m + 0.01)
    inputs = {"k": k, "m": m, "n": np.ones(len(rows)), "i_doc": i_doc, "i_shot": i_shot, "dataset": task}
    inputs["length"] = 200.0 + (m + 1) * (1024 * k + 100)
    return TableData(inputs=inputs, response=expit(linear - 0.73 + noise * rng.normal(size=len(rows))))


TABLES: Mapping[str, Mapping[str, Any]] = {
    "laws/chinchilla": {"options": FILE, "data": twin(60), "tolerance": 0.1},
    "laws/kaplan": {
        "options": {**FILE, "form": "n_s"},
        "data": TableData(
            inputs={"n": twin(60).inputs["n"], "s_min": twin(60).inputs["d"] / 1e6},
            response=(8.8e13 / twin(60).inputs["n"]) ** 0.076 + (2.1e9 / twin(60).inputs["d"]) ** 0.76,
        ),
    },
    "laws/observational": {
        "options": {**FILE, "benchmarks": BENCHMARKS, "components": 2},
        "data": families(),
    },
    "laws/rag_allocation": {"options": {**FILE, "link": "logit"}, "data": retrieval()},
    "laws/task_scaling": {"options": FILE, "data": passes()},
}
"""Options and data of each contract, by kind and name."""
