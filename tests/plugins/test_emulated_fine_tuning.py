"""Emulated fine-tuning: reductions to the models it is made of, and the distribution that is drawn from."""

import asyncio
from dataclasses import replace

import numpy as np
import pytest
from scripted_engine import PROBLEM, charged, run

from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.partners import Partners
from itscale.types import NextLogprobs, NextRequest
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions
from itscale_builtin.strategies._next_token import nucleus, probabilities
from itscale_builtin.strategies.emulated_fine_tuning import EmulatedFineTuningOptions, combined, entry


def model(success):
    return SimulatedEngine(SimulatedOptions(success=success, steps=3, wrong_answers=3))


def emulated(large, tuned, untuned, **given):
    partners = Partners(helpers={"t": model(tuned), "u": model(untuned)})
    return run(entry, model(large), tuned="t", untuned="u", partners=partners, **given)


def options(**given):
    return EmulatedFineTuningOptions(tuned="t", untuned="u", **given)


def next_of(engine, prefix=()):
    request = NextRequest(problem=PROBLEM, prefix=prefix, top=None)
    return asyncio.run(engine.next_logprobs(request))


def found(*logprobs, ids=None, ends=()):
    ids = ids or [range(len(row)) for row in logprobs]
    return [
        NextLogprobs(
            token_ids=np.array(list(names)), logprobs=np.array(row, dtype=float), full=True,
            ends=frozenset(ends), tokenizer="t", context_tokens=1, prompt_tokens=1,
        )
        for names, row in zip(ids, logprobs, strict=True)
    ]  # fmt: skip


LARGE, TUNED, UNTUNED = (np.log(np.array(p)) for p in ([0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6]))


def drawn_from(**given):
    _, chances = combined(found(LARGE, TUNED, UNTUNED), options(**given))
    return chances


def test_the_distribution_is_the_product_of_its_models():
    weights = np.array([0.5 * 0.1 / 0.2, 0.3 * 0.6 / 0.2, 0.2 * 0.3 / 0.6])
    np.testing.assert_allclose(drawn_from(), weights / weights.sum())
    halves = np.array([0.5 * (0.1 / 0.2) ** 0.5, 0.3 * (0.6 / 0.2) ** 0.5, 0.2 * (0.3 / 0.6) ** 0.5])
    np.testing.assert_allclose(drawn_from(alpha=0.5), halves / halves.sum())


def test_alpha_of_0_and_equal_small_models_are_the_large_model():
    np.testing.assert_allclose(drawn_from(alpha=0), np.exp(LARGE))
    _, chances = combined(found(LARGE, TUNED, TUNED), options())
    np.testing.assert_allclose(chances, np.exp(LARGE))


def test_a_large_model_that_is_the_untuned_one_becomes_the_tuned_one():
    _, chances = combined(found(UNTUNED, TUNED, UNTUNED), options())
    np.testing.assert_allclose(chances, np.exp(TUNED))


def test_a_shift_of_all_logits_changes_nothing():
    _, chances = combined(found(LARGE, TUNED - 3.0, UNTUNED), options())
    np.testing.assert_allclose(chances, drawn_from())


def test_the_support_is_the_nucleus_of_the_large_model():
    tokens, chances = combined(found(LARGE, TUNED, UNTUNED), options(support=0.7))
    assert list(tokens) == [0, 1]
    assert chances.sum() == pytest.approx(1)
    assert list(combined(found(LARGE, TUNED, UNTUNED), options(support=0.01))[0]) == [0]


def test_tokens_that_not_all_name_are_left_out_and_without_any_the_large_one_speaks():
    tokens, _ = combined(found(LARGE, TUNED, UNTUNED, ids=[[1, 2, 3], [2, 3, 4], [3, 2, 5]]), options())
    assert list(tokens) == [2, 3]
    tokens, chances = combined(found(LARGE, TUNED, UNTUNED, ids=[[1, 2, 3], [4, 5, 6], [7, 8, 9]]), options())
    assert list(tokens) == [1, 2, 3]
    np.testing.assert_allclose(chances, np.exp(LARGE))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, [0.5, 0.3, 0.2]),
        ({"temperature": 0.0}, [1, 0, 0]),
        ({"temperature": 0.5}, [0.25 / 0.38, 0.09 / 0.38, 0.04 / 0.38]),
        ({"temperature": 1e-310}, [1, 0, 0]),
        ({"top_k": 2}, [0.625, 0.375, 0]),
        ({"top_p": 0.5}, [1, 0, 0]),
        ({"top_p": 0.51}, [0.625, 0.375, 0]),
        ({"min_p": 0.5}, [0.625, 0.375, 0]),
        ({"min_p": 1.0}, [1, 0, 0]),
        # 0.6 of what top_k leaves is the first alone, though it has half of all
        ({"top_k": 2, "top_p": 0.6}, [1, 0, 0]),
        # what temperature makes of it decides
        ({"temperature": 0.5, "min_p": 0.5}, [1, 0, 0]),
    ],
)
def test_sampling_parameters_apply_to_a_distribution(given, expected):
    np.testing.assert_allclose(probabilities(LARGE, SamplingOptions(**given)), expected)


def test_a_nucleus_is_the_fewest_tokens():
    assert list(nucleus(LARGE, 0.79)) == [True, True, False]
    assert list(nucleus(LARGE, 0.81)) == [True, True, True]
    assert list(nucleus(np.zeros(4), 0.5)) == [True, True, False, False]


def best(large, tuned, untuned):
    """The greedy text, by brute force."""
    engines, text = [model(success) for success in (large, tuned, untuned)], ""
    while True:
        sentences = [
            {one.token_id: (one.text, one.probability) for one in engine._writer(PROBLEM).after(text)}
            for engine in engines
        ]
        scores = {
            token: np.log(sentences[0][token][1])
            + np.log(sentences[1][token][1])
            - np.log(sentences[2][token][1])
            for token in sentences[0]
        }
        token = max(scores, key=lambda name: scores[name])
        if token == 0:
            return text
        text += sentences[0][token][0]


@pytest.mark.parametrize("rates", [(0.6, 0.9, 0.2), (0.9, 0.05, 0.95), (0.3, 0.5, 0.5), (0.05, 0.99, 0.01)])
def test_greedy_takes_the_most_probable_token_of_all(rates):
    (made,), _ = emulated(*rates, temperature=0)
    assert made.text == best(*rates)


def test_with_equal_small_models_right_answers_are_as_frequent_as_the_large_models():
    draws = 300
    partners = Partners(helpers={"t": model(0.3), "u": model(0.3)})
    large, right = model(0.6), 0
    for number in range(draws):
        (made,), _ = run(entry, large, tuned="t", untuned="u", partners=partners, stream=(number,))
        right += made.text.endswith("The answer is 7")
    assert abs(right / draws - 0.6) < 4 * (0.6 * 0.4 / draws) ** 0.5


def test_it_charges_three_next_tokens_for_each_token():
    (made,), session = emulated(0.6, 0.8, 0.3)
    accounts = {by: account for (_, by, *_), account in session.ledger.accounts.items()}
    assert {by: account.generated_tokens for by, account in accounts.items()} == dict.fromkeys(
        ("m", "t", "u"), made.generated_tokens
    )
    assert charged(session, "generated_tokens") == 3 * made.generated_tokens


def test_a_token_that_ends_the_tuned_model_ends_the_text():
    class Base(SimulatedEngine):
        async def next_logprobs(self, request):
            return replace(await super().next_logprobs(request), ends=frozenset())

    base = Base(SimulatedOptions(success=0.6, steps=3, wrong_answers=3))
    partners = Partners(helpers={"t": model(0.8), "u": model(0.3)})
    (made,), _ = run(entry, base, tuned="t", untuned="u", partners=partners)
    assert made.finish_reason == "eos"


def test_a_token_that_the_tuned_model_does_not_name_is_the_large_ones():
    class Tuned(SimulatedEngine):
        async def next_logprobs(self, request):
            found = await super().next_logprobs(request)
            return replace(
                found, token_ids=found.token_ids + 100, full=False, ends=frozenset(found.token_ids)
            )

    tuned = Tuned(SimulatedOptions(success=0.8, steps=3, wrong_answers=3))
    partners = Partners(helpers={"t": tuned, "u": model(0.3)})
    (made,), _ = run(entry, model(0.6), tuned="t", untuned="u", partners=partners)
    assert made.finish_reason == "eos"
    assert "The answer is" in made.text


def test_a_text_ends_at_its_own_limit_within_a_larger_session():
    (made,), _ = emulated(0.6, 0.8, 0.3, max_tokens=2)
    assert made.generated_tokens == 2
    assert made.finish_reason == "length"


def test_with_some_tokens_alone_the_support_is_still_the_large_models():
    """A has .90 of the large model and is named by no small one: with a support of .9 it is all there is."""
    rows = np.log(np.array([0.90, 0.05, 0.04])), np.log(np.array([0.5, 0.4])), np.log(np.array([0.5, 0.4]))
    some = found(*rows, ids=[[1, 2, 3], [2, 3], [2, 3]])
    tokens, chances = combined(some, options(support=0.9))
    assert list(tokens) == [1]
    assert list(chances) == [1.0]


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_a_token_that_a_model_rules_out_is_never_drawn(alpha):
    """A logit that is masked is no number to reckon with."""
    none = np.array([-np.inf] * 3)
    for place in range(3):
        rows = [LARGE.copy(), TUNED.copy(), UNTUNED.copy()]
        rows[place][1] = -np.inf
        tokens, chances = combined(found(*rows), options(alpha=alpha))
        assert list(tokens) == [0, 2]
        assert chances.sum() == pytest.approx(1)
    tokens, chances = combined(found(LARGE, none, none), options(alpha=alpha))
    assert list(tokens) == [0, 1, 2]
    np.testing.assert_allclose(chances, np.exp(LARGE))
