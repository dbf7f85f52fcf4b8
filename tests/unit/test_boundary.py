"""What plugins return is believed by nobody: a broken word is one line that names who gave it."""

import asyncio
import math
import re
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from itscale.blocks import Block
from itscale.boundary import CheckedEngine, Place, make_prices
from itscale.columns import FITS, OUTCOMES
from itscale.errors import UserError
from itscale.figures import Drawing
from itscale.plugins import PriceEntry
from itscale.selection import Accuracy
from itscale.stages.curves import estimate_curves
from itscale.stages.figures import draw_figure
from itscale.stages.fits import fit_law
from itscale.stages.outcomes import gather_outcomes
from itscale.stages.problems import load_problems, write_problems
from itscale.stages.sampling import sample_block
from itscale.stages.verification import verify_block
from itscale.store import write_table
from itscale.study import Ingredient, resolve
from itscale.types import Problem, Step, Trajectory, Verdict
from itscale_builtin.engines.simulated import SimulatedEngine

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
    files = {"completions": Path("block.parquet"), "ledger": Path("ledger.parquet")}
    problems = Path("problems.parquet")
    sample_block(study, "sums", "sim", strategy, block, problems=problems, model_directory=None, **files)


def verify(study, verifier):
    verify_block(
        study,
        *WHERE,
        verifier,
        problems=Path("problems.parquet"),
        completions=Path("block.parquet"),
        model_directory=None,
        output=Path(f"{verifier}.parquet"),
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


# --- engines ----------------------------------------------------------------------------------------------


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
            "factory: found None, expected an object with generate(), score(), close()",
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


@pytest.mark.parametrize("reward", [NAN, 1.5, -0.1, None, "0.5"])
def test_rewards_of_engines(reward):
    class Rewarding(SimulatedEngine):
        async def score(self, trajectories):
            return [reward] * len(trajectories)

    from itscale.plugins import registry

    checked = CheckedEngine(
        Rewarding(registry().get("engines", "simulated").entry.options()), Place("engines", "x")
    )
    refusal(lambda: asyncio.run(checked.score([Trajectory(GOOD)])), "engines/x: problem '1': score()")


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
        async def score(self, trajectories, engine):
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


# --- selectors --------------------------------------------------------------------------------------------


def selector(mean, error=0.0):
    class Hostile:
        def accuracy(self, outcomes, budgets, rng):
            size = len(budgets)
            return Accuracy(mean=mean(size), monte_carlo_error=np.full(size, error))

    return lambda options: Hostile()


def constant(value):
    return lambda size: np.full(size, value)


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        (lambda options: object(), "factory: found <object"),
        (selector(constant(-3.0)), "accuracy(): found -3 at k = 1, expected a share, in [0, 1]"),
        (selector(constant(-3.0), 2.0), "accuracy(): found -3 at k = 1, expected a share, in [0, 1]"),
        (selector(constant(2.0), 0.4), "accuracy(): found 2 at k = 1, expected a share, in [0, 1]"),
        (selector(constant(0.0), 0.7), "accuracy(): found 0.7 at k = 1, expected a standard error"),
        (selector(constant(0.0), NAN), "accuracy(): found nan at k = 1, expected a standard error"),
        (
            selector(constant(0.9)),
            "found 0.9 at k = 1, expected at most the coverage 0: what is selected was",
        ),
        (selector(constant(NAN)), "accuracy(): found nan at k = 1"),
        (selector(constant(math.inf)), "accuracy(): found inf at k = 1"),
        (selector(lambda size: np.zeros(size + 1)), "accuracy(): mean: found shape ("),
        (selector(lambda size: 0.0), "accuracy(): mean: found shape (), expected one for each k, of shape ("),
        (selector(lambda size: ["?"] * size), "expected an array of numbers"),
        (selector(lambda size: None), "accuracy(): mean: found shape ()"),
    ],
)
def test_selectors(study, factory, said):
    changed = hostile(study, "selectors", "vote", factory)
    assert said in refusal(lambda: curves(changed), "selectors/majority_vote (label 'vote'): ")


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
        (law(fit=lambda data, start=None: None), "fit(): found None, of shape ()"),
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


@pytest.mark.parametrize(
    ("prices", "said"),
    [
        (None, "factory: found None, expected a price per token by call class"),
        ({"generate": -1.0}, "price of generate: found -1, expected USD per token, at least 0"),
        ({"generate": NAN}, "price of generate: found nan"),
        ({"generate": "0.1"}, "price of generate: found '0.1'"),
        ({"generates": 0.1}, "call class: found 'generates', expected did you mean 'generate'?"),
    ],
)
def test_prices(prices, said):
    entry = PriceEntry(name="list_price", factory=lambda options: prices, summary="Prices.")
    line = refusal(
        lambda: make_prices(Ingredient("mine", entry, entry.options(), "x", "1")), "prices/list_price"
    )
    assert said in line
