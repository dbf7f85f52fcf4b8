"""What strategies need and cost, as `itscale plugins` says: read off their entries."""

import pytest
from typer.testing import CliRunner

from itscale.cli import app
from itscale.plugins import StrategyEntry, registry
from itscale.plugins.demands import costs, may_name, needs
from itscale.plugins.references import ModelLabel, ScorerLabel, StrategyLabel
from itscale.plugins.strategies import SamplingOptions


class Naming(SamplingOptions):
    judge: ScorerLabel
    """d"""
    writers: tuple[ModelLabel, ...]
    """d"""
    critic: ModelLabel | None = None
    """d"""
    inner: tuple[StrategyLabel, ...] = ()
    """d"""


def strategy(**more):
    given = {"options": SamplingOptions, "draws": "exchangeable", "summary": "s", "name": "made"}
    return StrategyEntry(factory=lambda problem, session, options: None, **given | more)


def said(width, *arguments):
    return CliRunner().invoke(app, ["plugins", *arguments], env={"COLUMNS": str(width)}).stdout


def test_what_options_must_and_may_name_is_told_apart():
    made = strategy(
        options=Naming,
        needs=frozenset({"generate", "next_logprobs", "continue"}),
        asks=frozenset({"generate", "embed"}),
        design="adaptive",
        asks_oracle=True,
    )
    assert needs(made) == [
        "continuation",
        "log-probabilities of the next token",
        "several models",
        "a scorer (reward model)",
        "embeddings of other models, too",
        "the oracle",
    ]
    assert may_name(made) == ["another model (critic)", "other strategies (inner)"]
    assert needs(strategy()) == may_name(strategy()) == []


def test_costs_are_multiples_of_max_tokens():
    run = {"draws": "runs", "axis": "rounds"}
    assert costs(strategy()) == "1 x max_tokens (512 tokens) a completion"
    assert costs(strategy(options=Naming, worth=lambda options: 5 * options.max_tokens // 2)) == (
        "2.5 x max_tokens (1,280 tokens) a completion"
    )
    granted = {"grant": lambda options, budget: budget * 512, "hands_in": lambda options, budget: 1}
    assert costs(strategy(**run, **granted)) == (
        "16 x max_tokens (8,192 tokens) a run at budget 16; budgets count rounds"
    )


def test_what_cannot_be_said_of_options_nobody_chose_is_not_said():
    def fails(options):
        return options.layers[0]

    assert costs(strategy(worth=fails)) == "as its options say"


@pytest.mark.parametrize("width", [80, 120])
def test_the_list_has_every_strategy_under_its_family_within_the_width(width):
    lines = said(width, "list", "strategies").splitlines()
    assert max(map(len, lines)) <= width
    under = {}
    for line in lines:
        if line and line == line.split(" ")[0].strip() and line in ("parallel", "search", "sequential"):
            family = line
        elif line and line[0] != " ":
            under[line.split()[0]] = family if " " in line else ""
    assert (under["repeated_sampling"], under["beam_search"]) == ("parallel", "search")
    text = "\n".join(lines)
    assert all(f"\n{plugin.entry.name} " in text for plugin in registry().plugins("strategies"))


def test_show_says_the_same_and_shortens_prompts():
    text = said(400, "show", "self_refine")
    assert "family       sequential" in text
    assert "7 x max_tokens (3,584 tokens) a completion" in text
    assert "(161 characters)" in text
