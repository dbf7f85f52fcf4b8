"""A plugin for itscale: one strategy, one verifier, one law."""

import asyncio
import re
from dataclasses import replace

import numpy as np
from itscale import hookimpl, laws, plugins, sampling, types
from scipy.optimize import curve_fit


class LadderOptions(sampling.SamplingOptions):
    rungs: tuple[float, ...] = (0.5, 1.0, 1.5)
    """What `temperature` is multiplied by; each rung draws an equal share of the completions."""


async def temperature_ladder(problem, session, options):
    """Equal shares of the completions at several temperatures."""
    starts, params = [session.start()] * session.budget, options.completion()
    rungs = [
        session.extend(
            starts[place :: len(options.rungs)], replace(params, temperature=rung * params.temperature)
        )
        for place, rung in enumerate(options.rungs)
    ]
    return session.complete([drawn for part in await asyncio.gather(*rungs) for drawn in part])


class LastNumber:
    """The last number of a text is its answer."""

    def answer(self, problem, text):
        numbers = re.findall(r"-?\d+(?:\.\d+)?", text.replace(",", ""))
        return f"{float(numbers[-1]):.12g}" if numbers else None

    def classes(self, answers):
        return list(answers)  # equal numbers are already equal texts

    def judge(self, problem, answers):
        right = self.answer(problem, problem.reference)
        return [types.Verdict(correct=self.answer(problem, answer) == right) for answer in answers]


class SaturatingPower:
    """A power law below a ceiling: coverage = ceiling - gap * k ** -exponent."""

    parameters, estimand = ("ceiling", "gap", "exponent"), "asymptotic"

    def fit(self, data):
        if len(data.budgets) < 4 or np.ptp(data.coverage) == 0:
            raise laws.FitFailure("expected a curve that rises, of at least 4 points")
        start, bounds = (0.9, 0.5, 0.5), (0, (1, 1, 9))
        return curve_fit(saturating_power, data.budgets, data.coverage, start, bounds=bounds)[0]

    def predict(self, parameters, budgets):
        return np.clip(saturating_power(budgets, *parameters), 0, 1)


def saturating_power(k, ceiling, gap, exponent):
    return ceiling - gap * np.power(k, -exponent, dtype=float)


@hookimpl
def itscale_register_strategies():
    about = {"name": "temperature_ladder", "summary": temperature_ladder.__doc__}
    return [plugins.StrategyEntry(**about, factory=temperature_ladder, options=LadderOptions, draws="runs")]


@hookimpl
def itscale_register_verifiers():
    about = {"name": "last_number", "summary": LastNumber.__doc__}
    return [plugins.VerifierEntry(**about, factory=lambda options: LastNumber(), role="oracle")]


@hookimpl
def itscale_register_laws():
    about = {"name": "saturating_power", "summary": SaturatingPower.__doc__}
    return [plugins.LawEntry(**about, factory=lambda options: SaturatingPower(), takes="curve")]
