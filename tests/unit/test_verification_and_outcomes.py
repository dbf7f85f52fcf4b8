"""From completions to outcomes: nothing judged twice, nothing scored twice, nothing lost or made up."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from shutil import copyfile
from typing import Any

import polars as pl
import pytest

from itscale.errors import DataError, TooManyFailuresError
from itscale.sampling.blocks import Block
from itscale.sampling.failures import Failure
from itscale.sampling.units import Unit
from itscale.stages.failures import gather_failures, unparsable
from itscale.stages.judging import judge
from itscale.stages.outcomes import _batches, gather_outcomes
from itscale.stages.problems import write_problems
from itscale.stages.verification import read_completions, verify_block
from itscale.store.parquet import payload_hash, read_metadata, read_table, write_table
from itscale.store.schemas import COMPLETIONS, MISSING, OUTCOMES, VERDICTS
from itscale.study import Ingredient, Study, resolve
from itscale.types import Completion, Problem, Verdict

BLOCK = "p00000-00002_c00000-00004"
TEXTS = [["The answer is 0", "\\boxed{\\frac{0}{2}}", "no idea"], ["The answer is 7", "7.0", "is it 1?"]]


def completion(problem: int, index: int, text: str, **more: Any) -> Completion:
    facts = {
        "problem_id": str(problem),
        "index": index,
        "text": text,
        "finish_reason": "eos",
        "prompt_tokens": 5,
        "generated_tokens": 3,
        "logprob": -3.0,
        "step_ends": [len(text)],
        "step_tokens": [3],
        "step_logprobs": [-3.0],
        "step_scores": [None],
        "step_confidences": [None],
        "nodes": [index + 1],
    }
    return Completion(**{**facts, **more})


POOL = [completion(p, i, text) for p, texts in enumerate(TEXTS) for i, text in enumerate(texts)]


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Study:
    monkeypatch.chdir(tmp_path)
    Path("numbers.jsonl").write_text("".join(f'{{"prompt": "{n}?", "reference": "{n}"}}\n' for n in range(2)))
    study = resolve(
        {
            "study": "tiny",
            "tasks": {"numbers": {"plugin": "jsonl", "file": "numbers.jsonl", "oracle": "math"}},
            "models": {"sim": {"plugin": "simulated"}},
            "strategies": {
                "repeated_sampling": {"completions": 3},
                "particle_filter": {"budgets": [2], "scorer": "reward"},
            },
            "verifiers": {"reward": {"plugin": "process_reward"}, "confidence": {"plugin": "logprob"}},
        }
    )
    write_problems(study, "numbers", Path("problems.parquet"))
    return study


def store(completions: Sequence[Completion], name: str = "block", simulated: bool = True) -> Path:
    frame = pl.DataFrame([asdict(one) for one in completions], schema=dict(COMPLETIONS))
    write_table(frame, Path(f"{name}.parquet"), {"simulated": simulated})
    return Path(f"{name}.parquet")


def verdicts(study: Study, verifier: str, completions: Path, strategy: str = "repeated_sampling") -> Path:
    output = Path("verdicts") / verifier / completions.name
    verify_block(
        study,
        "numbers",
        "sim",
        strategy,
        verifier,
        problems=Path("problems.parquet"),
        completions=completions,
        model_directories={},
        output=output,
        ledger=Path("ledger") / verifier / completions.name,
    )
    return output


def gather(study: Study, blocks: Sequence[Path], judged: dict[str, list[Path]]) -> pl.DataFrame:
    gather_outcomes(
        study,
        "numbers",
        "sim",
        "repeated_sampling",
        problems=Path("problems.parquet"),
        completions=blocks,
        verdicts=judged,
        output=Path("outcomes.parquet"),
    )
    return read_table(Path("outcomes.parquet"), OUTCOMES)


def all_verdicts(study: Study, blocks: Sequence[Path]) -> dict[str, list[Path]]:
    labels = ("math", "reward", "confidence")
    return {label: [verdicts(study, label, block) for block in blocks] for label in labels}


def test_completions_survive_the_file(study: Study) -> None:
    assert [asdict(one) for one in read_completions(store(POOL))] == [asdict(one) for one in POOL]


class Counting:
    def __init__(self, verdicts: int | None = None) -> None:
        self.asked: list[str] = []
        self.verdicts = verdicts

    def answer(self, problem: Problem, text: str) -> str | None:
        return text.strip() or None

    def judge(self, problem: Problem, answers: Sequence[str]) -> list[Verdict]:
        self.asked += answers
        return [Verdict(correct=answer == problem.reference) for answer in answers][: self.verdicts]


def test_each_distinct_answer_is_judged_once() -> None:
    oracle = Counting()
    problem = Problem(problem_id="p", messages=(), reference="a")
    judged = judge(oracle, problem, ["a", "b", " ", "a ", "b"])
    assert oracle.asked == ["a", "b"]
    assert [(answer, verdict.correct) for answer, verdict in judged] == [
        ("a", True),
        ("b", False),
        (None, False),
        ("a", True),
        ("b", False),
    ]
    assert judged[2][1].status == "unparsable"
    with pytest.raises(DataError, match=r"judge\(\): found 1 verdicts for 2 answers"):
        judge(Counting(verdicts=1), problem, ["a", "b"])


def test_an_oracle_says_right_wrong_or_no_answer(study: Study) -> None:
    table = read_table(verdicts(study, "math", store(POOL)), VERDICTS)
    assert table["correct"].to_list() == [True, True, False, False, False, True]
    assert table["status"].to_list() == ["judged", "judged", "unparsable", "judged", "judged", "judged"]
    assert table["answer"].null_count() == 1
    assert table["score"].null_count() == len(table)


def test_a_scorer_gives_every_completion_a_score(study: Study) -> None:
    table = read_table(verdicts(study, "confidence", store(POOL)), VERDICTS)
    assert table["score"].to_list() == pytest.approx([2.718281828**-1] * len(POOL))
    assert table["correct"].null_count() == len(table)


def test_what_the_strategy_scored_is_not_scored_again(study: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    block = store([replace(one, step_scores=[0.125]) for one in POOL])

    def forbidden(*arguments: Any, **options: Any) -> None:
        raise AssertionError("an engine was started")

    engine = study.models["sim"]
    silent = Ingredient(
        "sim", replace(engine.entry, factory=forbidden), engine.options, engine.distribution, engine.version
    )
    monkeypatch.setitem(study.models, "sim", silent)  # type: ignore[arg-type]
    table = read_table(verdicts(study, "reward", block, "particle_filter"), VERDICTS)
    assert table["score"].to_list() == [0.125] * len(POOL)
    with pytest.raises(
        AssertionError, match="an engine was started"
    ):  # another strategy's scores are not these
        verdicts(study, "reward", block, "repeated_sampling")


def test_only_what_the_strategy_left_unscored_is_scored(study: Study) -> None:
    block = store([replace(POOL[0], step_scores=[0.125]), POOL[1]])
    recorded, fresh = read_table(verdicts(study, "reward", block, "particle_filter"), VERDICTS)["score"]
    assert recorded == 0.125
    assert fresh == pytest.approx(0.8)  # the simulated reward of a text without a flaw


class Failing:
    """An oracle and a scorer that fail on texts with a word in them; counts the texts it is asked about."""

    def __init__(self, word: str, inner: Any = None) -> None:
        self.word = word
        self.inner = inner
        self.asked: list[str] = []

    def answer(self, problem: Problem, text: str) -> str | None:
        return text or None

    def classes(self, answers: Sequence[str]) -> list[str]:
        return list(answers)

    def judge(self, problem: Problem, answers: Sequence[str]) -> list[Verdict]:
        if any(self.word in answer for answer in answers):
            raise ValueError("cannot\njudge")
        return [Verdict(correct=answer == problem.reference) for answer in answers]

    async def score(self, trajectories: Sequence[Any], engine: Any) -> list[float]:
        self.asked += [trajectory.text for trajectory in trajectories]
        if any(self.word in trajectory.text for trajectory in trajectories):
            raise ValueError("cannot\nscore")
        return [0.25 for _ in trajectories]


def with_verifier(study: Study, label: str, plugin: Any, **config: Any) -> Study:
    def swapped(found: Any) -> Any:
        entry = replace(found.entry, factory=lambda options: plugin, needs=frozenset())
        return replace(found, entry=entry)

    parts = {
        "oracles": {task: swapped(one) if one.label == label else one for task, one in study.oracles.items()},
        "scorers": {name: swapped(one) if name == label else one for name, one in study.scorers.items()},
    }
    return replace(study, config=study.config.model_copy(update=config), **parts)


def test_an_oracle_that_fails_leaves_the_answers_it_fails_on_not_judged(study: Study) -> None:
    broken = with_verifier(study, "math", Failing("is 0"))
    block = store([*POOL, completion(1, 3, "1"), completion(1, 4, "")])
    table = read_table(verdicts(broken, "math", block), VERDICTS)
    assert table["status"].to_list() == ["error", *["judged"] * 6, "unparsable"]
    assert table["correct"].to_list() == [False] * 6 + [True, False]
    assert table["detail"][0].startswith("ValueError: cannot judge (test_verification")


class Unable(Failing):
    """An oracle that says itself that it could not judge."""

    def judge(self, problem: Problem, answers: Sequence[str]) -> list[Verdict]:
        lost = Verdict(correct=False, status="error", detail="no toolchain")
        return [lost if problem.problem_id == "1" else Verdict(correct=True) for _ in answers]


def test_verdicts_that_say_that_they_are_none_end_no_study(study: Study) -> None:
    """They may be about what a model wrote, which must not end one; what an oracle raises may."""
    block = store(POOL)
    unable = with_verifier(study, "math", Unable("nowhere"), max_failures=0)
    table = read_table(verdicts(unable, "math", block), VERDICTS)
    assert table["status"].to_list() == ["judged"] * 3 + ["error"] * 3


def test_answers_that_were_not_found_are_counted_and_their_share_is_said(study: Study) -> None:
    block = store([*POOL, completion(1, 3, "")])
    judged = verdicts(study, "math", block)
    place = Path("numbers/sim/repeated_sampling")
    for made, kept in ((block, place / f"{BLOCK}.parquet"), (judged, place / "math" / f"{BLOCK}.parquet")):
        kept.parent.mkdir(parents=True, exist_ok=True)
        copyfile(made, kept)
    gather_failures(
        study,
        completions=[place / f"{BLOCK}.parquet"],
        verdicts=[place / "math" / f"{BLOCK}.parquet"],
        outcomes=[],
        failures=Path("failures.parquet"),
        missing=Path("missing.parquet"),
        csv=Path("failures.csv"),
    )
    lost = read_table(judged, VERDICTS)["status"].to_list().count("unparsable")
    missing = read_table(Path("missing.parquet"), MISSING)
    assert missing["unparsable"].to_list() == [lost]
    assert lost > 0
    assert unparsable(missing) == [
        f"numbers/sim/repeated_sampling: no answer was found in {lost} of 7 completions "
        f"({100 * lost / 7:.2f} %); they count as wrong"
    ]
    assert unparsable(missing.with_columns(unparsable=pl.lit(0))) == []
    assert unparsable(missing.with_columns(unparsable=pl.lit(0), unreadable=pl.lit(1200))) == [
        "numbers/sim/repeated_sampling: 1,200 replies were not what the strategy had asked for"
    ]


def test_a_scorer_that_fails_leaves_no_score_but_its_reason_and_is_not_paid_twice(study: Study) -> None:
    scorer = Failing("is 7")
    broken = with_verifier(study, "confidence", scorer)
    block = store(POOL)
    table = read_table(verdicts(broken, "confidence", block), VERDICTS)
    assert table["score"].to_list() == [0.25, 0.25, 0.25, None, 0.25, 0.25]
    assert table["status"].to_list() == ["judged"] * 3 + ["error"] + ["judged"] * 2
    assert table["correct"].null_count() == 6
    assert gather(study, [block], all_verdicts(broken, [block]))["score_confidence"].equals(table["score"])


def test_scores_of_a_job_that_ended_are_not_asked_for_again(study: Study) -> None:
    scorer, block = Failing("7"), store(POOL)
    with pytest.raises(TooManyFailuresError, match="problem '1': ValueError: cannot score") as caught:
        verdicts(with_verifier(study, "confidence", scorer, max_failures=0), "confidence", block)
    assert str(caught.value).startswith(
        "numbers/sim/repeated_sampling: verifiers.confidence: 1 of 2 problems failed"
    )
    assert sorted(set(scorer.asked[:3])) == sorted(TEXTS[0])
    mended = Failing("nowhere")
    table = read_table(verdicts(with_verifier(study, "confidence", mended), "confidence", block), VERDICTS)
    assert table["score"].to_list() == [0.25] * 6
    assert not set(mended.asked) & set(TEXTS[0])
    assert not list(Path("verdicts/confidence").glob(".*.journal"))


def test_answers_that_cannot_be_compared_stand_for_themselves(study: Study) -> None:
    block = store(POOL)
    judged = all_verdicts(study, [block])
    math = study.oracles["numbers"].entry.factory(study.oracles["numbers"].options)

    class Incomparable(Failing):
        def classes(self, answers: Sequence[str]) -> list[str]:
            if "7" in answers:
                raise ArithmeticError("7 is too much")
            return list(math.classes(answers))

    table = gather(with_verifier(study, "math", Incomparable("nowhere")), [block], judged)
    assert table["status"].to_list() == ["judged", "judged", "unparsable", *["unclassified"] * 3]
    assert table["answer"].n_unique() == 1 + 1 + 3
    assert table["correct"].to_list() == [True, True, False, False, False, True]


def test_failures_over_all_blocks_are_counted_against_the_bound(study: Study) -> None:
    paths = []
    for start in range(2):
        unit = Unit(problem_id="0", start=start, stop=start + 1)
        name = Block(0, 0, 2, start, start + 1).name
        frame = pl.DataFrame([asdict(completion(1, start, "1"))], schema=dict(COMPLETIONS))
        write_table(frame, Path(f"{name}.parquet"), {"failures": [Failure(unit, "too long").record()]})
        paths.append(Path(f"{name}.parquet"))
    judged = all_verdicts(study, paths)
    with pytest.raises(
        TooManyFailuresError, match=r"2 of 4 units failed.*'0': too long \(and 1 more\).*--retry-failures"
    ):
        gather(study, paths, judged)
    bold = replace(study, config=study.config.model_copy(update={"max_failures": 0.5}))
    assert gather(bold, paths, judged)["problem_id"].to_list() == ["1", "1"]


def test_outcomes_join_blocks_in_one_order(study: Study) -> None:
    one, two = store(POOL[:2] + POOL[3:5], "one"), store([POOL[2], POOL[5]], "two")
    table = gather(study, [two, one], all_verdicts(study, [two, one]))
    assert table.select("problem_id", "index").rows() == [(str(p), i) for p in range(2) for i in range(3)]
    answers = table["answer"].to_list()
    assert answers[0] == answers[1]  # 0 and 0/2
    assert answers[2] is None
    assert answers[3] == answers[4]  # 7 and 7.0
    assert table["correct"].to_list() == [True, True, False, False, False, True]
    assert table.columns == [*OUTCOMES, "score_reward", "score_confidence"]
    assert gather(study, [one, two], all_verdicts(study, [one, two])).equals(table)


def test_outcomes_are_the_same_however_few_are_joined_at_a_time(
    study: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = [store(POOL[:2] + POOL[3:5], "one"), store([POOL[2], POOL[5]], "two")]
    judged = all_verdicts(study, blocks)
    whole = gather(study, blocks, judged), payload_hash(Path("outcomes.parquet"))
    monkeypatch.setattr("itscale.stages.outcomes.BATCH_ROWS", 1)
    parts = gather(study, blocks, judged), payload_hash(Path("outcomes.parquet"))
    assert parts[0].equals(whole[0])
    assert parts[1] == whole[1]


def test_blocks_lie_in_one_batch_where_they_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("itscale.stages.outcomes.BATCH_ROWS", 10)
    held = {"a": [0], "b": [0], "c": [1], "d": [1], "e": [1], "f": [2, 3], "g": [2, 3], "h": [4]}
    rows = {"a": 3, "b": 4, "c": 2, "d": 2, "e": 2, "f": 8, "g": 8, "h": 30}
    index = pl.DataFrame(
        [(name, at, rows[name] // len(files)) for name, files in held.items() for at in files],
        schema=["problem_id", "file", "rows"],
        orient="row",
    )
    cut = list(_batches([*held, "no completions"], index))
    assert cut == [["a", "b"], ["c", "d", "e"], ["f"], ["g"], ["h"]]


@pytest.mark.parametrize("simulated", [True, False])
def test_outcomes_say_whether_they_are_simulated(study: Study, simulated: bool) -> None:
    block = store(POOL, simulated=False)
    judged = all_verdicts(study, [block])
    if not simulated:  # else rewards are, of a model that is
        copyfile(judged["confidence"][0], judged["reward"][0])
    gather(study, [block], judged)
    metadata = read_metadata(Path("outcomes.parquet"))
    assert metadata["simulated"] is simulated
    assert set(metadata["inputs"]) == {
        "problems",
        "completions/block",
        *(f"verdicts/{label}/block" for label in ("math", "reward", "confidence")),
    }


def test_what_is_lost_twice_there_or_made_up_is_named(study: Study) -> None:
    block = store(POOL)
    judged = all_verdicts(study, [block])
    with pytest.raises(DataError, match="appears twice"):
        gather(study, [block, block], judged)
    with pytest.raises(DataError, match="no verdicts of reward"):
        gather(study, [block], {label: judged[label] for label in ("math", "confidence")})
    with pytest.raises(DataError, match="index 2, which is no completion"):
        gather(study, [store(POOL[:-1], "fewer")], judged)
    more = store([*POOL, completion(1, 3, "1")], "more")
    with pytest.raises(DataError, match="index 3 has no verdict of math"):
        gather(study, [more], judged)
    with pytest.raises(DataError, match="'2' is not in"):
        verdicts(study, "math", store([completion(2, 0, "2")], "strange"))
