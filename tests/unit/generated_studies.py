"""Studies by the hundred: made from valid parts, spoilt at random places, and run stage by stage."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any

from itscale.planning.plan import Plan
from itscale.provenance.manifest import write_manifest
from itscale.stages.curves import estimate_curves
from itscale.stages.differences import compare_curves
from itscale.stages.failures import gather_failures
from itscale.stages.figures import draw_figure
from itscale.stages.fits import fit_law
from itscale.stages.imports import write_outcomes
from itscale.stages.leaderboard import rank_laws, write_leaderboard
from itscale.stages.problems import write_problems
from itscale.stages.sampling import sample_block
from itscale.stages.summary import write_summary
from itscale.stages.table_fits import fit_table
from itscale.stages.verification import verify_block

SPOILT: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 2, 3, -1, 5.5, 10**13, 1e300, float("inf"), float("nan"), 1e-300),
    *("", "x", "toy", "oracle", "a" * 300, "../up", "\ud800", "a\0b", "1:30", "(", "nan"),
    *([], {}, [4, 4], [1, 2], [2.5], ["oracle", "oracle"], {"x": 1}, [None], [[]]),
)
"""What people, editors and templates put where something else belongs."""


def write_files(folder: Path) -> None:
    """Write what generated studies read."""
    rows = [{"prompt": f"What is {n} + {n}?", "reference": str(2 * n)} for n in range(1, 8)]
    (folder / "problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "one.jsonl").write_text(json.dumps(rows[0]) + "\n")
    attempts = [f"p{n},{a},{(n + a) % 3 // 2}" for n in range(6) for a in range(5)]
    (folder / "attempts.csv").write_text("\n".join(["problem,answer,correct", *attempts]) + "\n")
    counts = [f"p{n},{6 + n % 2},{n}" for n in range(6)]
    (folder / "counts.csv").write_text("\n".join(["problem,n,correct", *counts]) + "\n")
    stopped = [f"p{n},{1 + 2 * n if n < 5 else 12},{int(n < 5)}" for n in range(6)]
    (folder / "stopped.csv").write_text("\n".join(["problem,n,correct", *stopped]) + "\n")
    (folder / "wrong.csv").write_text("problem,n,correct\np1,3,5\n")
    judged = [f"p{n},{a},{(n + a) % 4},{n % 4},{a % 2},{a / 8}" for n in range(6) for a in range(4)]
    heading = "idx,attempt,answer,reference,half,score.logprob"
    (folder / "judged.csv").write_text("\n".join([heading, *judged]) + "\n")
    sizes = [(1e7 * 2**n, 1e8 * 3**d) for n in range(5) for d in range(5)]
    losses = [f"{n},{d},{6 * n * d},{1.8 + 478 * n**-0.35 + 2143 * d**-0.37}" for n, d in sizes]
    (folder / "runs.csv").write_text("\n".join(["n,d,flops,loss", *losses]) + "\n")
    choices = [{"prompt": f"{n}? (A) 1 (B) 2", "reference": "AB"[n % 2]} for n in range(4)]
    (folder / "choices.jsonl").write_text("".join(json.dumps(row) + "\n" for row in choices))


def some(rng: Random, options: Mapping[str, Any], most: int = 2) -> dict[str, Any]:
    """Return some of a mapping's items: at least one."""
    names = rng.sample(sorted(options), rng.randint(1, most))
    return {name: copy.deepcopy(options[name]) for name in names}


def maybe(rng: Random, key: str, values: tuple[Any, ...]) -> dict[str, Any]:
    """Return a key with one of some values, or nothing."""
    return {key: copy.deepcopy(rng.choice(values))} if rng.random() < 0.4 else {}


def make_study(rng: Random) -> dict[str, Any]:
    """Return a small study whose every value is right by itself; in some, parts do not fit together."""
    study = _parts(rng)
    return agree(study) if rng.random() < 0.75 else study


def _parts(rng: Random) -> dict[str, Any]:
    study: dict[str, Any] = {"study": "generated", "seed": rng.choice((0, 7, 2**63 - 1))}
    if rng.random() < 0.85:
        study |= _sampled(rng)
    if rng.random() < 0.35 or "tasks" not in study:
        study["outcomes"] = some(rng, OUTCOMES)
    study |= maybe(rng, "selectors", (some(rng, SELECTORS, most=4),))
    study |= maybe(rng, "laws", (some(rng, LAWS),))
    study |= maybe(rng, "figures", (some(rng, FIGURES),))
    study |= maybe(rng, "differences", (some(rng, DIFFERENCES),))
    study |= maybe(rng, "max_failures", (0, 3, 0.0, 0.5, 1.0))
    study |= maybe(rng, "sandbox", ("landlock", "process"))
    study["curves"] = {
        "resamples": 100,
        **maybe(rng, "budgets", ([1], [1, 2], [1, 2, 4], [8, 1], [3, 5], [100])),
        **maybe(rng, "confidence", (0.5, 0.999999, 1e-9)),
        **maybe(rng, "interval", ("percentile", "bca")),
        **(maybe(rng, "resample", ("two_level",)) or maybe(rng, "clusters", (r"\d", "p(.)", "zzz", "()"))),
    }
    study["fits"] = {
        "refits": 20,
        "holdout_refits": 20,
        **maybe(rng, "origins", ([2], [], [1000, 2])),
        **maybe(rng, "reach", (1, 1.5, 1_000_000)),
    }
    return study


def _sampled(rng: Random) -> dict[str, Any]:
    return {
        "tasks": some(rng, TASKS),
        "models": some(rng, MODELS),
        "strategies": some(rng, STRATEGIES),
        **maybe(rng, "verifiers", (some(rng, VERIFIERS),)),
        **maybe(rng, "block", ({"problems": 2}, {"completions": 3}, {"minutes": 1e-6}, {"minutes": 10_080})),
    }


TASKS = {
    "sums": {"plugin": "jsonl", "file": "problems.jsonl", "problems": 4, "system": "Add.", "metadata": []},
    "one": {"plugin": "jsonl", "file": "one.jsonl", "prompt": "{prompt}", "reference": "reference"},
    "named": {
        "plugin": "jsonl",
        "file": "problems.jsonl",
        "problems": 2,
        "oracle": "exact_match",
        "id": "prompt",
    },
    "letters": {"plugin": "reasoning_gym", "dataset": "letter_counting", "size": 3, "seed": 5},
    "sums_as_mathematics": {"plugin": "jsonl", "file": "problems.jsonl", "problems": 3, "oracle": "math"},
    "choices": {"plugin": "jsonl", "file": "choices.jsonl", "oracle": "multiple_choice"},
}
MODELS = {
    "toy": {
        "plugin": "simulated",
        "success": 0.4,
        "seconds_per_token": 0.0,
        "process_reward": {"noise": 1.0},
    },
    "never": {"plugin": "simulated", "success": 0.0, "steps": 1, "wrong_answers": 1, "step_tokens": 2.5},
    "always": {"plugin": "simulated", "success": {"a": 1e6, "b": 1e-6, "unsolvable": 0.5}, "truth_seed": 3},
}
STRATEGIES = {
    "repeated_sampling": {"completions": 6, "temperature": 0.7, "top_p": 0.9, "top_k": 3, "min_p": 0.1},
    "greedy": {"plugin": "repeated_sampling", "completions": 2, "temperature": 0, "max_tokens": 1},
    "beam_search": {"budgets": [4, 8], "scorer": "process_reward", "width": 2, "delimiter": "\n"},
    "particle_filter": {"budgets": [1, 3], "replicates": 2, "scorer": "logprob", "weight_temperature": 2.0},
}
VERIFIERS = {"logprob": {}, "process_reward": {}, "exact_match": {"ignore_case": False, "pattern": r"(\d+)"}}
SELECTORS: dict[str, Any] = {
    "oracle": {},
    "first": {},
    "majority_vote": {"draws": 100},
    "all_correct": {},
    "best_of_n": {"scorer": "logprob"},
    "weighted_vote": {"scorer": "process_reward"},
    "first_pass": {"scorer": "logprob", "threshold": 0.9, "if_none": "any"},
}
LAWS: dict[str, Any] = {
    "power_law": {},
    "beta_binomial": {"largest": 1e5},
    "exponentiated_power_law": {},
    "log_linear": {},
    "shifted_power_law": {},
    "saturating_exponential": {},
    "zero_inflated_beta_binomial": {"least_completions": 2},
    "discretised_beta": {"per_decade": 2},
    "kumaraswamy_binomial": {},
    "logistic": {},
    "m4": {},
    "losses": {
        "plugin": "chinchilla",
        "file": "runs.csv",
        "columns": {"n": "n", "d": "d", "response": "loss"},
        "where": {"n": [1e7, 2e7, 4e7, 8e7, 1.6e8]},
    },
}
FIGURES: dict[str, Any] = {
    "coverage_curves": {"venue": "tmlr2023", "share_y": False},
    "selection_curves": {"width": "column"},
    "compute_curves": {},
    "law_fits": {"laws": 1},
    "difference_curves": {},
}
DIFFERENCES = {
    "models": {"of": {"model": "toy"}, "minus": {"model": "never"}},
    "selectors": {"of": {"selector": "majority_vote"}, "minus": {"selector": "first"}},
    "strategies": {"of": {"strategy": "repeated_sampling"}, "minus": {"strategy": "greedy"}},
    "search": {"of": {"strategy": "beam_search"}, "minus": {"strategy": "particle_filter"}},
    "theirs": {"of": {"model": "attempts"}, "minus": {"model": "counts"}},
}
OUTCOMES = {
    "attempts": {"path": "attempts.csv", "task": "theirs"},
    "counts": {"path": "counts.csv", "task": "theirs"},
    "stopped": {"path": "stopped.csv", "task": "theirs", "design": "until_success"},
    "wrong": {"path": "wrong.csv", "task": "theirs"},
    "judged": {
        "path": ["judged.csv"],
        "task": "theirs",
        "model": "somebody",
        "columns": {
            "problem": "idx",
            "answer": "answer",
            "reference": "reference",
            "score.logprob": "score.logprob",
        },
        "where": {"half": [0, 1]},
        "oracle": "exact_match",
    },
}


ANSWERED = {"attempts", "judged"}
"""Outcomes that have answers."""


def agree(study: dict[str, Any]) -> dict[str, Any]:
    """Return a study with the scorers that its parts ask for, without the parts that lack something else."""
    study = copy.deepcopy(study)
    outcomes = {label: of for label, of in study.pop("outcomes", {}).items() if label != "wrong"}
    if "stopped" in outcomes and ("tasks" in study or len(outcomes) > 1):
        del outcomes["stopped"]  # of a design that few selectors are fit for
    if outcomes or "tasks" not in study:
        study["outcomes"] = outcomes or {"counts": OUTCOMES["counts"]}
    _agree_on_selectors(study)
    asking = [*study["strategies"].values(), *study["selectors"].values()] if "tasks" in study else []
    if scorers := {part["scorer"]: {} for part in asking if "scorer" in part}:
        study["verifiers"] = study.get("verifiers", {}) | scorers
    if max(study["curves"].get("budgets", [1])) > 2:
        del study["curves"]["budgets"]
    _agree_on_differences(study)
    _keep(study, "figures", lambda label, _: label != "difference_curves" or "differences" in study)
    _keep(study, "figures", lambda label, _: label != "law_fits" or study.get("laws", {}).keys() - {"losses"})
    return study


def _agree_on_selectors(study: dict[str, Any]) -> None:
    outcomes = study.get("outcomes", {}).keys()
    study["selectors"] = study.get("selectors", {"oracle": {}, "first": {}})
    if "stopped" in outcomes:
        _keep(study, "selectors", lambda label, _: label == "oracle")
    if outcomes - ANSWERED:
        _keep(study, "selectors", lambda label, _: label not in ("majority_vote", "weighted_vote"))
    if outcomes - {"judged"}:
        _keep(study, "selectors", lambda _, selector: "scorer" not in selector)
    elif outcomes:
        _keep(study, "selectors", lambda _, selector: selector.get("scorer") != "process_reward")
    study.setdefault("selectors", {"oracle": {}})


def _agree_on_differences(study: dict[str, Any]) -> None:
    known = {
        "model": {*study.get("models", {}), *study.get("outcomes", {})},
        "strategy": {*study.get("strategies", {})},
        "selector": {*study["selectors"]},
    }
    alone = "one" in study.get("tasks", {})  # a task of one problem
    _keep(
        study,
        "differences",
        lambda _, sides: (
            not alone and all(label in known[name] for side in sides.values() for name, label in side.items())
        ),
    )


def _keep(study: dict[str, Any], key: str, wanted: Callable[[str, dict[str, Any]], Any]) -> None:
    """Leave out of a section what is not wanted; all of it, if nothing is."""
    kept = {label: part for label, part in study.pop(key, {}).items() if wanted(label, part)}
    study |= {key: kept} if kept else {}


def places(value: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the place of every value in a study."""
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield (*above, key)
        yield from places(part, (*above, key))


def spoil(rng: Random, study: dict[str, Any]) -> dict[str, Any]:
    """Return a study with one value exchanged, left out, or put beside under a name of its own."""
    spoilt = copy.deepcopy(study)
    *above, last = rng.choice(sorted(places(spoilt), key=str))
    here: Any = spoilt
    for key in above:
        here = here[key]
    way = rng.random()
    if way < 0.15 and isinstance(here, dict):
        del here[last]
    elif way < 0.3 and isinstance(here, dict):
        here[f"{last}x"] = here.pop(last)
    else:
        here[last] = rng.choice(SPOILT)
    return spoilt


TEXTS = (
    *"{}[]:,-#&*!|>'\"%@`\n\t 0179ae.\\~?\0é",
    *("<<: *a", " &a ", "010", "1:30", ".inf", "!!python/object:os.system", "!!set", "true", "- ", "? "),
    *("\\ud800", "2024-01-01", "0x1f", "__use_yte__: true\n", "\ufeff", "---\n"),
)
"""What slips into a text."""


def spoil_text(rng: Random, text: str) -> str:
    """Return a text with something put in, or in the place of some characters."""
    at = rng.randrange(len(text))
    return text[:at] + rng.choice(TEXTS) + text[at + rng.choice((0, 0, 1, 3)) :]


def run(plan: Plan, folder: Path) -> None:
    """Do in this process, one after the other, what the workflow's jobs do."""
    _Stages(plan, folder).run()


class _Stages:
    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.study, self.folder = plan, plan.study, folder

    def path(self, *parts: str, ending: str = "parquet") -> Path:
        return self.folder.joinpath(*parts[:-1], f"{parts[-1]}.{ending}")

    def run(self) -> None:
        for task in self.study.tasks:
            write_problems(self.study, task, self.path("problems", task))
        for place in self.plan.cut:
            self.sample(*place)
            self.estimate(*place)
        self.show()

    def sample(self, *place: str) -> None:
        task = place[0]
        problems = self.path("problems", task) if self.plan.cut[place] else None  # type: ignore[index]
        completions, verdicts = [], {label: [] for label in self.verifiers(task)}  # type: ignore[var-annotated]
        for block in self.plan.blocks(*place):
            written = self.path("completions", *place, block.name)
            sample_block(
                self.study,
                *place,
                block,
                problems=self.path("problems", task),
                model_directories={},
                completions=written,
                ledger=self.path("ledger", *place, block.name),
                trees=self.path("trees", *place, block.name),
            )
            completions.append(written)
            for label, files in verdicts.items():
                files.append(self.path("verdicts", *place, label, block.name))
                verify_block(
                    self.study,
                    *place,
                    label,
                    problems=self.path("problems", task),
                    completions=written,
                    model_directories={},
                    output=files[-1],
                    ledger=self.path("ledger", *place, label, block.name),
                )
        write_outcomes(
            self.study,
            *place,
            problems=problems,
            completions=completions,
            verdicts=verdicts if problems else {},
            output=self.path("outcomes", *place),
        )

    def verifiers(self, task: str) -> list[str]:
        return self.study.verifiers_of(task) if task in self.study.tasks else []

    def estimate(self, *place: str) -> None:
        ledgers = [self.path("ledger", *place, block.name) for block in self.plan.blocks(*place)]
        outcomes, curves = self.path("outcomes", *place), self.path("curves", *place)
        accuracies = self.path("accuracies", *place)
        estimate_curves(
            self.study, *place, outcomes=outcomes, ledgers=ledgers, output=curves, accuracies=accuracies
        )
        made: dict[str, list[Path]] = {"fits": [], "forecasts": [], "refits": []}
        for law in self.study.curve_laws:
            files = {name: self.path(name, *place, law) for name in made}
            fit_law(self.study, *place, law, outcomes=outcomes, curves=curves, **files)
            for name, path in files.items():
                made[name].append(path)
        if self.study.curve_laws:
            board, ensemble = self.path("leaderboard", *place), self.path("ensemble", *place)
            rank_laws(self.study, *place, **made, board=board, ensemble=ensemble)

    def all(self, *kinds: str) -> list[Path]:
        return sorted(path for kind in kinds for path in (self.folder / kind).rglob("*.parquet"))

    def show(self) -> None:
        study, short = self.study, self.folder / "reports"
        text = {"csv": short / "a.csv", "tex": short / "a.tex"}
        for law in study.table_laws:
            files = {name: self.path(f"table_{name}", law) for name in ("fits", "forecasts")}
            fit_table(study, law, **files)
        if study.curve_laws:
            write_leaderboard(study, boards=self.all("leaderboard"), **text)
        if study.config.differences:
            output = self.path("differences", "all")
            compare_curves(study, accuracies=self.all("accuracies"), output=output, **text)
        for figure in study.figures:
            files = {kind: self.path("figures", figure, ending=kind) for kind in ("pdf", "svg", "png")}
            draw_figure(
                study,
                figure,
                curves=self.all("curves"),
                fits=self.all("fits"),
                forecasts=self.all("forecasts", "ensemble"),
                differences=self.all("differences"),
                **files,
                **text,
            )
        missing = [self.path("missing", "all")] if study.tasks else []
        for path in missing:
            failures = {"failures": self.path("failed", "all"), "csv": short / "failures.csv"}
            tables = {name: self.all(name) for name in ("completions", "verdicts")}
            sampled = [self.path("outcomes", *place) for place in self.plan.cut if self.plan.cut[place]]
            gather_failures(study, **tables, outcomes=sampled, missing=path, **failures)
        tables = {"curves": self.all("curves"), "fits": self.all("fits", "table_fits"), "missing": missing}
        write_summary(study, **tables, **text, rst=short / "summary.rst")
        write_manifest(study, artifacts=self.all("problems", "curves"), output=short / "manifest.json")


def without(study: dict[str, Any], wrong: Iterable[tuple[Any, ...]]) -> dict[str, Any]:
    """Return a study without the values at some places, or without what is nearest above them."""
    mended = copy.deepcopy(study)
    for place in wrong:
        here: Any = mended
        for at, key in enumerate(place):
            inside = (
                key in here if isinstance(here, dict) else isinstance(here, list) and isinstance(key, int)
            )
            below = here[key] if inside and isinstance(here, dict) else None
            if not inside:
                break
            if at == len(place) - 1 or not isinstance(below, dict) or place[at + 1] not in below:
                del here[key]
                break
            here = below
    return mended
