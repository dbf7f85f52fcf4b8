"""Prompts: templates of plugins, filled once and replaced by options."""

from typing import Annotated

import pytest
from pydantic import ValidationError

from itscale.plugins import Options
from itscale.plugins.prompts import fill, fills


class CritiqueOptions(Options):
    prompt: Annotated[str, fills("draft", "problem")] = "{problem}\n\n{draft}"
    """What the critic is asked."""


def test_placeholders_in_what_a_model_wrote_stay() -> None:
    assert fill("{draft} of {problem}", draft="{problem}", problem="p") == "{problem} of p"


def test_other_braces_are_left_alone() -> None:
    assert fill(r"\frac{a}{b} {draft} {\text{x}}", draft="d") == r"\frac{a}{b} d {\text{x}}"


def test_a_template_that_would_not_show_the_draft_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"found no \{draft\}, expected each placeholder"):
        CritiqueOptions(prompt="What is wrong with {problem}?")
    assert CritiqueOptions(prompt="{draft}{problem}{draft}").prompt == "{draft}{problem}{draft}"


@pytest.mark.parametrize("misspelt", ["{problm}", "{Draft}", "{drafts}"])
def test_what_is_nearly_a_placeholder_is_a_mistake(misspelt: str) -> None:
    with pytest.raises(ValidationError, match=r"did you mean \{(problem|draft)\}"):
        CritiqueOptions(prompt=f"{{draft}} {{problem}} {misspelt}")
    assert CritiqueOptions(prompt=r"{draft} {problem} \frac{a}{b} {x}").prompt
