"""Every built-in passes the contract that plugin authors are given."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from builtins_of_itscale import builtins, contract_of, key_of
from tables_of_laws import TABLES

from itscale.plugins import registry
from itscale.testing import EntryContract
from itscale.types import Problem

DATA = Path(__file__).with_name("data")
REWARD = {"options": {"scorer": "reward"}}
NEEDS_A_MODEL = {"contract": EntryContract}


@cache
def reasoning_gym_problems() -> list[Problem]:
    """Two problems of reasoning-gym, with what its verifier needs."""
    entry = registry().get("tasks", "reasoning_gym").entry
    return list(entry.factory(entry.options(dataset="gcd", size=2)))


def lettered_problems() -> list[Problem]:
    """Two problems of multiple choice."""
    return [
        Problem(
            problem_id=f"choice-{reference}",
            messages=({"role": "user", "content": "Which?"},),
            reference=reference,
            metadata={"choices": ["red", "green", "blue"]},
        )
        for reference in ("B", "blue")
    ]


EXAMPLES: Mapping[str, Mapping[str, Any]] = {
    "engines/openai": {**NEEDS_A_MODEL, "options": {"model": "m", "base_url": "http://localhost:1/v1"}},
    "engines/vllm": {**NEEDS_A_MODEL, "options": {"model": "m"}},
    **TABLES,
    "laws/broken_power_law": {"options": {"starts": 20}},
    "laws/scaled_beta_binomial": {"fixed": ("scale",)},
    "selectors/best_of_n": REWARD,
    "selectors/first_pass": {**REWARD, "abstains": True},
    "selectors/weighted_vote": REWARD,
    "strategies/rstar": {
        "options": {"discriminator": "other", "depth": 2, "votes": 2, "masks": 1, "max_tokens": 64},
        "helpers": {"other": {"success": 0.5}},
        "budgets": (1, 3),
    },
    "strategies/ab_mcts": {
        "options": {"scorer": "reward", "models": ["other"], "at_once": 2},
        "helpers": {"other": {"success": 0.2, "process_reward": {"noise": 1.0}}},
    },
    "strategies/adaptive_sampling": {
        "options": {"yes": "Step 1 fails", "no": "Step 1 holds", "hand_in": "all"},
    },
    "strategies/beam_search": REWARD,
    "strategies/dvts": REWARD,
    "strategies/lookahead": {"options": {"scorer": "reward", "lookahead": 1, "width": 2}},
    "strategies/mcts": REWARD,
    "strategies/step_best_of_n": {**REWARD, "engine": {"success": 0.0, "wrong_answers": 1000}},
    "strategies/parallel_tempering": {"options": {"scorer": "reward", "iterations": 2}, "budgets": (8, 16)},
    "strategies/particle_filter": REWARD,
    "strategies/particle_gibbs": {"options": {"scorer": "reward", "iterations": 2}},
    "strategies/budget_forcing": {
        "options": {"thinking_tokens": 60, "answer_tokens": 40, "waits": 2, "end_of_think": "\n\n"}
    },
    "strategies/archon": {"options": {"retries": 1}},
    "strategies/atom_of_thoughts": {"options": {"retries": 1}},
    "strategies/debate": {"options": {"others": ["other"]}, "helpers": {"other": {"success": 0.2}}},
    "strategies/emulated_fine_tuning": {
        "options": {"tuned": "tuned", "untuned": "untuned", "top": 5, "temperature": 0.9},
        "helpers": {"tuned": {"success": 0.8}, "untuned": {"success": 0.3}},
    },
    "strategies/confidence_pruning": {
        "options": {
            "warm_up": 4,
            "keep": 0.5,
            "consensus": None,
            "delimiter": "\n\n",
            "group_segments": 1,
            "hand_in": "all",
        }
    },
    "strategies/iterative_deepening": {"options": {"first_window": 8, "max_tokens": 200}},
    "strategies/mixture_of_agents": {
        "options": {"others": ["other"], "samples": 2},
        "helpers": {"other": {"success": 0.2}},
    },
    "strategies/plan_search": {
        "options": {"max_tokens": 60, "diversity": True, "first": 3, "second": 2, "tries": 1}
    },
    "strategies/revision": {"options": {"ratio": 4, "max_tokens": 100}},
    "strategies/truncated_thinking": {"options": {"lengths": [4, 16], "end_of_think": "\n\n"}},
    "prices/per_token": {"options": {"prompt": 1.0, "generated": 2.0}},
    "tasks/gsm8k": {"options": {"file": DATA / "gsm8k.jsonl"}},
    "tasks/jsonl": {"options": {"file": DATA / "sums.jsonl"}},
    "tasks/math500": {"options": {"file": DATA / "math500.jsonl"}},
    "tasks/reasoning_gym": {"options": {"dataset": "gcd", "size": 8}},
    "verifiers/logprob": {"reads_logprobs": True},
    "verifiers/llm_judge": {
        "options": {"judge": "critic", "right": "holds", "wrong": "fails"},
        "helpers": {"critic": {"success": 0.5}},
    },
    "verifiers/math": {"options": {"seconds": 1.0}},
    "verifiers/multiple_choice": {"problems": lettered_problems()},
    "verifiers/reasoning_gym": {"problems": property(lambda self: reasoning_gym_problems())},
}
"""Attributes of the contract class where a built-in cannot do without: by kind and name."""

# A process per built-in is slow; test_registry.py has one that loads them all.
ONCE_FOR_ALL = {"test_registering_it_imports_nothing_heavy": None}


def _class_name(key: str) -> str:
    kind, _, name = key.partition("/")
    return "Test" + "".join(word.capitalize() for word in f"{name}_{kind}".split("_"))


for _plugin in builtins():
    _key = key_of(_plugin.entry)
    _example = dict(EXAMPLES.get(_key, {}))
    _contract = _example.pop("contract", contract_of(_plugin.entry))
    globals()[_class_name(_key)] = type(
        _class_name(_key), (_contract,), {"entry": _plugin.entry, **ONCE_FOR_ALL, **_example}
    )


def test_every_example_belongs_to_a_built_in() -> None:
    assert EXAMPLES.keys() <= {key_of(plugin.entry) for plugin in builtins()}
