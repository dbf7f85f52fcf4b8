"""Embeddings: who may ask for them, and who pays."""

import asyncio

import pytest

from itscale.boundary import CheckedEngine, Place
from itscale.errors import ContractError
from itscale.sampling.ledger import Ledger
from itscale.sampling.partners import Partners
from itscale.sampling.scoring import Answers, ChargedDesk
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.types import Problem
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions

PROBLEM = Problem(problem_id="p", messages=({"role": "user", "content": "7?"},), reference="7")
TEXTS = ["one text", "another", "one text"]


def engine():
    return CheckedEngine(SimulatedEngine(SimulatedOptions()), Place("engines", "simulated"))


def deaf():
    """An engine that embeds nothing."""
    made = SimulatedEngine(SimulatedOptions())
    made.offers -= {"embed"}
    return CheckedEngine(made, Place("engines", "simulated"))


def session(**helpers):
    unit = Unit(problem_id="p", stop=1)
    return Session(
        PROBLEM, unit, engine(), model="m", stream=(1,), token_limit=9, partners=Partners(helpers=helpers)
    )


def test_a_strategy_compares_texts_and_pays_for_what_is_read():
    one = session(embedder=engine())
    first, other, again = asyncio.run(one.embed(TEXTS, by="embedder"))
    assert first == again != other
    assert len(first.vector) == len(other.vector)
    (row,) = one.ledger.rows()
    assert (row["call"], row["by"], row["sequences"]) == ("embed", "embedder", 3)
    assert (row["prompt_tokens"], row["generated_tokens"]) == (5, 0)


def test_what_embeds_nothing_and_what_is_no_text_is_refused():
    one = session(embedder=deaf())
    with pytest.raises(ContractError, match="expected one that offers embed: declare it in asks"):
        asyncio.run(one.embed(TEXTS, by="embedder"))
    for texts in ("text", [5], ["\ud800"]):
        with pytest.raises(ContractError, match="expected a list of texts"):
            asyncio.run(one.embed(texts))


def test_a_scorer_pays_for_an_embedding_once():
    ledger, known = Ledger(), {}
    desk = ChargedDesk(
        PROBLEM,
        {"embedder": engine()},
        model="m",
        scorer="s",
        stream=(0,),
        answers=Answers(ledger, known),
        knows=lambda trajectory: True,
    )
    first = asyncio.run(desk.embed(TEXTS, by="embedder"))
    assert asyncio.run(desk.embed(TEXTS[:2], by="embedder")) == first[:2]
    account = ledger.accounts["embed", "embedder", "s"]
    assert (account.sequences, account.prompt_tokens) == (2, 3)
    with pytest.raises(ContractError, match="expected a list of texts"):
        asyncio.run(desk.embed("text", by="embedder"))
