"""What plugins return is believed by nobody: a broken word is one line that names who gave it."""

import asyncio
import contextlib
import math
import os
import re
import sys
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from itscale.boundary import CheckedEngine, CheckedOracle, CheckedSelector, Place, make_prices
from itscale.errors import UserError
from itscale.estimators.vote import standard_error
from itscale.outcomes import Accuracy, ProblemOutcomes
from itscale.plugins import PriceEntry
from itscale.plugins.figures import Drawing
from itscale.sampling.blocks import Block
from itscale.stages.curves import estimate_curves
from itscale.stages.figures import draw_figure
from itscale.stages.fits import fit_law
from itscale.stages.outcomes import gather_outcomes
from itscale.stages.problems import load_problems, write_problems
from itscale.stages.sampling import sample_block
from itscale.stages.verification import judge, verify_block
from itscale.store.parquet import read_metadata, write_table
from itscale.store.schemas import FITS, OUTCOMES
from itscale.study import Ingredient, resolve
from itscale.types import Embedding, Problem, Reward, Step, Trajectory, Verdict
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions

STUDY = {
    "study": "tiny",
    "tasks": {"sums": {"plugin": "jsonl", "file": "sums.jsonl", "oracle": "judge"}},
    "models": {"sim": {"plugin": "simulated"}},
    "strategies": {
        "pool": {"plugin": "repeated_sampling", "completions": 4},
        "search": {"plugin": "particle_filter", "budgets": [2], "scorer": "reward"},
    },
    "verifiers": {"reward": {"plugin": "process_reward"}, "judge": {"plugin": "exact_match"}},
    "selectors": {"oracle": {}, "vote": {"plugin": "majority_vote"}},
    "laws": {"line": {"plugin": "power_law"}},
    "figures": {"plot": {"plugin": "coverage_curves"}},
}
WHERE = ("sums", "sim", "pool")
NAN = math.nan


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("sums.jsonl").write_text("".join(f'{{"prompt": "{n}?", "reference": "{n}"}}\n' for n in range(3)))
    study = resolve(STUDY)
    write_problems(study, "sums", Path("problems.parquet"))
    return study


def hostile(study, kind, label, factory):
    """Return the study with the factory of one of its plugins exchanged."""
    ingredients = getattr(study, kind)
    entry = replace(ingredients[label].entry, factory=factory)
    return replace(study, **{kind: {**ingredients, label: replace(ingredients[label], entry=entry)}})


def sample(study, strategy="pool"):
    block = Block(0, 0, 3, 0, 4) if strategy == "pool" else Block(2, 0, 3, 0, 1)
    kinds = {"completions": "block", "ledger": "ledger", "trees": "trees"}
    files = {kind: Path(f"{name}.parquet") for kind, name in kinds.items()}
    problems = Path("problems.parquet")
    sample_block(study, "sums", "sim", strategy, block, problems=problems, model_directories={}, **files)


def verify(study, verifier):
    verify_block(
        study,
        *WHERE,
        verifier,
        problems=Path("problems.parquet"),
        completions=Path("block.parquet"),
        model_directories={},
        output=Path(f"{verifier}.parquet"),
        ledger=Path(f"{verifier}.ledger.parquet"),
    )


def gather(study):
    judged = {label: [Path(f"{label}.parquet")] for label in ("judge", "reward")}
    files = {"problems": Path("problems.parquet"), "output": Path("outcomes.parquet")}
    gather_outcomes(study, *WHERE, completions=[Path("block.parquet")], verdicts=judged, **files)


def outcomes():
    rows = [
        (f"p{problem}", 0, 0, index, str(index % 3), index < problem, "judged", 5, 9)
        for problem in range(6)
        for index in range(8)
    ]
    write_table(pl.DataFrame(rows, schema=dict(OUTCOMES), orient="row"), Path("outcomes.parquet"), {})


def curves(study):
    outcomes()
    estimate_curves(
        study, *WHERE, outcomes=Path("outcomes.parquet"), ledgers=[], output=Path("curves.parquet")
    )


def refusal(action, *names):
    """Return the one line with which an action is refused."""
    with pytest.raises(UserError) as caught:
        action()
    line = str(caught.value)
    assert "\n" not in line
    for word in (*names, "found", "expected"):
        assert word in line
    return line


# --- tasks ------------------------------------------------------------------------------------------------

GOOD = Problem(problem_id="1", messages=({"role": "user", "content": "1?"},), reference="1")


@pytest.mark.parametrize(
    ("problems", "said"),
    [
        (None, "factory: found None, expected an iterable of problems"),
        ([{"problem_id": "1"}], "problem 0: found {'problem_id': '1'}, expected a Problem"),
        ([GOOD, GOOD], "problems 0 and 1 both have the id: found '1', expected every problem id once"),
        ([replace(GOOD, problem_id=7)], "problem 0: problem_id: found 7, expected a text"),
        ([replace(GOOD, problem_id="")], "problem_id: found '', expected a text"),
        ([replace(GOOD, problem_id="\ud800")], r"problem_id: found '\ud800', expected a text"),
        ([replace(GOOD, messages="1?")], "problem 0 ('1'): messages: found '1?', expected a chat"),
        ([replace(GOOD, messages=())], "messages: found (), expected a chat"),
        ([replace(GOOD, messages=({"role": "user"},))], "messages: found {'role': 'user'}, expected turns"),
        ([replace(GOOD, messages=({"role": "user", "content": ["x"]},))], "both text"),
        ([replace(GOOD, messages=({"role": "user", "content": "x", "image": "y"},))], "both text"),
        ([replace(GOOD, reference=None)], "reference: found None, expected the right answer as text"),
        ([replace(GOOD, reference=4)], "reference: found 4, expected the right answer as text"),
        ([replace(GOOD, metadata={"x": NAN})], "metadata: found {'x': nan} (Out of range float values"),
        ([replace(GOOD, metadata={"x": {1, 2}})], "expected JSON values"),
        ([replace(GOOD, metadata={1: 2})], "metadata: found {1: 2}, expected values by name"),
        ([replace(GOOD, metadata=None)], "metadata: found None, expected values by name"),
    ],
)
def test_tasks(study, problems, said):
    task = hostile(study, "tasks", "sums", lambda options: problems).tasks["sums"]
    assert said in refusal(lambda: load_problems(task, None), "tasks/jsonl (label 'sums'): ")


def test_a_task_that_fills_one_dict_again_and_again(study):
    def problems(options):
        metadata = {"numbers": [0]}
        for number in range(3):
            metadata["numbers"][0] = number
            yield replace(GOOD, problem_id=str(number), metadata=metadata)

    loaded = load_problems(hostile(study, "tasks", "sums", problems).tasks["sums"], None)
    assert [problem.metadata for problem in loaded] == [{"numbers": [number]} for number in range(3)]


def test_a_plugin_cannot_change_the_options_that_its_fingerprint_is_made_of(study):
    task = study.tasks["sums"]

    def renames(options):
        object.__setattr__(options, "file", Path("elsewhere.jsonl"))
        vars(options)["file"] = Path("elsewhere.jsonl")
        return [GOOD]

    before = task.fingerprint()
    load_problems(hostile(study, "tasks", "sums", renames).tasks["sums"], None)
    assert task.fingerprint() == before


# --- engines ----------------------------------------------------------------------------------------------


class Obliging(float):
    """A number that says yes to any comparison."""

    def __le__(self, other):
        return True

    __ge__ = __lt__ = __gt__ = __le__


def engine(change=lambda made: made, **attributes):
    """Return a factory of the simulated engine that gives something else."""

    class Hostile(SimulatedEngine):
        async def generate(self, request):
            return change(await super().generate(request))

    def make(options, **_):
        made = Hostile(options)
        vars(made).update(attributes)
        return made

    return make


def each(**changes):
    return engine(lambda made: [replace(one, **changes) for one in made])


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (
            lambda options, **_: None,
            "factory: found None, expected an object with close()",
        ),
        (engine(lambda made: None), "generate(): found None, expected a list of generations"),
        (engine(lambda made: sys.exit(0)), "generate(): found SystemExit(0), expected an answer"),
        (engine(lambda made: made[:1]), "generate(): found 1 generations for 4 seeds"),
        (engine(lambda made: [one.text for one in made]), "expected a Generation per seed"),
        (engine(offers={"generate"}), "offers: found {'generate'}, expected a frozenset"),
        (engine(seed_scope="all"), "seed_scope: found 'all', expected completion or block"),
        (engine(simulated=None), "simulated: found None, expected True or False"),
        (each(text=None), "generate(): text: found None, expected a text"),
        (each(tokens=-3), "generate(): tokens: found -3, expected a whole number from 0 to 2147483647"),
        (each(tokens=3_000_000_000), "generate(): tokens: found 3000000000, expected"),
        (each(tokens=2.5), "generate(): tokens: found 2.5"),
        (each(tokens=True), "generate(): tokens: found True"),
        (each(tokens=0), "generate(): tokens: found 0 for the text"),
        (each(prompt_tokens=-1), "generate(): prompt_tokens: found -1"),
        (each(prompt_tokens=0), "generate(): prompt_tokens: found 0, expected the prompt charged once"),
        (each(context_tokens=0), "generate(): context_tokens: found 0, expected a whole number, at least 1"),
        (
            each(cached_prompt_tokens=10**6),
            "generate(): cached_prompt_tokens: found 1000000, expected at most",
        ),
        (each(logprob=NAN), "generate(): logprob: found nan, expected a finite number, at most 0, or None"),
        (each(logprob=-math.inf), "generate(): logprob: found -inf"),
        (each(logprob=0.5), "generate(): logprob: found 0.5"),
        (each(logprob=10**400), "expected a finite number, at most 0, or None"),
        (each(logprob=Obliging(1)), "generate(): logprob: found 1, expected a finite number"),
        (each(seconds=Obliging(-1)), "generate(): seconds: found -1"),
        (each(tokens=np.float64(3)), "generate(): tokens: found 3"),
        (each(logprob="-1"), "generate(): logprob: found '-1'"),
        (
            each(finish_reason="tool_calls"),
            "generate(): finish_reason: found 'tool_calls', expected eos or stop",
        ),
        (each(seconds=NAN), "generate(): seconds: found nan"),
        (each(counted=None), "generate(): counted: found None, expected True or False"),
        (each(token_ids=None), "generate(): token_ids: found None"),
    ],
)
def test_engines(study, factory, said):
    line = refusal(
        lambda: sample(hostile(study, "models", "sim", factory)), "engines/simulated (label 'sim'): "
    )
    assert said in line


def test_rounding_of_a_logprob_is_no_fault_and_no_score_above_1(study):
    sample(hostile(study, "models", "sim", each(logprob=1e-9)))
    assert pl.read_parquet("block.parquet")["logprob"].to_list() == [0.0] * 12


def test_what_was_not_counted_is_unknown_and_never_zero(study):
    nothing = {"tokens": 0, "prompt_tokens": 0, "context_tokens": 0}
    sample(hostile(study, "models", "sim", each(counted=False, finish_reason="filtered", **nothing)))
    completions, ledger = pl.read_parquet("block.parquet"), pl.read_parquet("ledger.parquet")
    assert completions["generated_tokens"].null_count() == completions["prompt_tokens"].null_count() == 12
    assert ledger["generated_tokens"].null_count() == len(ledger)


def reward(**changes):
    return Reward(**{"whole": 0.5, "steps": (0.5,), "prompt_tokens": 3, **changes})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (0.5, "found 0.5, expected a Reward for each"),
        *(
            (reward(whole=wrong), "whole: found .*, expected a reward in")
            for wrong in (NAN, 1.5, -0.1, "0.5")
        ),
        *((reward(steps=(wrong,)), "steps: found .*, expected a reward in") for wrong in (NAN, 1.5, None)),
        (reward(steps=(0.5, 0.5)), "steps: found 2, expected one for each of 1"),
        (reward(steps=0.5), "steps: found 0.5, expected a tuple of numbers"),
        (reward(whole=None, steps=()), "expected a number for the whole, or for each step"),
        (reward(prompt_tokens=-1), "prompt_tokens: found -1, expected a whole number, or None"),
    ],
)
def test_rewards_of_engines(given, said):
    class Rewarding(SimulatedEngine):
        async def rewards(self, trajectories):
            return [given] * len(trajectories)

    checked = CheckedEngine(Rewarding(SimulatedOptions()), Place("engines", "x"))
    begun = Trajectory(GOOD, Trajectory(GOOD), Step(text="s", tokens=1, logprob=None, node=1))
    line = refusal(lambda: asyncio.run(checked.rewards([begun])), "engines/x: problem '1': rewards()")
    assert re.search(said, line)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ([0.5, 0.5], "found 0.5, expected an Embedding for each text"),
        ([Embedding(vector=(1.0,), prompt_tokens=1)], "found 1 embeddings for 2 texts"),
        (
            [Embedding(vector=(1.0,) * length, prompt_tokens=1) for length in (1, 2)],
            "vector: found lengths [1, 2], expected vectors of one length",
        ),
        ([Embedding(vector=(NAN,), prompt_tokens=1)] * 2, "vector: found nan, expected a finite number"),
        ([Embedding(vector=(), prompt_tokens=1)] * 2, "vector: found (), expected a tuple of numbers"),
    ],
)
def test_embeddings_of_engines(given, said):
    class Embedder(SimulatedEngine):
        async def embed(self, texts):
            return given

    checked = CheckedEngine(Embedder(SimulatedOptions()), Place("engines", "x"))
    assert said in refusal(lambda: asyncio.run(checked.embed(["a", "b"])), "engines/x: embed()")


def test_an_engine_is_asked_for_nothing_that_it_does_not_offer():
    class Plain:
        offers, seed_scope, simulated = frozenset({"generate"}), "block", False

        async def generate(self, request):
            raise AssertionError

    checked = CheckedEngine(Plain(), Place("engines", "x"))
    for asked, needs in ((checked.rewards, "rewards or step_rewards"), (checked.embed, "embed")):
        said = refusal(lambda asked=asked: asyncio.run(asked([])), "engines/x: ")
        assert f"an engine that offers generate, expected an engine that offers {needs}" in said
    Plain.offers = frozenset({"generate", "embed"})
    refusal(lambda: CheckedEngine(Plain(), Place("engines", "x")), "engines/x: offers: found frozenset(")


# --- strategies -------------------------------------------------------------------------------------------


def strategy(change):
    """Return a strategy that draws as it should and hands in something else."""

    async def hands_in(problem, session, options):
        drawn = await session.extend([session.start()] * session.budget, options.completion())
        return change(session, drawn)

    return hands_in


def handed(**changes):
    return strategy(lambda session, drawn: [replace(one, **changes) for one in session.complete(drawn)])


def made_up(session, text="42"):
    return Trajectory(
        session.problem, session.start(), Step(text=text, tokens=1, logprob=-1.0, node=1), "eos"
    )


async def continues_a_fake(problem, session, options):
    await session.extend([made_up(session)], options.completion())


async def asks_with_a_hint(problem, session, options):
    problem.messages[0]["content"] += " It is 1."
    await session.extend([session.start()], options.completion())


async def asks_another_question(problem, session, options):
    other = replace(problem, messages=({"role": "user", "content": "Criticise!"},))
    await session.extend([Trajectory(other)], options.completion())


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (lambda problem, session, options: [], "factory: found [], expected something to await"),
        (strategy(lambda session, drawn: None), "completions: found None, expected the completions that"),
        (strategy(lambda session, drawn: drawn), "completions: found a Trajectory, expected the completions"),
        (strategy(lambda session, drawn: ["42"] * 4), "completions: found '42', expected the completions"),
        (
            strategy(lambda session, drawn: session.complete(drawn[1:])),
            "found 3 at [0, 1, 2], expected exactly",
        ),
        (strategy(lambda session, drawn: session.complete([drawn[0].text])), "session.complete(): found"),
        (
            strategy(lambda session, drawn: session.complete([made_up(session)] * 4)),
            "a trajectory with the text",
        ),
        (strategy(lambda session, drawn: session.complete(drawn, [1.0])), "complete(): weights: found 1"),
        (strategy(lambda session, drawn: session.complete(drawn, [NAN] * 4)), "weight: found nan"),
        (handed(text="The answer is 1"), "text of a completion: found 'The answer is 1', expected"),
        (handed(generated_tokens=1), "generated_tokens of a completion: found 1, expected"),
        (handed(prompt_tokens=0), "prompt_tokens of a completion: found 0"),
        (handed(step_tokens=[1]), "step_tokens of a completion: found [1], expected"),
        (handed(logprob=0.0), "logprob of a completion: found 0, expected"),
        (handed(step_scores=[1.0]), "step_scores of a completion: found [1.0], expected [None]"),
        (handed(nodes=[99]), "nodes of a completion: found [99], expected a path"),
        (handed(nodes=[1, 2]), "nodes of a completion: found [1, 2], expected a path"),
        (handed(index=0), "found 4 at [0, 0, 0, 0], expected exactly its 4 indices, 0 to 3, each once"),
        (handed(index="0"), "found 4 at ['0', '0', '0', '0'], expected exactly"),
        (
            handed(problem_id="another"),
            "problem, budget and replicate of a completion: found ('another', 0, 0)",
        ),
        (handed(finish_reason="done"), "finish_reason: found 'done', expected eos or stop"),
        (handed(weight="heavy"), "weight: found 'heavy', expected a finite number or None"),
        (
            strategy(lambda session, drawn: session.complete(drawn, ["1"] * 4)),
            "complete(): weights: found ['1'",
        ),
        (
            strategy(lambda session, drawn: session.complete(drawn, [1j] * 4)),
            "complete(): weights: found [1j",
        ),
        (asks_with_a_hint, "session.extend(): found a change of the problem itself, expected the problem as"),
        (continues_a_fake, "session.extend(): found a trajectory with the text '42' at node 1"),
        (asks_another_question, "session.extend(): found a trajectory with the text '' at node 0"),
    ],
)
def test_strategies(study, factory, said):
    changed = hostile(study, "strategies", "pool", factory)
    line = refusal(lambda: sample(changed), "strategies/repeated_sampling (label 'pool'): problem '")
    assert said in line


# --- verifiers --------------------------------------------------------------------------------------------


def scorer(say):
    class Hostile:
        async def score(self, trajectories, desk):
            return say(trajectories)

    return lambda options: Hostile()


SCORES = [
    (lambda given: None, "score(): found None, expected a list of scores"),
    (lambda given: [0.5] * (len(given) - 1), "scores for"),
    (lambda given: [None] * len(given), "score(): found None, expected a number in [0, 1]"),
    (lambda given: [NAN] * len(given), "score(): found nan, expected a number in [0, 1]"),
    (lambda given: [3.0] * len(given), "score(): found 3, expected a number in [0, 1]"),
    (lambda given: [-1] * len(given), "score(): found -1, expected a number in [0, 1]"),
    (lambda given: ["0.5"] * len(given), "score(): found '0.5', expected a number in [0, 1]"),
    (lambda given: [10**400] * len(given), "expected a number in [0, 1]"),
    (lambda given: [Fraction(10**400, 3)] * len(given), "expected a number in [0, 1]"),
    (lambda given: [Obliging(7)] * len(given), "score(): found 7, expected a number in [0, 1]"),
    (lambda given: {n / 10 for n in range(len(given))}, "expected a list of scores"),
    (lambda given: dict.fromkeys(range(len(given)), 0.5), "expected a list of scores"),
    (lambda given: [True] * len(given), "score(): found True, expected a number in [0, 1]"),
    (lambda given: np.full((len(given), 1), 0.5), "score(): found array([0.5]), expected a number in [0, 1]"),
]


@pytest.mark.parametrize(("say", "said"), SCORES)
def test_scorers_while_sampling_and_after(study, say, said):
    name = "verifiers/process_reward (label 'reward'): problem '"
    sample(study)
    changed = hostile(study, "scorers", "reward", scorer(say))
    for action in (lambda: verify(changed, "reward"), lambda: sample(changed, "search")):
        assert said in refusal(action, name)


class Judge:
    """An oracle as it should be."""

    def answer(self, problem, text):
        return text

    def classes(self, answers):
        return list(answers)

    def judge(self, problem, answers):
        return [Verdict(correct=False) for _ in answers]


def oracle(**methods):
    return lambda options: type(
        "Hostile", (Judge,), {name: staticmethod(how) for name, how in methods.items()}
    )()


def judging(**verdict):
    return oracle(judge=lambda problem, answers: [Verdict(**verdict)] * len(answers))


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (lambda options: scorer(len)(options), "factory: found"),
        (oracle(answer=lambda problem, text: 7), "answer(): found 7, expected a text or None"),
        (oracle(answer=lambda problem, text: [text]), "answer(): found ["),
        (oracle(judge=lambda problem, answers: None), "judge(): found None, expected a list of verdicts"),
        (oracle(judge=lambda problem, answers: []), "judge(): found 0 verdicts for"),
        (
            oracle(judge=lambda problem, answers: [True] * len(answers)),
            "judge(): found True, expected a Verdict",
        ),
        (judging(correct="yes"), "judge(): correct: found 'yes', expected True or False"),
        (judging(correct=1), "judge(): correct: found 1, expected True or False"),
        (judging(correct=None), "judge(): correct: found None, expected True or False"),
        (judging(correct=True, score=0.5), "judge(): score: found 0.5, expected None of an oracle"),
        (judging(correct=True, status="fine"), "judge(): status: found 'fine', expected judged or"),
        (judging(correct=False, detail=None), "judge(): detail: found None, expected a text"),
    ],
)
def test_oracles(study, factory, said):
    sample(study)
    changed = replace(study, oracles=hostile(study, "oracles", "sums", factory).oracles)
    assert said in refusal(lambda: verify(changed, "judge"), "verifiers/exact_match (label 'judge'): ")


@pytest.mark.parametrize(
    ("classes", "said"),
    [
        (lambda answers: None, "classes(): found None, expected a list of representatives"),
        (lambda answers: answers[1:], "representatives for"),
        (lambda answers: ["another"] * len(answers), "found 'another', expected one of the answers"),
        (lambda answers: [7] * len(answers), "classes(): found 7, expected one of the answers"),
        (lambda answers: [*answers[1:], answers[0]], "as its own representative"),
    ],
)
def test_classes_of_oracles(study, classes, said):
    changed = hostile(study, "oracles", "sums", oracle(classes=classes))
    sample(changed)
    for verifier in ("judge", "reward"):
        verify(changed, verifier)
    line = refusal(lambda: gather(changed), "verifiers/exact_match (label 'judge'): problem '", "classes()")
    assert said in line


SPELLINGS = ["10", "5", "5.0"]


@pytest.mark.parametrize("spoil", [list.clear, list.reverse, lambda given: given.sort(key=len, reverse=True)])
def test_an_oracle_gets_lists_of_its_own(spoil):
    def classes(answers):
        kept: dict[float, str] = {}
        named = [kept.setdefault(float(answer), answer) for answer in answers]
        spoil(answers)
        return named

    def verdicts(problem, answers):
        made = [Verdict(correct=float(answer) == 5) for answer in answers]
        spoil(answers)
        return made

    checked = CheckedOracle(oracle(classes=classes, judge=verdicts)(None), Place("verifiers", "x"))
    given = SPELLINGS.copy()
    assert checked.classes(given) == ["10", "5", "5"]
    assert [verdict.correct for verdict in checked.judge(GOOD, given)] == [False, True, True]
    assert given == SPELLINGS


def test_an_oracle_that_sorts_before_it_names_is_measured_by_what_it_was_given():
    def classes(answers):
        answers.sort(key=len, reverse=True)  # 5.0, 10, 5: each name is at another's place
        kept: dict[float, str] = {}
        return [kept.setdefault(float(answer), answer) for answer in answers]

    checked = CheckedOracle(oracle(classes=classes)(None), Place("verifiers", "x"))
    refusal(lambda: checked.classes(SPELLINGS), "verifiers/x: classes()", "as its own representative")


def nested(problem):
    problem.metadata["numbers"].append(4)


@pytest.mark.parametrize("spoil", [nested, lambda problem: problem.messages[0].update(content="!")])
@pytest.mark.parametrize("where", ["answer", "judge"])
def test_an_oracle_that_changes_its_problem_is_named_and_nobody_else_sees_it(spoil, where):
    def answer(problem, text):
        if where == "answer":
            spoil(problem)
        return text

    def verdicts(problem, answers):
        if where == "judge":
            spoil(problem)
        return [Verdict(correct=True) for _ in answers]

    problem = replace(GOOD, messages=({"role": "user", "content": "1?"},), metadata={"numbers": [1, 2, 3]})
    checked = CheckedOracle(oracle(answer=answer, judge=verdicts)(None), Place("verifiers", "x"))
    refusal(lambda: judge(checked, problem, ["a", "b"]), "verifiers/x: problem '1': judge()", "as it was")
    assert problem == replace(GOOD, metadata={"numbers": [1, 2, 3]})


def test_a_set_has_no_order_and_gives_no_answer_its_own():
    checked = CheckedOracle(oracle(classes=set)(None), Place("verifiers", "x"))
    refusal(
        lambda: checked.classes(SPELLINGS), "verifiers/x: classes()", "expected a list of representatives"
    )


def test_a_scorer_that_changes_its_problem_is_named(study):
    sample(study)

    def spoil(given):
        given[0].problem.messages[0]["content"] = "easier"
        return [0.5] * len(given)

    changed = hostile(study, "scorers", "reward", scorer(spoil))
    refusal(lambda: verify(changed, "reward"), "score(): found a change of the problem itself")


# --- selectors --------------------------------------------------------------------------------------------


NO_NUMBER = (
    10**400,
    1j,
    np.complex128(0.5),
    True,
    np.True_,
    "0",
    b"0",
    None,
    Fraction(1, 2),
    np.datetime64(0, "s"),
)
NO_NUMBERS = "expected an array of numbers"


def selector(mean, error=0.0, drawn=None):
    class Hostile:
        def accuracy(self, outcomes, budgets, rng):
            size = len(budgets)
            return Accuracy(mean=mean(size), monte_carlo_error=np.full(size, error), drawn=drawn)

    return lambda options: Hostile()


def constant(value):
    return lambda size: np.full(size, value)


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (lambda options: object(), "factory: found <object"),
        (selector(constant(-3.0)), "accuracy(): found -3 at k = 1, expected a share, in [0, 1]"),
        (selector(constant(-3.0), 2.0), "accuracy(): found -3 at k = 1, expected a share, in [0, 1]"),
        (selector(constant(2.0), 0.04), "accuracy(): found 2 at k = 1, expected a share, in [0, 1]"),
        (selector(constant(0.0), 0.7), "accuracy(): found 0.7 at k = 1, expected a standard error"),
        (selector(constant(1.0), 0.5), "accuracy(): found 0.5 at k = 1, expected a standard error"),
        (
            selector(constant(1.0), 0.05),
            "found 1 at k = 1, expected at most the coverage 0: what is selected",
        ),
        (selector(constant(0.3), 0.05), "problem 'p0': accuracy(): found 0.3 at k = 1, expected at most"),
        (selector(constant(0.0), NAN), "accuracy(): found nan at k = 1, expected a standard error"),
        (
            selector(constant(0.9)),
            "found 0.9 at k = 1, expected at most the coverage 0: what is selected was",
        ),
        (selector(constant(NAN)), "accuracy(): found nan at k = 1"),
        (selector(constant(math.inf)), "accuracy(): found inf at k = 1"),
        (
            selector(constant(0.0), drawn=[0.5]),
            "accuracy(): drawn: found shape (1,), expected one for",
        ),
        (selector(lambda size: np.zeros(size + 1)), "accuracy(): mean: found shape ("),
        (selector(lambda size: 0.0), "accuracy(): mean: found shape (), expected one for each k, of shape ("),
        (selector(lambda size: ["?"] * size), "expected an array of numbers"),
        (selector(lambda size: None), "accuracy(): mean: found None, expected an array of numbers"),
        *((selector(lambda size, value=value: [value] * size), NO_NUMBERS) for value in NO_NUMBER),
        (
            selector(lambda size: np.ma.masked_all(size)),
            "accuracy(): mean: found masked_array(",
        ),
        (selector(constant(0.0), 1j), "accuracy(): monte_carlo_error: found array("),
    ],
)
def test_selectors(study, factory, said):
    changed = hostile(study, "selectors", "vote", factory)
    assert said in refusal(lambda: curves(changed), "selectors/majority_vote (label 'vote'): ")


def writes(name):
    """Write into what a selector is given, as a careless one may; the built-in one follows."""

    class Careless:
        def accuracy(self, outcomes, budgets, rng):
            array = budgets if name == "budgets" else getattr(outcomes, name)
            for how in (lambda: array.setflags(write=True), lambda: array.fill(1)):
                with contextlib.suppress(ValueError):
                    how()
            object.__setattr__(outcomes, "correct", np.ones(outcomes.n, dtype=bool))
            return Accuracy(mean=np.zeros(len(budgets)), monte_carlo_error=np.zeros(len(budgets)))

    return lambda options: Careless()


@pytest.mark.parametrize("name", ["answers", "correct", "budgets"])
def test_a_selector_cannot_change_what_others_are_given(study, name):
    curves(study)
    right = pl.read_parquet("curves.parquet").filter(selector="oracle")
    changed = hostile(study, "selectors", "vote", writes(name))
    changed = replace(changed, selectors=dict(sorted(changed.selectors.items(), reverse=True)))
    curves(changed)
    assert pl.read_parquet("curves.parquet").filter(selector="oracle").equals(right)


def test_plugins_that_leave_the_working_directory_take_nobody_along(study, caplog):
    class Leaving:
        def accuracy(self, outcomes, budgets, rng):
            os.chdir("/")
            return Accuracy(mean=np.zeros(len(budgets)), monte_carlo_error=np.zeros(len(budgets)))

    def fit(data, start=None):
        os.chdir("/")
        return [0.5]

    changed = hostile(study, "selectors", "vote", lambda options: Leaving())
    assert message_of(hostile(changed, "laws", "line", law(fit=fit)))[0] == "ok"
    said = "accuracy(): changed the working directory, which others share: it was put back"
    assert f"selectors/majority_vote (label 'vote'): {said}" in caplog.messages


def test_a_selector_that_makes_everything_right_is_refused_by_what_was_drawn(study):
    class Evil:
        def accuracy(self, outcomes, budgets, rng):
            object.__setattr__(outcomes, "correct", np.ones(outcomes.n, dtype=bool))
            return Accuracy(mean=np.ones(len(budgets)), monte_carlo_error=np.zeros(len(budgets)))

    changed = hostile(study, "selectors", "vote", lambda options: Evil())
    line = refusal(lambda: curves(changed), "selectors/majority_vote (label 'vote'): problem 'p0': ")
    assert "found 1 at k = 1, expected at most the coverage 0" in line


def test_what_was_simulated_may_stray_by_chance_but_not_on_average():
    def checked():
        class Lifted:
            def accuracy(self, outcomes, budgets, rng):
                mean = min(1, outcomes.correct.mean() + 0.1)
                return Accuracy(mean=np.array([mean]), monte_carlo_error=np.array([0.05]))

        return CheckedSelector(Lifted(), Place("selectors", "lifted"), "selected")

    drawn = ProblemOutcomes(
        problem_id="p", answers=np.zeros(8, dtype=int), correct=np.arange(8) < 4, scores={}
    )
    assert checked().accuracy(drawn, np.array([1]), np.random.default_rng(0)).mean == pytest.approx(0.6)
    lifted = checked()
    line = refusal(
        lambda: [lifted.accuracy(drawn, np.array([1]), np.random.default_rng(0)) for _ in range(20)],
        "selectors/lifted: accuracy()",
    )
    assert "found 0.1 above coverage at k = 1, over 10 problems, expected at most coverage" in line


def test_honest_simulations_are_left_alone():
    """Selectors that are as good as coverage, simulated: of 20 times 200 problems, none is refused."""
    rng = np.random.default_rng(1)
    for _ in range(20):
        draws = int(rng.integers(100, 1000))

        class Simulated:
            def accuracy(self, outcomes, budgets, rng, draws=draws):
                mean = rng.binomial(draws, outcomes.correct.mean(), len(budgets)) / draws
                return Accuracy(mean=mean, monte_carlo_error=[standard_error(mean[0], draws)])

        judge = CheckedSelector(Simulated(), Place("selectors", "simulated"), "coverage")
        for right in rng.binomial(1000, rng.beta(0.3, 2, 200)):
            outcomes = ProblemOutcomes(
                problem_id="p", answers=np.zeros(1000, dtype=int), correct=np.arange(1000) < right, scores={}
            )
            judge.accuracy(outcomes, np.array([1]), rng)


@pytest.mark.parametrize("drawn", [0.0, 2.0, NAN])
def test_a_selector_draws_between_one_completion_and_k(study, drawn):
    class Hostile:
        def accuracy(self, outcomes, budgets, rng):
            none = np.zeros(len(budgets))
            return Accuracy(mean=none, monte_carlo_error=none, drawn=none + drawn)

    changed = hostile(study, "selectors", "vote", lambda options: Hostile())
    line = refusal(lambda: curves(changed), "selectors/majority_vote (label 'vote'): ")
    assert "at k = 1, expected completions drawn (drawn), in [1, k]" in line


def test_a_selector_that_is_not_the_coverage_its_entry_says_is_refused(study):
    changed = hostile(study, "selectors", "oracle", selector(constant(0.0)))
    line = refusal(lambda: curves(changed), "selectors/oracle: problem 'p1': ")
    assert "accuracy(): found 0 at k = 1, expected the coverage 0.125, which its entry says it is" in line


# --- laws -------------------------------------------------------------------------------------------------


class Law:
    """A law as it should be, of 24 points at most."""

    parameters, estimand = ("rate",), "effective slope"

    def fit(self, data, start=None):
        return np.array([float(data.coverage[0])])

    def predict(self, parameters, budgets):
        return 1 - (1 - parameters[0]) ** budgets


def law(**changes):
    methods = {name: staticmethod(how) if callable(how) else how for name, how in changes.items()}
    return lambda options: type("Hostile", (Law,), methods)()


def message_of(study):
    curves(study)
    names = ("fits", "forecasts", "refits")
    files = {name: Path(f"{name}.parquet") for name in names}
    fit_law(study, *WHERE, "line", outcomes=Path("outcomes.parquet"), curves=Path("curves.parquet"), **files)
    table = pl.read_parquet("fits.parquet", columns=list(FITS))
    return table.select("status", "message").row(0)


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (
            law(fit=lambda data, start=None: np.array([1.0, 2.0])),
            "fit(): found array([1., 2.]), of shape (2,)",
        ),
        (law(fit=lambda data, start=None: 0.5), "fit(): found 0.5, of shape (), expected 1 parameters: rate"),
        (law(fit=lambda data, start=None: None), "fit(): found None, expected an array of numbers"),
        (law(fit=lambda data, start=None: [0.5 + 0j]), "fit(): found [(0.5+0j)], expected an array of"),
        (law(fit=lambda data, start=None: ["0.5"]), "fit(): found ['0.5'], expected an array of numbers"),
        (law(fit=lambda data, start=None: [True]), "fit(): found [True], expected an array of numbers"),
        (law(fit=lambda data, start=None: np.ma.masked_all(1)), "fit(): found masked_array("),
        (law(predict=lambda parameters, k: k + 0j), "predict(): found array("),
        (
            law(effective_parameters=lambda parameters, data: 2.0),
            "effective_parameters(): found 2, expected a number above 0, at most its 1 parameters",
        ),
        (
            law(profile_intervals=lambda parameters, data, confidence: {"rate": (0.9, 0.1)}),
            "profile_intervals()['rate']: found (0.9, 0.1), expected (low, high) about its estimate",
        ),
        (law(fit=lambda data, start=None: ["a"]), "fit(): found ['a'], expected an array of numbers"),
        (law(fit=lambda data, start=None: [NAN]), "fit(): found [nan], expected finite parameters"),
        (law(fit=lambda data, start=None: [math.inf]), "fit(): found [inf], expected finite parameters"),
        (law(predict=lambda parameters, k: np.full(k.shape, 7.0)), "predict(): found 7 at k = 1 with rate ="),
        (law(predict=lambda parameters, k: np.full(k.shape, -0.1)), "predict(): found -0.1 at k = 1"),
        (law(predict=lambda parameters, k: np.full(k.shape, NAN)), "predict(): found nan at k = 1"),
        (law(predict=lambda parameters, k: k[1:]), "predict(): found shape ("),
        (
            law(asymptotic_exponent=lambda parameters: -3.0),
            "asymptotic_exponent(): found -3, expected a",
        ),
        (law(asymptotic_exponent=lambda parameters: math.inf), "asymptotic_exponent(): found inf, expected"),
        (law(asymptotic_exponent=lambda parameters: "1"), "asymptotic_exponent(): found '1', expected"),
        (law(log_likelihood=lambda parameters, data: NAN), "log_likelihood(): found nan, expected a finite"),
        (law(predict=lambda parameters, k: parameters[0] * k), "expected coverage, in [0, 1]"),
    ],
)
def test_a_law_that_breaks_its_word_is_a_fit_that_failed(study, factory, said):
    status, message = message_of(hostile(study, "laws", "line", factory))
    assert status == "failed"
    assert message.startswith("laws/power_law (label 'line'): ")
    assert said in message
    assert re.fullmatch("[^\n]*found .*, expected [^\n]*", message)


def test_a_law_that_fills_one_array_with_every_fit_has_not_changed_the_earlier_ones(study):
    class Reusing(Law):
        kept = np.zeros(1)

        def fit(self, data, start=None):
            self.kept[:] = super().fit(data)
            return self.kept

    sound = message_of(hostile(study, "laws", "line", law()))
    tables = [pl.read_parquet(f"{name}.parquet") for name in ("fits", "forecasts", "refits")]
    assert message_of(hostile(study, "laws", "line", lambda options: Reusing())) == sound
    for name, table in zip(("fits", "forecasts", "refits"), tables, strict=True):
        assert pl.read_parquet(f"{name}.parquet").equals(table)


def test_a_law_cannot_change_the_data_of_others(study):
    def spoil(data, start=None):
        data.coverage[:] = 0

    with pytest.raises(ValueError, match="read-only"):
        message_of(hostile(study, "laws", "line", law(fit=spoil)))


def test_a_law_as_it_should_be_is_left_alone(study):
    assert message_of(hostile(study, "laws", "line", law()))[0] == "ok"


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (law(parameters="rate"), "parameters: found 'rate', expected different names"),
        (law(parameters=("a", "a")), "parameters: found ('a', 'a'), expected different names"),
        (law(estimand=""), "estimand: found '', expected"),
        (lambda options: object(), "expected an object with fit(), predict()"),
    ],
)
def test_laws_that_cannot_be_fitted_at_all(study, factory, said):
    changed = hostile(study, "laws", "line", factory)
    assert said in refusal(lambda: message_of(changed), "laws/power_law (label 'line'): ")


# --- figures, prices --------------------------------------------------------------------------------------


def figure(**changes):
    from matplotlib.figure import Figure

    good = Drawing(figure=Figure(), table=pl.DataFrame({"simulated": [True]}), summary=pl.DataFrame())

    class Maker:
        def draw(self, data):
            return replace(good, **changes) if changes else None

    return lambda options: Maker()


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (figure(), "draw(): found None, expected a Drawing"),
        (figure(figure="plot"), "draw(): figure: found 'plot', expected a matplotlib Figure"),
        (figure(table=None), "draw(): table: found None, expected a polars DataFrame"),
        (figure(summary={}), "draw(): summary: found {}, expected a polars DataFrame"),
        (
            figure(table=pl.DataFrame({"simulated": [None]}, schema={"simulated": pl.Boolean})),
            "draw(): table: found the columns simulated, expected a Boolean column",
        ),
        (
            figure(table=pl.DataFrame({"simulated": [True], "k": [[1, 2]]})),
            "draw(): table: found the column 'k' of List(Int64), expected columns of numbers, text or",
        ),
        (
            figure(summary=pl.DataFrame({"k": [object()]})),
            "draw(): summary: found the column 'k' of Object, expected columns of numbers, text or",
        ),
        (
            figure(table=pl.DataFrame({"k": [1]})),
            "draw(): table: found the columns k, expected a Boolean column",
        ),
    ],
)
def test_figures(study, factory, said):
    files = {kind: Path(f"plot.{kind}") for kind in ("pdf", "svg", "png", "csv", "tex")}
    changed = hostile(study, "figures", "plot", factory)
    line = refusal(
        lambda: draw_figure(changed, "plot", curves=[], fits=[], forecasts=[], **files),
        "figures/coverage_curves (label 'plot'): ",
    )
    assert said in line


@pytest.mark.parametrize("simulated", [True, False])
def test_a_figure_cannot_say_that_what_is_made_up_is_not(study, simulated):
    curves(study)
    said = pl.lit(simulated).alias("simulated")
    metadata = read_metadata(Path("curves.parquet"))
    write_table(pl.read_parquet("curves.parquet").with_columns(said), Path("curves.parquet"), metadata)
    files = {kind: Path(f"plot.{kind}") for kind in ("pdf", "svg", "png", "csv", "tex")}
    changed = hostile(study, "figures", "plot", figure(table=pl.DataFrame({"simulated": [not simulated]})))
    line = refusal(
        lambda: draw_figure(changed, "plot", curves=[Path("curves.parquet")], fits=[], forecasts=[], **files)
    )
    assert f"draw(): table: found {not simulated} in a row of column `simulated`" in line


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        (None, "factory: found None, expected a price per token by class (prompt, cached_prompt, generated)"),
        ({"generated": -1.0}, "price of generated: found -1, expected USD per token, at least 0"),
        ({"generated": NAN}, "price of generated: found nan"),
        ({"generated": "0.1"}, "price of generated: found '0.1'"),
        ({"generated": 1 + 0j}, "price of generated: found (1+0j)"),
        ({"generated": np.True_}, "price of generated: found"),
        ({"generate": 0.1}, "class of tokens: found 'generate', expected did you mean 'generated'?"),
        ({"generated": 0.1}, "expected a price of prompt tokens, too"),
    ],
)
def test_prices(prices, said):
    entry = PriceEntry(name="list_price", factory=lambda options: prices, summary="Prices.")
    line = refusal(
        lambda: make_prices(Ingredient("mine", entry, entry.options(), "x", "1")), "prices/list_price"
    )
    assert said in line
