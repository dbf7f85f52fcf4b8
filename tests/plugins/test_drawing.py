"""Options that draw, think and evaluate: what would have no effect, or the wrong one, is refused."""

import pytest

from itscale_builtin.strategies import (
    adaptive_sampling,
    budget_forcing,
    dynamic_allocation,
    early_stopping_vote,
    truncated_thinking,
)
from itscale_builtin.strategies.revision import entry as revision


def said(entry, **options):
    return list(entry.check(entry.options.model_validate(options)))


@pytest.mark.parametrize("module", [dynamic_allocation, early_stopping_vote])
def test_parameters_of_a_model_that_is_not_asked_are_refused(module):
    assert said(module.entry, inner="debated") == []
    (mistake,) = said(module.entry, inner="debated", temperature=0.2)
    assert mistake.startswith("temperature: found 0.2 beside inner")
    assert said(module.entry, temperature=0.2) == []


def test_a_price_that_no_gain_is_worth_is_refused():
    assert said(dynamic_allocation.entry, threshold=5)[0].startswith("threshold: found 5")
    assert said(dynamic_allocation.entry, threshold=5, price_of="thousand_tokens") == []


@pytest.mark.parametrize("words", [{"yes": " Yes"}, {"no": "No."}, {"yes": "("}])
def test_words_that_no_token_is_read_as_are_refused(words):
    assert any("without blanks or marks" in one for one in said(adaptive_sampling.entry, **words))


@pytest.mark.parametrize(
    ("entry", "options"),
    [
        (budget_forcing.entry, {"wait": "</think> Wait"}),
        (budget_forcing.entry, {"opening": "<think></think>"}),
        (truncated_thinking.entry, {"opening": "</think>"}),
    ],
)
def test_what_is_appended_to_a_thinking_does_not_end_it(entry, options):
    assert any("found end_of_think in it" in one for one in said(entry, **options))


def test_a_prompt_without_placeholders_of_its_own_may_not_misspell_the_problem():
    with pytest.raises(ValueError, match=r"did you mean \{problem\}"):
        revision.options(revise="Look at {problm} again.")
