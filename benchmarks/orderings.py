"""Orderings that papers report, on a model and a reward whose quality is known, at equal tokens.

    python benchmarks/orderings.py [search] [revisions] [--problems 400] [--processes 2] [--output FILE]

Everything is simulated, and nothing is fitted to come out: settings are stated below, all are run, all are
printed. Differences have percentile intervals of 2000 bootstraps over problems (95 %, each by itself), `>` or
`<` where an interval is on one side of 0.

*Search.* A completion has `STEPS` steps; each holds with probability p ** (1 / STEPS), and one that fails
spoils all that follow. p is 0.05 (hard), 0.3 and 0.75 (easy), within the three bins of Liu et al. 2025.
A prefix is scored by the logit of 0.8 if all its steps hold and of 0.3 if one fails (defaults of the
simulated engine), plus noise of a standard deviation, drawn anew for each prefix that is generated: equal
texts have different scores, as different wordings would. `persists` is the correlation of a prefix's noise
with that of the prefix one step shorter: 0 is a reward model that errs anew at each step, 0.9 one that sticks
to its errors. The noise of a whole completion has one law whatever the strategy. "auc" is the probability
that a right one is scored above a wrong one. Budgets N have `--problems` / sqrt(N / 4) problems, as they take
long, and of the largest, beam search and best-of-n alone are run.

*Revisions.* A problem is solved by a sound approach, which an attempt chooses with probability p ** 0.5,
and then with probability p ** 0.5, so the first attempt is right with probability p. A revision of a right
attempt is wrong in 38 % of cases (Snell et al. 2024). A revision of a wrong one keeps its approach with
probability `keeps`, chooses anew otherwise; with a sound one it is as good as `learns` attempts at once. The
paper explains its ordering so (local refinement against other approaches), but gives neither number: all
combinations are shown. `keeps` 0 and `learns` 1 is a model that learns nothing. `ratio` 1 is as many
chains as attempts in each.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import json
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import expit, logit, ndtr, ndtri

from itscale.plugins import registry
from itscale.sampling.partners import Partners, SessionScorer
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.types import Completion, Generation, GenerationRequest, Problem, Trajectory
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions

RIGHT, WRONG = float(logit(0.8)), float(logit(0.3))
STEPS = 4
SUCCESS = {"hard": 0.05, "medium": 0.3, "easy": 0.75}
NOISES = ((0.0, 0.0), (2.0, 0.0), (2.0, 0.9), (4.0, 0.9))
"""Standard deviation of the noise, and its correlation from step to step."""
BUDGETS = (4, 16, 64, 256)
SEARCHES: Mapping[str, Mapping[str, Any]] = {
    "repeated_sampling": {},
    "particle_filter": {"scorer": "reward"},
    "beam_search": {"scorer": "reward", "width": 4},
    "dvts": {"scorer": "reward", "width": 4},
}
FLIPS = 0.38
RATIOS = ("sequential", 1, "parallel")
ATTEMPTS = (4, 16)


@dataclass(frozen=True)
class Row:
    """One strategy in one setting: whether the answer is right, and tokens, problem by problem."""

    part: str
    setting: Mapping[str, Any]
    budget: int
    strategy: str
    rule: str
    right: Sequence[float]
    tokens: Sequence[int]


class NoisyReward:
    """Scores prefixes by whether they hold, with noise of their own."""

    def __init__(self, noise: float, persists: float, wrong: Callable[[str], bool]) -> None:
        self.noise, self.persists, self.wrong = noise, persists, wrong
        self._errors: dict[tuple[str, int], float] = {}

    async def score(self, trajectories: Sequence[Trajectory], desk: Any) -> list[float]:
        """Return a score of each trajectory, in [0, 1]."""
        return [
            float(expit((WRONG if self.wrong(one.text) else RIGHT) + self.noise * self._error(one)))
            for one in trajectories
        ]

    def _error(self, trajectory: Trajectory) -> float:
        key = trajectory.problem.problem_id, trajectory.node
        if key not in self._errors:
            drawn = int.from_bytes(hashlib.blake2b(f"{key}".encode(), digest_size=6).digest())
            own = float(ndtri((drawn + 0.5) / 2**48))
            before, carried = trajectory.parent, self.persists
            if before is not None and before.step is not None:
                own = carried * self._error(before) + np.sqrt(1 - carried**2) * own
            self._errors[key] = own
        return self._errors[key]


class Reviser:
    """Writes attempts that revise the latest one of the chat."""

    offers = frozenset({"generate"})
    seed_scope = "completion"
    simulated = True

    def __init__(self, success: float, keeps: float, learns: int) -> None:
        self.half, self.keeps, self.learns = success**0.5, keeps, learns

    async def generate(self, request: GenerationRequest) -> list[Generation]:
        """Write an attempt for each seed."""
        attempts = [turn["content"] for turn in request.chat if turn["role"] == "assistant"]
        await asyncio.sleep(0)
        prompt = sum(len(turn["content"].split()) for turn in request.chat)
        return [
            Generation(
                text=self._attempt(request.problem.reference, attempts, np.random.default_rng(seed)),
                tokens=48,
                prompt_tokens=0 if place else prompt,
                context_tokens=prompt,
                logprob=-1.0,
                finish_reason="eos",
            )
            for place, seed in enumerate(request.seeds)
        ]

    def _attempt(self, reference: str, attempts: Sequence[str], rng: np.random.Generator) -> str:
        keeps, chooses, solves, answers = rng.random(4)
        sound, tries = chooses < self.half, 1
        if attempts:
            was_sound = attempts[-1].startswith("sound")
            if attempts[-1].endswith(f" {reference}"):
                return f"sound {reference if solves >= FLIPS else _wrong(reference, answers)}"
            tries = self.learns
            sound = was_sound if keeps < self.keeps else sound
        right = sound and solves < 1 - (1 - self.half) ** tries
        return f"{'sound' if sound else 'flawed'} {reference if right else _wrong(reference, answers)}"

    async def close(self) -> None:
        """Nothing is held."""


def _wrong(reference: str, quantile: float) -> str:
    """Return one of 8 wrong answers, the j-th in proportion to 1 / j, as the simulated engine's."""
    edges = np.cumsum(1 / np.arange(1, 9))
    return str(int(reference) + 1 + int(np.searchsorted(edges / edges[-1], quantile, side="right")))


def run(
    strategy: str, options: Mapping[str, Any], budget: int, engine: Any, reward: NoisyReward, problems: int
):
    """Run a strategy on like problems; return completions, their scores and tokens, problem by problem."""
    entry = registry().get("strategies", strategy).entry
    chosen = entry.options(**options)
    exchangeable = entry.draws == "exchangeable"

    async def one(number: int) -> tuple[list[Completion], list[float], int]:
        problem = Problem(problem_id=f"{number}", messages=({"role": "user", "content": "?"},), reference="7")
        unit = Unit(problem_id=f"{number}", budget=0 if exchangeable else budget, stop=budget)
        session = Session(
            problem,
            unit,
            engine,
            model="simulated",
            stream=("orderings", strategy),
            token_limit=10_000,
            partners=Partners(
                scorer=SessionScorer(scorer=reward, label="reward", engines={}),
                answer=lambda text: text.rsplit(" ", 1)[-1] if " " in text else None,
            ),
        )
        made = await entry.factory(session.problem, session, chosen)
        ends = [session.tree.made[completion.nodes[-1]] for completion in made]
        tokens = sum(account.generated_tokens or 0 for account in session.ledger.accounts.values())
        return made, [float(score) for score in await session.score(ends)], tokens

    async def everything():
        return await asyncio.gather(*(one(number) for number in range(problems)))

    return asyncio.run(everything())


def chosen_right(completions: Sequence[Completion], scores: Sequence[float], rule: str) -> float:
    """Return whether the selected answer is right; ties count by their share."""
    answers = [one.text.rsplit(" ", 1)[-1] if one.finish_reason == "eos" else None for one in completions]
    worth: dict[str | None, float] = defaultdict(float)
    for answer, score in zip(answers, scores, strict=True):
        if rule == "best":
            worth[answer] = max(worth[answer], score)
        elif answer is not None:
            worth[answer] += score if rule == "weighted vote" else 1
    top = [answer for answer, value in worth.items() if value >= max(worth.values()) * (1 - 1e-12)]
    return top.count("7") / len(top) if top else 0.0


def _rows(part, setting, budget, strategy, found, rules) -> list[Row]:
    tokens = [spent for _, _, spent in found]
    return [
        Row(
            part,
            setting,
            budget,
            strategy,
            rule,
            [chosen_right(made, scores, rule) for made, scores, _ in found],
            tokens,
        )
        for rule in rules
    ]


def search(setting: tuple[str, float, float, int], problems: int) -> list[Row]:
    """Run all searches in one setting."""
    difficulty, noise, persists, budget = setting
    told = {"problems": difficulty, "noise": noise, "persists": persists}
    engine = SimulatedEngine(SimulatedOptions(success=SUCCESS[difficulty], steps=STEPS))
    rows = []
    problems = round(problems / (budget / BUDGETS[0]) ** 0.5)
    for strategy, options in SEARCHES.items():
        if budget == BUDGETS[-1] and strategy not in ("repeated_sampling", "beam_search"):
            continue
        reward = NoisyReward(noise, persists, lambda text: "fails" in text)
        found = run(strategy, options, budget, engine, reward, problems)
        rows += _rows("search", told, budget, strategy, found, ("best", "weighted vote"))
    return rows


def revisions(setting: tuple[int, str, float, int], problems: int) -> list[Row]:
    """Run all ratios in one setting."""
    attempts, difficulty, keeps, learns = setting
    told = {"problems": difficulty, "keeps": keeps, "learns": learns}
    rows = []
    for ratio in RATIOS:
        reward = NoisyReward(1.0, 0.0, lambda text: not text.endswith(" 7"))
        engine = Reviser(SUCCESS[difficulty], keeps, learns)
        found = run("revision", {"ratio": ratio}, attempts, engine, reward, problems)
        rows += _rows("revisions", told, attempts, f"{ratio}", found, ("majority", "weighted vote"))
    return rows


def interval(differences: np.ndarray) -> tuple[float, float, float]:
    """Return a mean and its 95 % bootstrap interval."""
    rng = np.random.default_rng(0)
    means = differences[rng.integers(len(differences), size=(2000, len(differences)))].mean(axis=1)
    return (float(differences.mean()), *map(float, np.quantile(means, [0.025, 0.975])))


def show(rows: Sequence[Row], baseline: str) -> None:
    """Print accuracies, and differences to a baseline at the same budget."""
    grouped: dict[tuple, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        grouped[(*row.setting.values(), row.budget, row.rule)][row.strategy] = row
    others = [name for name in dict.fromkeys(row.strategy for row in rows) if name != baseline]
    names = [*rows[0].setting, *(["auc"] if "noise" in rows[0].setting else []), "N", "answer by"]
    print(f"| {' | '.join([*names, baseline, *others])} |")
    print("|" + "---|" * (len(names) + 1 + len(others)))
    for by in grouped.values():
        base = by[baseline]
        cells = [f"{value}" for value in base.setting.values()]
        if "noise" in base.setting:
            noise = base.setting["noise"]
            cells.append(f"{ndtr((RIGHT - WRONG) / noise / np.sqrt(2)):.2f}" if noise else "1")
        cells += [f"{base.budget}", base.rule, f"{100 * np.mean(base.right):.1f}"]
        for name in others:
            if name not in by:
                cells.append("")
                continue
            mean, low, high = interval(100 * (np.array(by[name].right) - np.array(base.right)))
            sign = "**>**" if low > 0 else "**<**" if high < 0 else ""
            cells.append(f"{mean:+.1f} [{low:+.1f}, {high:+.1f}] {sign}")
        print(f"| {' | '.join(cells)} |")
    spent: dict[str, list[float]] = defaultdict(list)
    for by in grouped.values():
        for name in others:
            if name in by:
                spent[name].append(np.sum(by[name].tokens) / np.sum(by[baseline].tokens))
    told = (f"{name} {np.mean(spent[name]):.3f}" for name in others)
    print(f"\ngenerated tokens, as a share of {baseline}'s: {', '.join(told)}\n", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=["search", "revisions"])
    parser.add_argument("--problems", type=int, default=400)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--output", type=Path, default=Path(os.devnull))
    arguments = parser.parse_args()
    settings = {
        "search": [
            (difficulty, noise, persists, budget)
            for budget in BUDGETS
            for difficulty in SUCCESS
            for noise, persists in NOISES
        ],
        "revisions": list(itertools.product(ATTEMPTS, SUCCESS, (0.0, 0.5, 1.0), (1, 2))),
    }
    with ProcessPoolExecutor(arguments.processes) as pool, arguments.output.open("a") as output:
        for part, baseline in (("search", "repeated_sampling"), ("revisions", "parallel")):
            if part in arguments.parts:
                work = partial({"search": search, "revisions": revisions}[part], problems=arguments.problems)
                rows: list[Row] = []
                for found in pool.map(work, settings[part]):
                    rows += found
                    output.writelines(f"{json.dumps(asdict(row))}\n" for row in found)
                    output.flush()
                show(rows, baseline)


if __name__ == "__main__":
    main()
