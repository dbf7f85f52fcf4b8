"""Strategies are believed in nothing: completions are those that the session drew."""

import sys
from dataclasses import replace

import pytest
from hostile import NAN, hostile, refusal, sample, strategy

from itscale.boundary import completions_of_run, tokens_of_run
from itscale.errors import ContractError
from itscale.types import Step, Trajectory


def handed(**changes):
    return strategy(lambda session, drawn: [replace(one, **changes) for one in session.complete(drawn)])


def made_up(session, text="42"):
    return Trajectory(
        session.problem, session.start(), Step(text=text, tokens=1, logprob=-1.0, node=1), "eos"
    )


async def continues_a_fake(problem, session, options):
    await session.extend([made_up(session)], options.completion())


async def asks_with_a_hint(problem, session, options):
    problem.messages[0]["content"] += " It is 1."
    await session.extend([session.start()], options.completion())


async def asks_another_question(problem, session, options):
    other = replace(problem, messages=({"role": "user", "content": "Criticise!"},))
    await session.extend([Trajectory(other)], options.completion())


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (lambda problem, session, options: [], "factory: found [], expected something to await"),
        (strategy(lambda session, drawn: None), "completions: found None, expected the completions that"),
        (strategy(lambda session, drawn: drawn), "completions: found a Trajectory, expected the completions"),
        (strategy(lambda session, drawn: ["42"] * 4), "completions: found '42', expected the completions"),
        (
            strategy(lambda session, drawn: session.complete(drawn[1:])),
            "found 3 at [0, 1, 2], expected exactly",
        ),
        (strategy(lambda session, drawn: session.complete([drawn[0].text])), "session.complete(): found"),
        (
            strategy(lambda session, drawn: session.complete([made_up(session)] * 4)),
            "a trajectory with the text",
        ),
        (strategy(lambda session, drawn: session.complete(drawn, [1.0])), "complete(): weights: found 1"),
        (strategy(lambda session, drawn: session.complete(drawn, [NAN] * 4)), "weight: found nan"),
        (handed(text="The answer is 1"), "text of a completion: found 'The answer is 1', expected"),
        (handed(generated_tokens=1), "generated_tokens of a completion: found 1, expected"),
        (handed(prompt_tokens=0), "prompt_tokens of a completion: found 0"),
        (handed(step_tokens=[1]), "step_tokens of a completion: found [1], expected"),
        (handed(logprob=0.0), "logprob of a completion: found 0, expected"),
        (handed(step_scores=[1.0]), "step_scores of a completion: found [1.0], expected [None]"),
        (handed(nodes=[99]), "nodes of a completion: found [99], expected a path"),
        (handed(nodes=[1, 2]), "nodes of a completion: found [1, 2], expected a path"),
        (handed(index=0), "found 4 at [0, 0, 0, 0], expected exactly its 4 indices, 0 to 3, each once"),
        (handed(index="0"), "found 4 at ['0', '0', '0', '0'], expected exactly"),
        (
            handed(problem_id="another"),
            "problem, budget and replicate of a completion: found ('another', 0, 0)",
        ),
        (handed(finish_reason="done"), "finish_reason: found 'done', expected eos or stop"),
        (handed(weight="heavy"), "weight: found 'heavy', expected a finite number or None"),
        (
            strategy(lambda session, drawn: session.complete(drawn, ["1"] * 4)),
            "complete(): weights: found ['1'",
        ),
        (
            strategy(lambda session, drawn: session.complete(drawn, [1j] * 4)),
            "complete(): weights: found [1j",
        ),
        (asks_with_a_hint, "session.extend(): found a change of the problem itself, expected the problem as"),
        (continues_a_fake, "session.extend(): found a trajectory with the text '42' at node 1"),
        (asks_another_question, "session.extend(): found a trajectory with the text '' at node 0"),
    ],
)
def test_strategies(study, factory, said):
    changed = hostile(study, "strategies", "pool", factory)
    line = refusal(lambda: sample(changed), "strategies/repeated_sampling (label 'pool'): problem '")
    assert said in line


@pytest.mark.parametrize(
    ("told", "said"),
    [
        (
            {"hands_in": lambda options, budget: 0},
            "hands_in(): found 0, expected a whole number of completions",
        ),
        ({"grant": lambda options, budget: 0.5}, "grant(): found 0.5, expected a whole number of tokens"),
        ({"grant": lambda options, budget: 1 // 0}, "grant(): found ZeroDivisionError("),
        ({"hands_in": lambda options, budget: sys.exit(3)}, "hands_in(): found SystemExit(3)"),
    ],
)
def test_what_a_run_of_a_budget_is_worth(study, told, said):
    ingredient = study.strategies["search"]
    mended = replace(ingredient, entry=replace(ingredient.entry, **told))
    changed = replace(study, strategies={**study.strategies, "search": mended})
    with pytest.raises(ContractError) as caught:
        sample(changed, "search")
    assert said in str(caught.value)


def test_a_run_on_another_axis_hands_in_one_completion_and_spends_what_it_is_granted(study):
    ingredient = study.strategies["search"]
    entry = replace(ingredient.entry, axis="rounds", grant=lambda options, budget: 10 * budget)
    ingredient = replace(ingredient, entry=entry)
    assert completions_of_run(ingredient, 7) == 1
    assert tokens_of_run(ingredient, 7) == 70
    assert completions_of_run(replace(ingredient, entry=replace(entry, hands_in=lambda _, n: n + 1)), 7) == 8
