"""Plugins for tests that fail on one problem each, as long as a variable of the environment names them."""

import os
from pathlib import Path

from itscale import hookimpl
from itscale.plugins import Options, StrategyEntry, VerifierEntry
from itscale_builtin.strategies.repeated_sampling import entry as repeated_sampling
from itscale_builtin.verifiers.exact_match import entry as exact_match


def fails(kind: str, problem: str, on: str) -> bool:
    return kind in os.environ.get("BRITTLE", "") and problem == on


async def strategy(problem, session, options):
    made = await repeated_sampling.factory(problem, session, options)
    if fails("strategy", problem.problem_id, "2"):
        raise ValueError("no answer of the kind that\nthis strategy wants")
    return made


class Oracle:
    def __init__(self, options) -> None:
        self.oracle = exact_match.factory(options)

    def answer(self, problem, text):
        return self.oracle.answer(problem, text)

    def classes(self, answers):
        if "classes" in os.environ.get("BRITTLE", ""):
            raise LookupError("cannot compare")
        return self.oracle.classes(answers)

    def judge(self, problem, answers):
        if fails("oracle", problem.problem_id, "4"):
            raise ZeroDivisionError("the reference is 0")
        return self.oracle.judge(problem, answers)


class Scorer:
    def __init__(self, options) -> None:
        pass

    async def score(self, trajectories, desk):
        for trajectory in trajectories:
            with Path("asked.txt").open("a") as file:
                file.write(f"{trajectory.problem.problem_id}\n")
        if any(fails("scorer", trajectory.problem.problem_id, "1") for trajectory in trajectories):
            raise RuntimeError("the judge is out")
        return [0.5 for _ in trajectories]


@hookimpl
def itscale_register_strategies():
    about = {"name": "brittle", "summary": "Repeated sampling that fails."}
    return [StrategyEntry(**about, factory=strategy, options=repeated_sampling.options, draws="exchangeable")]


@hookimpl
def itscale_register_verifiers():
    return [
        VerifierEntry(
            name="brittle_oracle",
            summary="Fails.",
            factory=Oracle,
            options=exact_match.options,
            role="oracle",
        ),
        VerifierEntry(
            name="brittle_scorer", summary="Fails.", factory=Scorer, options=Options, role="scorer"
        ),
    ]
