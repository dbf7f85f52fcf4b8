"""Scorers that ask models: equal questions, equal answers, each paid for once."""

import asyncio
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import ClassVar

import polars as pl
import pytest

from itscale.curves.spending import read_spending
from itscale.errors import ContractError, EngineError
from itscale.planning.plan import make_plan
from itscale.plugins import Options, VerifierEntry
from itscale.plugins.ingredient import Ingredient
from itscale.plugins.references import ModelLabel
from itscale.running.reopening import reopen_failures
from itscale.sampling.journal import JournalledAnswers, ScoreJournal, journal_of
from itscale.sampling.ledger import Ledger
from itscale.sampling.partners import Partners, SessionScorer
from itscale.sampling.scoring import Answers, ChargedDesk
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.stages.problems import write_problems
from itscale.stages.verification import journalled, verify_block
from itscale.store.parquet import read_metadata, write_table
from itscale.store.schemas import COMPLETIONS
from itscale.study import resolve
from itscale.testing.doubles import Tallied
from itscale.types import Completion, Problem, SamplingParams, Trajectory
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions

PROBLEM = Problem(problem_id="p", messages=({"role": "user", "content": "7?"},), reference="7")
CHAT = [{"role": "user", "content": "Is it right?"}]
PARAMS = SamplingParams(max_tokens=200)


def critic():
    return Tallied(SimulatedEngine(SimulatedOptions(success=0.5)))


def a_desk(answers=None, **engines):
    return ChargedDesk(
        PROBLEM,
        engines,
        model="m",
        scorer="judge",
        stream=(1,),
        answers=answers or Answers(Ledger()),
        knows=lambda trajectory: True,
    )


def test_an_equal_question_is_asked_and_paid_for_once_and_a_key_tells_two_apart():
    engine, answers = critic(), Answers(Ledger())
    desk = a_desk(answers, critic=engine)

    async def ask():
        keys = ["", "", *map(str, range(6))]
        return await asyncio.gather(*(desk.generate(CHAT, PARAMS, by="critic", key=key) for key in keys))

    first, second, *others = asyncio.run(ask())
    assert first == second
    assert len({one.text for one in (first, *others)}) > 1
    assert len(engine.generated) == 7
    account = answers.ledger.accounts["generate", "critic", "judge"]
    assert account.saved_prompt_tokens == 0  # a scorer that asks twice for one trajectory has one question
    assert (account.calls, account.generated_tokens) == (7, sum(one.tokens for one in engine.generated))


def test_what_is_asked_of_nobody_or_of_no_chat_is_refused():
    async def ask(desk, **question):
        await desk.generate(**{"messages": CHAT, "params": PARAMS, "by": "critic", **question})

    with pytest.raises(ContractError, match=r"by: found 'crtic', expected critic"):
        asyncio.run(ask(a_desk(critic=critic()), by="crtic"))
    with pytest.raises(ContractError, match=r"by: found None, expected a label, or an entry with needs"):
        asyncio.run(ask(a_desk(critic=critic()), by=None))
    for messages in ("text", [{"role": "user"}], [{"role": "user", "content": 5}], []):
        with pytest.raises(ContractError, match="each with a role and a content"):
            asyncio.run(ask(a_desk(critic=critic()), messages=messages))


def test_answers_outlive_the_job_that_paid_for_them(tmp_path):
    engine, run = critic(), ("p", 0, 0)

    async def ask(journal):
        desk = a_desk(JournalledAnswers(journal, run), critic=engine)
        said = await desk.generate(CHAT, PARAMS, by="critic")
        return said, await desk.rewards([Trajectory(PROBLEM.question)], by="critic")

    with ScoreJournal(tmp_path / "journal", "block") as journal:
        first, spent = asyncio.run(ask(journal)), journal.ledgers[run].rows()
    with ScoreJournal(tmp_path / "journal", "block") as journal:
        assert asyncio.run(ask(journal)) == first
        assert journal.ledgers[run].rows() == spent
    assert len(engine.generated) == 1
    assert [row["call"] for row in spent] == ["generate", "score"]


class Judge:
    """Scores 1 where the model that it asks gets all steps right."""

    closed = 0

    def __init__(self, options):
        self.judge = options.judge

    async def score(self, trajectories, desk):
        return [await self.ask(trajectory, desk) for trajectory in trajectories]

    async def ask(self, trajectory, desk):
        if trajectory.text == "broken":
            raise ValueError("cannot be judged")
        said = await desk.generate([{"role": "user", "content": trajectory.text}], PARAMS, by=self.judge)
        if trajectory.text in self.beyond:
            raise self.beyond[trajectory.text]
        return float("fails" not in said.text)

    beyond: ClassVar = {}

    async def close(self):
        type(self).closed += 1


class JudgeOptions(Options):
    judge: ModelLabel
    """Model that is asked."""


def test_a_session_pays_for_the_judge_of_its_strategy():
    engine, judge = SimulatedEngine(SimulatedOptions(success=0.5)), critic()
    asked = SessionScorer(scorer=Judge(JudgeOptions(judge="c")), label="j", engines={"c": judge}, stream=(1,))
    unit = Unit(problem_id="p", stop=3)
    one = Session(
        PROBLEM, unit, engine, model="m", stream=(1,), token_limit=200, partners=Partners(scorer=asked)
    )

    async def search():
        made = await one.extend([one.start()] * 3, PARAMS)
        await one.score(made)
        return made

    asyncio.run(search())
    (row,) = (row for row in one.ledger.rows() if row["scorer"] == "j")
    assert (row["call"], row["by"]) == ("generate", "c")
    assert row["generated_tokens"] == sum(made.tokens for made in judge.generated)


def test_what_an_equal_question_would_have_cost_is_known_though_it_is_paid_for_once():
    engine, judge = SimulatedEngine(SimulatedOptions(success=0.5)), critic()

    class OneQuestion(Judge):
        async def ask(self, trajectory, desk):
            return float(bool(await desk.generate(CHAT, PARAMS, by=self.judge)))

    scorer = OneQuestion(JudgeOptions(judge="c"))
    asked = Partners(scorer=SessionScorer(scorer=scorer, label="j", engines={"c": judge}, stream=(1,)))
    unit = Unit(problem_id="p", stop=4)
    one = Session(PROBLEM, unit, engine, model="m", stream=(1,), token_limit=200, partners=asked)

    async def search():
        for _ in range(2):
            await one.score(await one.extend([one.start()] * 2, PARAMS))

    asyncio.run(search())
    (made,) = judge.generated
    account = one.ledger.accounts["generate", "c", "j"]
    assert (account.calls, account.generated_tokens) == (1, made.tokens)
    saved = account.saved_prompt_tokens, account.saved_generated_tokens
    assert saved == (3 * made.prompt_tokens, 3 * made.tokens)  # of four trajectories


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("numbers.jsonl").write_text(
        '{"prompt": "1?", "reference": "1"}\n{"prompt": "2?", "reference": "2"}\n'
    )
    study = resolve(
        {
            "study": "tiny",
            "tasks": {"numbers": {"plugin": "jsonl", "file": "numbers.jsonl"}},
            "models": {"sim": {"plugin": "simulated"}, "critic": {"plugin": "simulated", "success": 0.5}},
            "strategies": {"repeated_sampling": {"completions": 4}},
            "verifiers": {"judge": {"plugin": "logprob"}},
            "max_failures": 1.0,
        }
    )
    about = {"name": "judge", "summary": "Judges."}
    entry = VerifierEntry(**about, factory=Judge, options=JudgeOptions, role="scorer")
    study.scorers["judge"] = Ingredient("judge", entry, JudgeOptions(judge="critic"), "tests", "1")
    write_problems(study, "numbers", Path("problems.parquet"))
    return study


def test_a_job_starts_the_models_that_its_scorer_names_and_its_params_hold_them(study, tmp_path):
    plan = make_plan(study, tmp_path)
    place = {"task": "numbers", "model": "sim", "strategy": "repeated_sampling", "block": "b"}
    judging = SimpleNamespace(**place, verifier="judge")
    assert plan.models_of(judging) == ["critic"]
    assert plan.models_of(SimpleNamespace(**place, verifier=study.verifiers_of("numbers")[0])) == []
    asked = plan.depends("verification", judging)["verifier"]["models"]
    assert asked == {"critic": study.models["critic"].fingerprint()}


def verified(study, name, wanted, paths=None, footer=None):
    """Judge completions: scores and asked tokens by problem and index, and the ledger."""
    rows = [
        Completion(
            problem_id=problem,
            index=index,
            text=text,
            finish_reason="eos",
            prompt_tokens=2,
            generated_tokens=3,
            step_ends=[len(text)],
            step_tokens=[3],
            step_logprobs=[-1.0],
            step_scores=[None],
            nodes=[index + 1],
        )
        for problem in ("0", "1")
        for index, text in wanted
    ]
    names = (name, f"{name}-verdicts", f"{name}-spent")
    block, judged, spent = paths or (Path(f"{name}.parquet") for name in names)
    write_table(pl.DataFrame([asdict(row) for row in rows], schema=dict(COMPLETIONS)), block, footer or {})
    where = {"problems": Path("problems.parquet"), "completions": block, "model_directories": {}}
    output = {"output": judged, "ledger": spent}
    verify_block(study, "numbers", "sim", "repeated_sampling", "judge", **where, **output)
    table = pl.read_parquet(output["output"])
    tokens = pl.element().struct["prompt_tokens"] + pl.element().struct["generated_tokens"]
    asked = pl.col("asked").list.eval(tokens).list.sum()
    rows = table.select("problem_id", "index", "score", asked).iter_rows()
    return {(problem, index): tuple(said) for problem, index, *said in rows}, pl.read_parquet(spent)


def test_scores_and_their_costs_do_not_depend_on_how_completions_are_cut_into_blocks(study):
    texts = list(enumerate(["same", "same", "other", "same", "more", "yet more"]))
    whole, ledger = verified(study, "whole", texts)
    (one, first), (two, second) = verified(study, "one", texts[:2]), verified(study, "two", texts[2:])
    assert one | two == whole
    assert {score for score, _ in whole.values()} == {0.0, 1.0}
    assert ledger["calls"].to_list() == [4, 4]  # of each problem, the different ones
    assert (ledger["by"].unique().to_list(), ledger["start"].to_list()) == (["critic"], [0, 0])
    tokens = pl.col("prompt_tokens") + pl.col("generated_tokens")
    asked = sum(tokens for _, tokens in whole.values())
    paid = [spent.select(tokens.sum()).item() for spent in (ledger, pl.concat([first, second]))]
    assert paid[0] < paid[1] < asked
    cuts = [("whole",), ("one", "two")]
    costs = [read_spending([], {"judge": [Path(f"{name}-verdicts.parquet") for name in cut]}) for cut in cuts]
    by_problem = [
        cost.group_by("problem_id").agg(pl.col("scorer").sum()).sort("problem_id") for cost in costs
    ]
    assert by_problem[0].equals(by_problem[1])


def test_a_score_that_fails_costs_the_others_nothing_and_the_scorer_is_closed_once(study):
    before = Judge.closed
    scores, ledger = verified(study, "block", [(0, "a"), (1, "broken"), (2, "b")])
    assert [index for (_, index), (score, _) in scores.items() if score is None] == [1, 1]
    assert ledger["calls"].to_list() == [2, 2]
    assert Judge.closed == before + 1


def test_only_what_failed_is_asked_again_and_everything_is_in_the_ledger(study, monkeypatch):
    """An answer that is of no use is asked for again; not so one that was there before an engine failed."""
    engines = []

    def counted(options, **_):
        engines.append(Tallied(SimulatedEngine(options)))
        return engines[-1]

    asked = study.models["critic"]
    study.models["critic"] = replace(asked, entry=replace(asked.entry, factory=counted))
    place, block = Path("numbers/sim/repeated_sampling"), "p00000-00002_c00000-00004.parquet"
    folders = (
        Path("completions") / place,
        Path("verdicts") / place / "judge",
        Path("ledger") / place / "judge",
    )
    paths = [Path("results") / folder / block for folder in folders]
    texts = list(enumerate(["a", "unreadable", "unreachable", "b"]))
    faults = {
        "unreadable": ValueError("neither yes nor no"),
        "unreachable": EngineError("the second judge is gone"),
    }
    monkeypatch.setattr(Judge, "beyond", faults)
    before, _ = verified(study, "", texts, paths)
    assert {index for (_, index), (score, _) in before.items() if score is None} == {1, 2}
    monkeypatch.setattr(Judge, "beyond", {})
    assert reopen_failures(Path("results"), Path("manifest.json"), only_count=True).verdicts == 4
    assert reopen_failures(Path("results"), Path("manifest.json")).verdicts == 4
    assert not paths[1].exists()
    after, ledger = verified(study, "", texts, paths)
    assert None not in {score for score, _ in after.values()}
    assert {name: tokens for name, (_, tokens) in after.items()} == {
        name: tokens for name, (_, tokens) in before.items()
    }
    first, second = (engine.generated for engine in engines)
    assert (len(first), len(second)) == (8, 2)
    spent = dict(ledger.group_by("failed").agg(pl.col("generated_tokens").sum()).iter_rows())
    assert spent[False] + spent[True] == sum(one.tokens for one in first + second)
    assert spent[True] == sum(one.tokens for one in second)  # what was of no use cost as much
    assert not journal_of(paths[1]).exists()


def test_scores_are_put_back_where_the_journal_is_gone(study):
    place, block = Path("numbers/sim/repeated_sampling"), "p00000-00002_c00000-00003.parquet"
    folders = (
        Path("completions") / place,
        Path("verdicts") / place / "judge",
        Path("ledger") / place / "judge",
    )
    paths = [Path("results") / folder / block for folder in folders]
    scores, ledger = verified(study, "", [(0, "a"), (1, "broken"), (2, "b")], paths)
    identity = journalled(read_metadata(paths[1])["fingerprint"], paths[0])
    journal_of(paths[1]).unlink()
    assert reopen_failures(Path("results"), Path("manifest.json")).verdicts == 2
    with ScoreJournal(journal_of(paths[1]), identity) as journal:
        kept = {name[::3][:2]: score for name, (score, _) in journal.scores.items()}
        assert kept == {name: score for name, (score, _) in scores.items() if score is not None}
        paid = [row for _, account in sorted(journal.ledgers.items()) for row in account.rows()]
    assert paid == ledger.select(list(paid[0])).to_dicts()


def test_nothing_of_a_journal_is_charged_to_completions_that_are_made_otherwise(study, monkeypatch):
    place, block = Path("numbers/sim/repeated_sampling"), "p00000-00002_c00000-00002.parquet"
    folders = (
        Path("completions") / place,
        Path("verdicts") / place / "judge",
        Path("ledger") / place / "judge",
    )
    paths = [Path("results") / folder / block for folder in folders]
    texts = [(0, "a"), (1, "unreadable")]
    monkeypatch.setattr(Judge, "beyond", {"unreadable": ValueError("neither yes nor no")})
    _, before = verified(study, "", texts, paths)
    assert journal_of(paths[1]).exists()
    monkeypatch.setattr(Judge, "beyond", {})
    _, after = verified(study, "", texts, paths, {"fingerprint": {"temperature": 2}})
    assert (before["calls"].sum(), after["calls"].sum()) == (4, 4)
    assert not after["failed"].any()
