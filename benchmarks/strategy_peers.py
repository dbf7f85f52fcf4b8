"""The peers of `benchmarks/strategies.py`, each run by the Python of its own environment.

    PYTHON benchmarks/strategy_peers.py PEER METHOD URL PROBLEMS BUDGET LIMIT

Prints the wall-clock as JSON. A score takes `SCORE` seconds, whatever is scored, as in ours.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial

SCORE = 0.005
STEPS, WIDTH = 4, 4


def score(text: str) -> float:
    return 0.1 + 0.8 * (hash(text) % 997) / 997


def its_hub(method: str, url: str, problems: list[str], budget: int, limit: int, together: bool) -> None:
    from its_hub.api import AbstractOutcomeRewardModel, AbstractProcessRewardModel
    from its_hub.core.algorithms.beam_search import BeamSearch
    from its_hub.core.algorithms.bon import BestOfN
    from its_hub.core.algorithms.particle_gibbs import ParticleFiltering
    from its_hub.core.algorithms.self_consistency import SelfConsistency
    from its_hub.core.lms.openai_lm import OpenAICompatibleLanguageModel
    from its_hub.core.lms.step_generation import StepGeneration
    from its_hub.core.orchestrator import LMOrchestrator

    class Rewards(AbstractProcessRewardModel, AbstractOutcomeRewardModel):
        def score(self, prompt, steps=None, **more):
            raise NotImplementedError

        async def ascore(self, prompt, steps=None, **more):
            await asyncio.sleep(SCORE)
            return [score(str(one)) for one in (steps if steps is not None else prompt)]

    steps = StepGeneration(max_steps=STEPS - 1, step_token="\n\n")  # it stops after one more
    orchestrator = LMOrchestrator(max_concurrency=limit)
    algorithm = {
        "self_consistency": lambda: SelfConsistency(orchestrator=orchestrator),
        "best_of_n": lambda: BestOfN(Rewards(), orchestrator),
        "beam_search": lambda: BeamSearch(steps, Rewards(), beam_width=WIDTH),
        "particle_filter": lambda: ParticleFiltering(steps, Rewards()),
    }[method]()

    async def run() -> None:
        model = OpenAICompatibleLanguageModel(url, "none", "m")
        try:
            if together:
                await asyncio.gather(*(algorithm.ainfer(model, one, budget) for one in problems))
            else:
                for one in problems:
                    await algorithm.ainfer(model, one, budget)
        finally:
            await model.close()

    asyncio.run(run())


def optillm(method: str, url: str, problems: list[str], budget: int, limit: int) -> None:
    import importlib.util
    import types

    import openai

    # its package imports torch and a server; the two modules need neither
    if "optillm" not in sys.modules:
        spec = importlib.util.find_spec("optillm")
        package = types.ModuleType("optillm")
        package.__path__ = list(spec.submodule_search_locations)
        package.conversation_logger = None
        sys.modules["optillm"] = package
    client = openai.OpenAI(base_url=url, api_key="none")
    if method == "self_consistency":
        from optillm.self_consistency import AdvancedSelfConsistency

        for one in problems:
            AdvancedSelfConsistency(client, "m", num_samples=budget).evaluate("", one)
    else:
        from optillm.bon import best_of_n_sampling

        for one in problems:
            best_of_n_sampling("", one, client, "m", n=budget)


def treequest(method: str, url: str, problems: list[str], budget: int, limit: int) -> None:
    import openai
    import treequest as tq

    client = openai.OpenAI(base_url=url, api_key="none")
    continued = {"continue_final_message": True, "add_generation_prompt": False}

    def step(problem: str, before: str | None) -> tuple[str, float]:
        turns = [{"role": "user", "content": problem}]
        turns += [{"role": "assistant", "content": before}] if before else []
        reply = client.chat.completions.create(
            model="m", messages=turns, stop="\n\n", extra_body=continued if before else None
        )
        text = (before or "") + reply.choices[0].message.content + "\n\n"
        time.sleep(SCORE)
        return text, score(text)

    for one in problems:
        algorithm = tq.TreeOfThoughtsBFSAlgo(breadth_limit=budget // WIDTH, size_limit=WIDTH)
        state, done = algorithm.init_tree(), 0
        with ThreadPoolExecutor(budget) as pool:
            while done < 1 + WIDTH + budget * (STEPS - 2):  # the root is expanded once
                state, trials = algorithm.ask_batch(state, batch_size=budget, actions=["step"])
                before = [state.tree.get_node(trial.node_to_expand).state for trial in trials]
                results = list(pool.map(partial(step, one), before))
                for trial, result in zip(trials, results, strict=True):
                    state = algorithm.tell(state, trial.trial_id, result)
                done += len(trials)


def main() -> None:
    warnings.simplefilter("ignore")
    peer, method, url, problems, budget, limit = sys.argv[1:]
    asked = [f"What is {number} + {number}?" for number in range(int(problems))]
    runs = {
        "its_hub": partial(its_hub, together=False),
        "its_hub_together": partial(its_hub, together=True),
        "optillm": optillm,
        "treequest": treequest,
    }
    run = runs[peer]
    run(method, url, asked[:1], int(budget), int(limit))  # imports, connections
    begun = time.perf_counter()
    run(method, url, asked, int(budget), int(limit))
    print(json.dumps({"seconds": time.perf_counter() - begun}))


if __name__ == "__main__":
    main()
