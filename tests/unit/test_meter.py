"""How full an engine was kept, on a clock of the test's own."""

import asyncio

import pytest

from itscale.sampling.occupancy import MeteredEngine
from itscale.types import GenerationRequest, Problem, SamplingParams
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions

PROBLEM = Problem(problem_id="p", messages=({"role": "user", "content": "?"},), reference="1")


class Slow(SimulatedEngine):
    """Takes as many ticks of a made-up clock as a request has sequences."""

    def __init__(self, clock):
        super().__init__(SimulatedOptions())
        self.clock = clock

    async def generate(self, request):
        made = await super().generate(request)
        self.clock.now += len(request.seeds)
        return made


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def request(sequences):
    params = SamplingParams(max_tokens=1000)
    return GenerationRequest(problem=PROBLEM, prefix=(), params=params, seeds=tuple(range(sequences)))


def test_means_are_weighted_by_time():
    clock = Clock()
    engine = MeteredEngine(Slow(clock), clock)

    async def work():
        engine.expect(8)
        await engine.generate(request(2))  # 2 sequences for 2 ticks
        engine.expect(-8)
        clock.now += 3  # nothing for 3 ticks
        engine.expect(6)
        await engine.generate(request(5))  # 5 sequences for 5 ticks
        engine.expect(-6)

    asyncio.run(work())
    found = engine.occupancy()
    assert found.seconds == 10
    assert found.mean_running == pytest.approx((2 * 2 + 5 * 5) / 10)
    assert found.mean_possible == pytest.approx((8 * 2 + 6 * 5) / 10)
    assert found.peak_running == 5


def test_an_engine_that_was_never_asked_has_no_occupancy():
    assert MeteredEngine(SimulatedEngine(SimulatedOptions())).occupancy().mean_running == 0
