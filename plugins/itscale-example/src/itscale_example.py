"""A plugin for itscale: one strategy, one verifier, one law."""

import asyncio
import re

import numpy as np
from itscale import hookimpl, plugins, types
from itscale.plugins.strategies import SamplingOptions


class LadderOptions(SamplingOptions):
    rungs: tuple[float, ...] = (0.5, 1.0, 1.5)
    """What `temperature` is multiplied by; each rung draws an equal share of the completions."""


async def temperature_ladder(problem, session, options):
    starts = [session.start()] * session.budget
    rungs = [options.model_copy(update={"temperature": t * options.temperature}) for t in options.rungs]
    shares = (session.extend(starts[at :: len(rungs)], rung.completion()) for at, rung in enumerate(rungs))
    return session.complete([drawn for share in await asyncio.gather(*shares) for drawn in share])


class LastNumber:
    def answer(self, problem, text):
        numbers = re.findall(r"-?\d+(?:\.\d+)?", text.replace(",", ""))
        return f"{float(numbers[-1]):.12g}" if numbers else None

    def classes(self, answers):
        return list(answers)  # equal numbers are already equal texts

    def judge(self, problem, answers):
        return [types.Verdict(correct=found == self.answer(problem, problem.reference)) for found in answers]


class PerDoubling:
    parameters, estimand = ("first", "gain"), "effective slope"

    def fit(self, data, start=None):
        return np.linalg.lstsq(np.vander(np.log2(data.budgets), 2), data.coverage)[0][::-1].clip(0)

    def predict(self, parameters, budgets):
        return np.clip(parameters[0] + parameters[1] * np.log2(budgets), 0, 1)


@hookimpl
def itscale_register_strategies():
    about = {"name": "temperature_ladder", "summary": "Equal shares at several temperatures."}
    return [plugins.StrategyEntry(**about, factory=temperature_ladder, options=LadderOptions, draws="runs")]


@hookimpl
def itscale_register_verifiers():
    about = {"name": "last_number", "summary": "The last number of a text is its answer."}
    return [plugins.VerifierEntry(**about, factory=lambda options: LastNumber(), role="oracle")]


@hookimpl
def itscale_register_laws():
    about = {"name": "per_doubling", "summary": "Coverage = first + gain * log2 k."}
    return [plugins.LawEntry(**about, factory=lambda options: PerDoubling(), takes="curve")]
