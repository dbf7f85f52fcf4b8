"""Simulated studies for the benchmarks, and how they are run: in a directory, by Snakemake or in a loop."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import yaml

from itscale.planning.plan import Plan, make_plan
from itscale.provenance.manifest import write_manifest
from itscale.running.snakemake import command
from itscale.stages.curves import estimate_curves
from itscale.stages.failures import gather_failures
from itscale.stages.figures import draw_figure
from itscale.stages.fits import fit_law
from itscale.stages.leaderboard import rank_laws, write_leaderboard
from itscale.stages.outcomes import gather_outcomes
from itscale.stages.problems import write_problems
from itscale.stages.sampling import sample_block
from itscale.stages.summary import write_summary
from itscale.stages.verification import verify_block
from itscale.store.parquet import payload_hash
from itscale.study import resolve

CHECKOUT = Path(__file__).resolve().parents[1]
MADE_ANEW = ("manifest.json", "report.html")
"""Files that hold times: their bytes differ from run to run."""


def default_study() -> dict[str, Any]:
    """Return the default study with the simulated engine in place of its language model."""
    study: dict[str, Any] = yaml.safe_load((CHECKOUT / "config" / "study.yaml").read_text())
    study["models"] = {label: {"plugin": "simulated"} for label in study["models"]}
    return study


def blocks_study(blocks: int, *, seconds_per_token: float = 0.0, verifiers: bool = True) -> dict[str, Any]:
    """Return a study of so many blocks: four problems x eight completions each."""
    scorer = {"scorer": "logprob"}
    return {
        "study": "many",
        "seed": 1,
        "tasks": {"sums": {"plugin": "jsonl", "file": "problems.jsonl", "problems": 4 * (-(-blocks // 4))}},
        "models": {"toy": {"plugin": "simulated", "success": 0.4, "seconds_per_token": seconds_per_token}},
        "strategies": {"repeated_sampling": {"completions": 32, "temperature": 0.8}},
        **({"verifiers": ["logprob"]} if verifiers else {}),
        "selectors": {"oracle": None, "majority_vote": None, **({"best_of_n": scorer} if verifiers else {})},
        "laws": ["power_law"],
        "figures": ["law_fits"],
        "block": {"problems": 4, "completions": 8},
        "curves": {"resamples": 100},
        "fits": {"refits": 20},
    }


def new_directory(folder: Path, study: Mapping[str, Any]) -> Path:
    """Make a directory to run a study in: its problems and its file."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"prompt": f"What is {n} + {n}?", "reference": str(2 * n)} for n in range(1, 2001)]
    (folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "study.yaml").write_text(yaml.safe_dump(dict(study), sort_keys=False))
    return folder


def environment() -> dict[str, str]:
    """Return an environment in which Python keeps what it compiles, as it does unless told otherwise."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
        "OMP_NUM_THREADS": "1"
    }


def snakemake(folder: Path, cores: int, *extra: str) -> float:
    """Run the study of a directory by Snakemake; return the wall-clock seconds."""
    return timed([*command(Path("study.yaml"), cores), *extra], folder)


def itscale(*arguments: str) -> list[str]:
    """Return the command line of `itscale`."""
    return [sys.executable, "-c", "from itscale.cli import app; app()", *arguments]


def timed(arguments: list[str], folder: Path) -> float:
    """Run a command in a directory; return its wall-clock seconds."""
    start = time.perf_counter()
    done = subprocess.run(arguments, cwd=folder, env=environment(), capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}\n{done.stdout}{done.stderr}")
    return time.perf_counter() - start


def seconds_inside(folder: Path) -> dict[str, float]:
    """Return the seconds that jobs say, in their logs, they spent inside their stage, by log."""
    found = {}
    for log in folder.glob("logs/**/*.log"):
        match = re.search(r"^done in ([0-9.]+) s$", log.read_text(errors="replace"), re.MULTILINE)
        if match:
            found[str(log.relative_to(folder))] = float(match[1])
    return found


def hashes(folder: Path) -> dict[str, str]:
    """Return the payload hash of every result of a directory."""
    files = (path for top in ("results", "reports") for path in sorted((folder / top).rglob("*")))
    return {
        path.relative_to(folder).as_posix(): payload_hash(path)
        for path in files
        if path.is_file() and path.name not in MADE_ANEW
    }


class Stages:
    """Every stage's call of a study in order, as the workflow makes them; run in its directory.

    Attributes
    ----------
    calls
        Name of the rule, and the call.
    """

    def __init__(self, study_file: Path) -> None:
        self.study = resolve(yaml.safe_load(study_file.read_text()))
        self.results, self.reports = Path("results", self.study.name), Path("reports", self.study.name)
        self.made: list[Path] = []
        self.calls: list[tuple[str, Callable[[], None]]] = []
        plan = make_plan(self.study, self.results)
        for task in self.study.tasks:
            self.add("problems", write_problems, self.study, task, self.table("problems", task))
        for place in plan.cut:
            self._combination(plan, place)
        self._report()

    def add(self, rule: str, stage: Callable[..., None], *arguments: Any, **named: Any) -> None:
        self.calls.append((rule, partial(stage, *arguments, **named)))

    def table(self, *parts: str) -> Path:
        path = self.results.joinpath(*parts[:-1], f"{parts[-1]}.parquet")
        self.made.append(path)
        return path

    def _combination(self, plan: Plan, place: tuple[str, str, str]) -> None:
        problems = self.results / "problems" / f"{place[0]}.parquet"
        given = {"problems": problems, "model_directories": {}}
        completions, ledgers = [], []
        verdicts: dict[str, list[Path]] = {verifier: [] for verifier in self.study.verifiers_of(place[0])}
        for block in plan.blocks(*place):
            kinds = ("completions", "ledger", "trees")
            files = {kind: self.table(kind, *place, block.name) for kind in kinds}
            completions.append(files["completions"])
            ledgers.append(files["ledger"])
            self.add("sampling", sample_block, self.study, *place, block, **given, **files)
            for verifier, judged in verdicts.items():
                judged.append(self.table("verdicts", *place, verifier, block.name))
                output = {"completions": files["completions"], "output": judged[-1]}
                output["ledger"] = self.table("ledger", *place, verifier, block.name)
                self.add("verification", verify_block, self.study, *place, verifier, **given, **output)
        outcomes, curves = self.table("outcomes", *place), self.table("curves", *place)
        gathered = {"completions": completions, "verdicts": verdicts, "output": outcomes}
        self.add("outcomes", gather_outcomes, self.study, *place, problems=problems, **gathered)
        scored = {verifier: judged for verifier, judged in verdicts.items() if verifier in self.study.scorers}
        drawn = {"outcomes": outcomes, "ledgers": ledgers, "verdicts": scored, "output": curves}
        drawn["accuracies"] = self.table("accuracies", *place)
        self.add("curves", estimate_curves, self.study, *place, **drawn)
        fitted: dict[str, list[Path]] = {kind: [] for kind in ("fits", "forecasts", "refits")}
        for law in self.study.laws:
            files = {kind: self.table(kind, *place, law) for kind in fitted}
            self.add("fits", fit_law, self.study, *place, law, outcomes=outcomes, curves=curves, **files)
            for kind, path in files.items():
                fitted[kind].append(path)
        ranked = {"board": self.table("leaderboard", *place), "ensemble": self.table("ensemble", *place)}
        self.add("leaderboard", rank_laws, self.study, *place, **fitted, **ranked)

    def _made_by(self, kind: str) -> list[Path]:
        return [path for path in self.made if path.parts[2] == kind]

    def _report(self) -> None:
        kinds = {
            kind: self._made_by(kind) for kind in ("curves", "fits", "forecasts", "ensemble", "leaderboard")
        }
        kinds["forecasts"] += kinds.pop("ensemble")
        lost = {kind: self._made_by(kind) for kind in ("completions", "verdicts", "outcomes")}
        lost |= {"failures": self.table("failures"), "missing": self.table("missing")}
        failures = self.reports / "failures.csv"
        self.add("failures", gather_failures, self.study, **lost, csv=failures)
        missing = {"missing": [lost["missing"]]}
        boards = kinds.pop("leaderboard")
        drawn: list[Path] = []
        for label, figure in self.study.figures.items():
            reads = {kind: kinds[kind] if kind in figure.entry.reads else [] for kind in kinds}
            files = {kind: self.reports / "figures" / f"{label}.{kind}" for kind in ("pdf", "svg", "png")}
            files |= {kind: self.reports / "tables" / f"{label}.{kind}" for kind in ("csv", "tex")}
            drawn += files.values()
            self.add("figures", draw_figure, self.study, label, **reads, **missing, **files)
        board = {kind: self.reports / f"leaderboard.{kind}" for kind in ("csv", "tex")}
        self.add("leaderboard_table", write_leaderboard, self.study, boards=boards, **board)
        summary = {kind: self.reports / f"summary.{kind}" for kind in ("csv", "rst", "tex")}
        tables = {kind: kinds[kind] for kind in ("curves", "fits")}
        self.add("summary", write_summary, self.study, **tables, **missing, **summary)
        everything = [*self.made, *drawn, failures, *board.values(), *summary.values()]
        output = self.reports / "manifest.json"
        self.add("manifest", write_manifest, self.study, artifacts=everything, output=output)
