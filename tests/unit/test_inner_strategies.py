"""Strategies that draw completions from others: checked before a study runs, and drawn within one session."""

import json
from collections import Counter
from pathlib import Path
from typing import Any, ClassVar

import pytest

from itscale.messages.mistakes import MistakesError
from itscale.plugins import StrategyEntry
from itscale.plugins.entries import KINDS
from itscale.plugins.references import StrategyLabel
from itscale.plugins.registry import Registry, registry
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.blocks import Block
from itscale.sampling.session import Session
from itscale.stages.problems import write_problems
from itscale.stages.sampling import sample_block
from itscale.store.parquet import read_metadata, read_table
from itscale.store.schemas import COMPLETIONS, LEDGER, TREES
from itscale.study import resolve
from itscale.testing import StrategyContract, registry_of
from itscale.types import Completion, Question
from itscale_builtin.strategies._drawing import DrawingOptions, draw


async def vote(problem: Question, session: Session, options: DrawingOptions) -> list[Completion]:
    """Hand in one of three completions whose answer most of them have."""
    drawn = await draw(session, options, 3)
    (most, _), *_ = Counter(map(session.answer, drawn)).most_common(1)
    return session.complete([next(one for one in drawn if session.answer(one) == most)])


async def twice(problem: Question, session: Session, options: SamplingOptions) -> list[Completion]:
    """Answer, and answer again with the first answer in the chat: one conversation."""
    first = await session.write(None, options.completion())
    chat = [*problem.messages, {"role": "assistant", "content": first.text}]
    chat.append({"role": "user", "content": "Again."})
    return session.complete([await session.write(chat, options.completion(), reads=[first])])


async def greedy(problem: Question, session: Session, options: SamplingOptions) -> list[Completion]:
    """Hand in two completions where one was asked for."""
    return session.complete(await session.extend([session.start()] * 2, options.completion()))


VOTE = StrategyEntry(
    name="vote_of_three",
    factory=vote,
    options=DrawingOptions,
    draws="exchangeable",
    per="completion",
    worth=lambda options: 3 * options.max_tokens,
    summary="A vote of three.",
)
TWICE = StrategyEntry(
    name="twice",
    factory=twice,
    options=SamplingOptions,
    draws="exchangeable",
    per="completion",
    worth=lambda options: 2 * options.max_tokens,
    summary="A second answer.",
)
GREEDY = StrategyEntry(
    name="greedy_pair", factory=greedy, draws="exchangeable", options=SamplingOptions, summary="Two."
)


class TestVoteOfInner(StrategyContract):
    entry = VOTE
    options: ClassVar = {"inner": "twice"}
    inner: ClassVar = {"twice": TWICE}


class TestVoteAlone(StrategyContract):
    entry = VOTE


class PoolOptions(SamplingOptions):
    """Options of a strategy that draws a pool at once."""

    inner: StrategyLabel | None = None
    """Label of what it draws from."""


POOL = StrategyEntry(
    name="whole_pool", factory=vote, options=PoolOptions, draws="exchangeable", summary="A pool at once."
)


def plugins() -> Registry:
    own = registry_of({"own": [VOTE, TWICE, GREEDY, POOL]})
    known = {kind: registry().plugins(kind) for kind in KINDS}
    entries = [plugin.entry for found in known.values() for plugin in found]
    return registry_of({"itscale": entries, "own": [one.entry for one in own.plugins("strategies")]})


def study(**strategies: Any) -> dict[str, Any]:
    return {
        "study": "composed",
        "tasks": {"sums": {"plugin": "jsonl", "file": "problems.jsonl"}},
        "models": {"toy": {"plugin": "simulated", "success": 0.5}},
        "strategies": strategies,
    }


def mistakes(**strategies: Any) -> dict[str, str]:
    with pytest.raises(MistakesError) as caught:
        resolve(study(**strategies), plugins())
    return {".".join(map(str, one.place)): one.message for one in caught.value.mistakes}


OUTER = {"plugin": "vote_of_three", "completions": 2}


def test_an_inner_strategy_is_checked_before_the_study_runs() -> None:
    found = mistakes(vote={**OUTER, "inner": "twise"}, twice={"completions": 1})
    assert found["strategies.vote.inner"] == "no strategy 'twise'; did you mean 'twice'?"
    found = mistakes(vote={**OUTER, "inner": "vote"})
    assert "draws from another itself" in found["strategies.vote.inner"]
    search = {"plugin": "beam_search", "budgets": [4], "scorer": "logprob"}
    found = mistakes(vote={**OUTER, "inner": "search"}, search=search)
    assert "expected an exchangeable strategy" in found["strategies.vote.inner"]
    pool = {"plugin": "whole_pool", "completions": 2, "inner": "twice"}
    found = mistakes(pool=pool, twice={"helper": True})
    assert "draws a pool at once" in found["strategies.pool.inner"]


def test_a_helper_strategy_is_named_and_has_no_extent() -> None:
    found = mistakes(vote=OUTER, twice={"helper": True})
    assert found["strategies.twice.helper"] == "found true, but no strategy draws from this one"
    found = mistakes(vote={**OUTER, "inner": "twice"}, twice={"helper": True, "completions": 3})
    assert found["strategies.twice.completions"].startswith("found 3, but a helper is not run by itself")


def test_a_helper_strategy_is_in_the_fingerprint_and_in_no_curve() -> None:
    def of(tokens: int) -> Any:
        inner = {"helper": True, "max_tokens": tokens}
        return resolve(study(vote={**OUTER, "inner": "twice"}, twice=inner), plugins())

    assert list(of(100).strategies) == ["vote"]
    assert of(100).sampling_fingerprint("toy", "vote") != of(200).sampling_fingerprint("toy", "vote")


def sample(tmp_path: Path, **strategies: Any) -> dict[str, Any]:
    rows = [{"prompt": f"What is {n} + 1?", "reference": str(n + 1)} for n in range(3)]
    Path("problems.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = resolve(study(**strategies), plugins())
    write_problems(found, "sums", tmp_path / "problems.parquet")
    files = {kind: tmp_path / f"{kind}.parquet" for kind in ("completions", "ledger", "trees")}
    block = Block.parse("p00000-00003_c00000-00002")
    labels = "sums", "toy", "vote", block
    sample_block(found, *labels, problems=tmp_path / "problems.parquet", model_directories={}, **files)
    return files


def test_what_an_inner_strategy_makes_is_charged_and_in_the_tree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    files = sample(tmp_path, vote={**OUTER, "inner": "twice"}, twice={"helper": True})
    made = read_table(files["completions"], COMPLETIONS)
    assert len(made) == 6
    ledger = read_table(files["ledger"], LEDGER)
    assert ledger["calls"].sum() == 6 * 3 * 2  # completions, of three, in two calls each
    tree = read_table(files["trees"], TREES)
    assert tree["generated_tokens"].sum() == ledger["generated_tokens"].sum()
    assert not read_metadata(files["completions"]).get("failures")


def test_an_inner_strategy_that_hands_in_two_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    inner = {"plugin": "greedy_pair", "helper": True}
    with pytest.raises(Exception, match=r"strategies/greedy_pair \(label 'pair'\).*completions: found"):
        sample(tmp_path, vote={**OUTER, "inner": "pair"}, pair=inner)


def test_an_inner_strategy_ends_where_its_own_options_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its `max_tokens` ends a text, `length`; the longer ones of the outer strategy do not."""
    monkeypatch.chdir(tmp_path)
    files = sample(tmp_path, vote={**OUTER, "inner": "twice"}, twice={"helper": True, "max_tokens": 2})
    made = read_table(files["completions"], COMPLETIONS)
    assert set(made["finish_reason"]) == {"length"}
    assert set(made["generated_tokens"]) == {2}
