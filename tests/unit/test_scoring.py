"""Scorers that ask models: equal questions, equal answers, each paid for once."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest

from itscale.errors import ContractError
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
from itscale.stages.declared import VERIFICATION
from itscale.stages.problems import write_problems
from itscale.stages.verification import verify_block
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
        return float("fails" not in said.text)

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


def verified(study, name, wanted):
    """Judge completions: their scores by problem and index, and the ledger."""
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
    block, spent = Path(f"{name}.parquet"), Path(f"{name}-spent.parquet")
    write_table(pl.DataFrame([asdict(row) for row in rows], schema=dict(COMPLETIONS)), block, {})
    where = {"problems": Path("problems.parquet"), "completions": block, "model_directories": {}}
    output = {"output": Path(f"{name}-verdicts.parquet"), "ledger": spent}
    verify_block(study, "numbers", "sim", "repeated_sampling", "judge", **where, **output)
    table = pl.read_parquet(output["output"])
    rows = table.select("problem_id", "index", "score").iter_rows()
    return {(problem, index): score for problem, index, score in rows}, pl.read_parquet(spent)


def test_scores_do_not_depend_on_how_completions_are_cut_into_blocks(study):
    texts = list(enumerate(["same", "same", "other", "same", "more", "yet more"]))
    whole, ledger = verified(study, "whole", texts)
    parts = verified(study, "one", texts[:2])[0] | verified(study, "two", texts[2:])[0]
    assert parts == whole
    assert set(whole.values()) == {0.0, 1.0}
    assert ledger["calls"].to_list() == [4, 4]  # of each problem, the different ones
    assert (ledger["by"].unique().to_list(), ledger["start"].to_list()) == (["critic"], [0, 0])


def test_a_score_that_fails_costs_the_others_nothing_and_the_scorer_is_closed_once(study):
    before = Judge.closed
    scores, ledger = verified(study, "block", [(0, "a"), (1, "broken"), (2, "b")])
    assert [index for (_, index), score in scores.items() if score is None] == [1, 1]
    assert ledger["calls"].to_list() == [2, 2]
    assert Judge.closed == before + 1


def test_scores_that_are_tried_again_keep_what_the_others_cost(study):
    _, ledger = verified(study, "block", [(0, "a"), (1, "broken"), (2, "b")])
    place, name = "numbers/sim/repeated_sampling", "p00000-00002_c00000-00003.parquet"
    there = {"block": "completions", "block-verdicts": "verdicts", "block-spent": "ledger"}
    for written, kind in there.items():
        path = Path("results", kind, place, "" if kind == "completions" else "judge", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        Path(f"{written}.parquet").rename(path)
    verdicts = Path("results/verdicts", place, "judge", name)
    identity = VERIFICATION.journalled(read_metadata(verdicts)["fingerprint"])
    assert reopen_failures(Path("results"), Path("manifest.json")).verdicts == 2
    assert not verdicts.exists()
    with ScoreJournal(journal_of(verdicts), identity) as journal:
        assert len(journal.scores) == 4
        paid = [row for _, account in sorted(journal.ledgers.items()) for row in account.rows()]
    assert paid == ledger.select(list(paid[0])).to_dicts()
