"""Why a step ends a text."""

import pytest

from itscale.sampling.draws import ending
from itscale.types import Generation, SamplingParams


@pytest.mark.parametrize(("said", "expected"), [("length", "length"), ("stop", "length"), ("eos", "eos")])
def test_a_step_of_nothing_ends_a_text_or_a_strategy_would_ask_for_ever(said, expected):
    made = Generation(text="", tokens=0, prompt_tokens=3, context_tokens=3, logprob=None, finish_reason=said)
    assert ending(made, SamplingParams(max_tokens=8, stop=("\n",)), 100, whole=True) == expected
