"""A contract that lets a broken plugin pass is worth nothing: each of these plugins breaks one promise."""

import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from itscale.outcomes import Accuracy
from itscale.plugins import (
    EngineEntry,
    FigureEntry,
    LawEntry,
    Options,
    PriceEntry,
    SelectorEntry,
    StrategyEntry,
    TaskEntry,
    VerifierEntry,
)
from itscale.plugins.figures import Drawing
from itscale.plugins.laws import TableData
from itscale.plugins.references import ModelLabel
from itscale.plugins.strategies import SamplingOptions
from itscale.plugins.table_laws import TableOptions, table_file
from itscale.testing import (
    EngineContract,
    EntryContract,
    FigureContract,
    LawContract,
    OracleContract,
    PriceContract,
    ScorerContract,
    SelectorContract,
    StrategyContract,
    TableLawContract,
    TaskContract,
)
from itscale.types import GenerationRequest, Problem, Verdict
from itscale_builtin.engines import simulated


class Undocumented(Options):
    plugin: int = 1


class Greedy:
    """Takes the oracle's word for what is correct, and looks at all completions whatever k is."""

    def accuracy(self, outcomes, budgets, rng):
        mean = np.full(len(budgets), float(outcomes.correct.any()))
        return Accuracy(mean=mean, monte_carlo_error=np.zeros(len(budgets)))


class FirstOnly:
    """Looks at the completion that happens to be first."""

    def accuracy(self, outcomes, budgets, rng):
        mean = np.full(len(budgets), float(outcomes.correct[0]))
        return Accuracy(mean=mean, monte_carlo_error=np.zeros(len(budgets)))


class Mean:
    """Takes the share of correct completions, whatever made their number."""

    def accuracy(self, outcomes, budgets, rng):
        mean = np.full(len(budgets), float(outcomes.correct.mean()))
        return Accuracy(mean=mean, monte_carlo_error=np.zeros(len(budgets)))


class Lucky:
    """Draws from a generator of its own."""

    def accuracy(self, outcomes, budgets, rng):
        found = np.random.default_rng().random(len(budgets))
        return Accuracy(mean=found, monte_carlo_error=np.ones(len(budgets)))


class Line:
    """Divides by what may be zero, and leaves [0, 1] far beyond the data."""

    parameters, estimand = ("slope",), "asymptotic"

    def fit(self, data, start=None):
        return np.array([np.polyfit(data.budgets, data.coverage, 1)[0] / data.coverage.sum()])

    def predict(self, parameters, budgets):
        return parameters[0] * budgets


class Evaluator:
    """Believes what a model writes."""

    def answer(self, problem, text):
        if "9**9" in text:
            time.sleep(5)
        return str(eval(text))

    def classes(self, answers):
        return sorted(answers)

    def judge(self, problem, answers):
        return [Verdict(correct=place == 0) for place, _ in enumerate(answers)]


class Lumping(Evaluator):
    """Takes all answers for the same, and judges them differently."""

    def classes(self, answers):
        return [max(answers) for _ in answers]


class Overjoyed:
    async def score(self, trajectories, desk):
        return [len(trajectories) / 2 for _ in trajectories]


class Forgetful(simulated.SimulatedEngine):
    """Draws from one stream for all requests and charges the prompt to everyone."""

    drawn = 0

    async def generate(self, request):
        self.drawn += 1
        made = await super().generate(
            replace(request, seeds=tuple(seed + self.drawn for seed in request.seeds))
        )
        return [replace(one, prompt_tokens=one.context_tokens) for one in made]


async def repeats_itself(problem, session, options):
    """Hands in one completion many times, in the wrong place of the pool."""
    (one,) = await session.extend([session.start()], options.completion())
    return [replace(made, index=0) for made in session.complete([one] * session.budget)]


async def spends_in_secret(problem, session, options):
    """Goes round the session."""
    drawn = await session.extend([session.start()] * session.budget, options.completion())
    request = GenerationRequest(
        problem=session._desk.problem, prefix=(), params=options.completion(), seeds=(1,)
    )
    await session._desk.engines[""].generate(request)
    return session.complete(drawn)


def selector(factory):
    return type(
        "Broken",
        (SelectorContract,),
        {"entry": SelectorEntry(name="x", factory=lambda _: factory(), summary="x")},
    )


def strategy(factory):
    entry = StrategyEntry(
        name="x", factory=factory, options=SamplingOptions, draws="exchangeable", summary="x"
    )
    return type("Broken", (StrategyContract,), {"entry": entry})


LINE = type(
    "Broken",
    (LawContract,),
    {"entry": LawEntry(name="x", factory=lambda _: Line(), takes="curve", summary="x")},
)
ORACLE = type(
    "Broken",
    (OracleContract,),
    {
        "entry": VerifierEntry(name="x", factory=lambda _: Evaluator(), role="oracle", summary="x"),
        "wrong": ("1", "2"),
        "patience": 0.2,
    },
)
LUMPING = type(
    "Broken",
    (ORACLE,),
    {"entry": VerifierEntry(name="x", factory=lambda _: Lumping(), role="oracle", summary="x")},
)
SCORER = type(
    "Broken",
    (ScorerContract,),
    {"entry": VerifierEntry(name="x", factory=lambda _: Overjoyed(), role="scorer", summary="x")},
)
ENGINE = type(
    "Broken",
    (EngineContract,),
    {
        "entry": EngineEntry(
            name="x",
            factory=lambda options, **_: Forgetful(options),
            options=simulated.SimulatedOptions,
            offers=simulated.OFFERS,
            summary="x",
        )
    },
)
ENTRY = type(
    "Broken",
    (EntryContract,),
    {
        "entry": StrategyEntry(
            name="x", factory=list, options=Undocumented, draws="exchangeable", summary="two\nlines"
        )
    },
)


@pytest.mark.parametrize(
    ("contract", "promise", "arguments"),
    [
        (ENTRY, "it_is_an_entry_with_a_one_line_summary", ()),
        (ENTRY, "every_option_is_documented", ()),
        (ENTRY, "no_option_takes_a_key_of_the_study", ()),
        (selector(Greedy), "it_never_beats_coverage", ()),
        (selector(Greedy), "one_completion_is_as_right_as_the_mean", ()),
        (selector(FirstOnly), "order_of_completions_does_not_matter", ()),
        (selector(Mean), "it_is_unbiased_or_refuses_after_sampling_until_success", ()),
        (selector(Mean), "it_refuses_adaptive_sampling_or_takes_it_into_account", ()),
        (selector(Lucky), "equal_generators_give_equal_values", ()),
        (selector(Lucky), "unanimous_completions", (7, 0, True, 1.0)),
        (LINE, "it_follows_the_curve_it_is_fitted_to", ()),
        (LINE, "predictions_are_coverage", ()),
        (ORACLE, "verdicts_do_not_depend_on_company", ()),
        (ORACLE, "classes_are_a_partition", ()),
        (LUMPING, "equivalent_answers_are_judged_alike", ()),
        (ORACLE, "wrong_answers_are_wrong", ()),
        (SCORER, "scores_are_in_the_unit_interval", ()),
        (SCORER, "scores_do_not_depend_on_company", ()),
        (ENGINE, "the_prompt_is_charged_once", ()),
        (ENGINE, "equal_seeds_give_equal_generations", ()),
        (strategy(repeats_itself), "completions_belong_to_their_unit", ()),
        (strategy(repeats_itself), "a_pool_does_not_depend_on_how_it_is_cut", ()),
        (strategy(spends_in_secret), "the_ledger_is_what_the_engine_computed", ()),
        (strategy(spends_in_secret), "it_stays_within_its_budget", ()),
    ],
)
def test_a_broken_promise_is_noticed(contract, promise, arguments) -> None:
    with pytest.raises(AssertionError, match=r"\S"):  # a bare one would not say what was found
        getattr(contract(), f"test_{promise}")(*arguments)


# --- what a study would not take --------------------------------------------------------------------------


def broken(contract, entry, **attributes):
    return type("Broken", (contract,), {"entry": entry, **attributes})()


def tampered(**changes):
    class Tampered(simulated.SimulatedEngine):
        async def generate(self, request):
            return [replace(one, **changes) for one in await super().generate(request)]

    entry = replace(ENGINE.entry, factory=lambda options, **_: Tampered(options))
    return broken(EngineContract, entry)


def hands_in(change):
    async def factory(problem, session, options):
        drawn = await session.extend([session.start()] * session.budget, options.completion())
        return change(session.complete(drawn))

    return strategy(factory)()


def saying(contract, **methods):
    """A verifier or a law whose methods say something else."""
    made = type("Hostile", (), {name: staticmethod(how) for name, how in methods.items()})
    role = "oracle" if contract is OracleContract else "scorer"
    return broken(contract, VerifierEntry(name="x", factory=lambda _: made(), role=role, summary="x"))


def scoring(score):
    async def say(trajectories, desk):
        return score(trajectories)

    return saying(ScorerContract, score=say)


def judging(**methods):
    good = {
        "answer": lambda problem, text: text,
        "classes": lambda answers: answers,
        "judge": lambda problem, answers: [Verdict(correct=True) for _ in answers],
    }
    return saying(OracleContract, **{**good, **methods})


def law(fit=lambda data, start=None: [0.1], predict=lambda parameters, k: 0 * k):
    methods = {"fit": staticmethod(fit), "predict": staticmethod(predict)}
    made = type("Hostile", (), {"parameters": ("rate",), "estimand": "asymptotic", **methods})
    return broken(LawContract, LawEntry(name="x", factory=lambda _: made(), takes="curve", summary="x"))


def table_law(fitted):
    methods = {
        "fit": staticmethod(lambda data, start=None: fitted),
        "predict": staticmethod(lambda parameters, inputs: inputs["n"]),
        "scale": staticmethod(lambda inputs: inputs["n"]),
    }
    names = {"parameters": ("a", "b"), "inputs": ("n",), "estimand": "asymptotic"}
    made = type("Hostile", (), {**names, **methods})
    entry = LawEntry(
        name="x", factory=lambda _: made(), options=TableOptions, takes="table", files=table_file, summary="x"
    )
    data = TableData(inputs={"n": np.arange(1.0, 9.0)}, response=np.ones(8))
    return broken(TableLawContract, entry, data=data, options={"file": "runs.csv"})


def giving(mean, error=0.0, estimand="selected"):
    class Hostile:
        def accuracy(self, outcomes, budgets, rng):
            return Accuracy(mean=mean(budgets), monte_carlo_error=np.full(len(budgets), error))

    about = {"name": "x", "factory": lambda _: Hostile(), "estimand": estimand, "summary": "x"}
    return broken(SelectorContract, SelectorEntry(**about))


def task(*problems):
    about = {"name": "x", "factory": lambda _: iter(problems), "oracle": "exact_match", "summary": "x"}
    return broken(TaskContract, TaskEntry(**about))


def price(prices):
    return broken(PriceContract, PriceEntry(name="x", factory=lambda _: prices, summary="x"))


def figure(table):
    class Hostile:
        def draw(self, data):
            from matplotlib.figure import Figure

            return Drawing(figure=Figure(), table=table, summary=table)

    about = {"reads": ("curves",), "caption": "Nothing to see here.", "summary": "x"}
    return broken(FigureContract, FigureEntry(name="x", factory=lambda _: Hostile(), **about))


CHAT = ({"role": "user", "content": "1?"},)
TAKEN = [
    (task(Problem(problem_id=7, messages=CHAT, reference="1")), "its_problems", "problem_id: found 7"),
    (task(Problem(problem_id="7", messages=(), reference="1")), "its_problems", "messages: found ()"),
    (tampered(tokens=-1), "its_generations", "tokens: found -1"),
    (tampered(logprob=np.nan), "its_generations", "logprob: found nan"),
    (tampered(prompt_tokens=0), "its_generations", "prompt_tokens: found 0"),
    (hands_in(lambda completions: None), "its_completions", "completions: found None"),
    (hands_in(lambda given: [replace(one, text="42") for one in given]), "its_completions", "text of a"),
    (
        hands_in(lambda given: [replace(one, generated_tokens=1) for one in given]),
        "its_completions",
        "found 1",
    ),
    (judging(answer=lambda problem, text: 7), "its_word", "answer(): found 7"),
    (judging(classes=lambda answers: answers[1:]), "its_word", "representatives for"),
    (judging(judge=lambda problem, answers: [None] * len(answers)), "its_word", "judge(): found None"),
    (
        scoring(lambda given: [3.0] * len(given)),
        "its_scores",
        "score(): found 3, expected a number in [0, 1]",
    ),
    (scoring(lambda given: [np.nan] * len(given)), "its_scores", "score(): found nan"),
    (scoring(lambda given: [0.5]), "its_scores", "found 1 scores for 5 trajectories"),
    (scoring(lambda given: None), "its_scores", "score(): found None"),
    (giving(lambda budgets: np.full(len(budgets), -3.0), 0.4), "its_accuracies", "found -3 at k = 1"),
    (giving(lambda budgets: np.full(len(budgets), np.nan)), "its_accuracies", "found nan at k = 1"),
    (giving(lambda budgets: np.zeros(3)), "its_accuracies", "mean: found shape (3,)"),
    (giving(lambda budgets: 0.0 * budgets, estimand="coverage"), "its_accuracies", "which its entry says"),
    (law(fit=lambda data, start=None: [1.0, 2.0]), "its_fits", "expected 1 parameters: rate"),
    (law(fit=lambda data, start=None: [np.inf]), "its_fits", "expected finite parameters"),
    (law(predict=lambda parameters, k: 0 * k + 7), "its_fits", "predict(): found 7 at k = 1"),
    (table_law([1.0]), "its_fits", "expected 2 parameters: a, b"),
    (figure(pl.DataFrame({"k": [1]})), "its_drawing", "expected a Boolean column `simulated`"),
    (figure("table"), "its_drawing", "expected a polars DataFrame"),
]


@pytest.mark.parametrize(("contract", "what", "said"), TAKEN, ids=[f"{w}: {s}" for _, w, s in TAKEN])
def test_what_a_study_would_not_take_is_noticed(contract, what, said) -> None:
    verb = "believes" if what == "its_generations" else "takes"
    with pytest.raises(AssertionError, match=rf"/x: .*{re.escape(said)}"):
        getattr(contract, f"test_a_study_{verb}_{what}")()


def test_a_price_that_is_none_is_noticed() -> None:
    with pytest.raises(AssertionError, match="price of prompt: found -1, expected USD per token"):
        price({"prompt": -1, "generated": 1}).test_prices_are_numbers_by_class_of_tokens()


@pytest.mark.parametrize(("estimand", "rate"), [("single", 0.0), ("reliability", 0.0)])
def test_an_estimand_that_is_another_is_noticed(estimand, rate) -> None:
    contract = giving(lambda budgets: np.full(len(budgets), rate), estimand=estimand)
    with pytest.raises(AssertionError):
        contract.test_it_estimates_what_its_entry_says()


def test_a_literal_that_no_study_knows_is_noticed() -> None:
    entry = VerifierEntry(name="x", factory=lambda _: None, role="score", summary="x")
    with pytest.raises(AssertionError, match="verifiers/x: role: found 'score', expected 'oracle'"):
        broken(ScorerContract, entry).test_it_declares_what_a_study_knows()


@pytest.mark.parametrize("case", ["nothing is ever correct", "one point"])
def test_a_law_that_stumbles_over_poor_data_is_noticed(case) -> None:
    with pytest.raises((Warning, ValueError, TypeError, AssertionError)):
        LINE().test_data_that_say_nothing_are_no_crash(case)


@pytest.mark.parametrize("kind", ["unbalanced braces", "empty"])
def test_an_oracle_that_raises_is_noticed(kind) -> None:
    with pytest.raises(SyntaxError):
        ORACLE().test_hostile_text_gets_a_verdict(kind)


def test_an_oracle_that_hangs_is_noticed() -> None:
    with pytest.raises(pytest.fail.Exception, match="still running"):
        ORACLE().test_hostile_text_gets_a_verdict("tower of powers")


class FileOptions(Options):
    file: Path
    """Where problems are."""


def test_a_file_that_options_name_and_the_entry_does_not_is_noticed() -> None:
    about = {"name": "x", "factory": lambda _: (), "oracle": "math", "summary": "x", "options": FileOptions}
    given = {"file": "problems.tsv"}
    contract = broken(TaskContract, TaskEntry(**about), options=given)
    with pytest.raises(AssertionError, match=r"files\(\) leaves out problems.tsv, which the options name"):
        contract.test_files_that_options_name_are_part_of_the_fingerprint()
    about["files"] = lambda options: {"file": options.file}
    contract = broken(TaskContract, TaskEntry(**about), options=given)
    contract.test_files_that_options_name_are_part_of_the_fingerprint()


def test_a_reference_is_judged_by_the_answer_in_it() -> None:
    spelled = Problem(problem_id="7", messages=CHAT, reference="1,200")
    about = {"name": "x", "factory": lambda _: iter([spelled]), "oracle": "math", "summary": "x"}
    broken(TaskContract, TaskEntry(**about)).test_its_oracle_accepts_every_reference()


@pytest.mark.parametrize("says", [True, False])
def test_whether_a_strategy_draws_nothing_is_its_contracts_to_say(says) -> None:
    async def greedy(problem, session, options):
        found = await session.next_logprobs(session.start(), top=1)
        return session.complete([await session.take(found, int(found.token_ids[0]))])

    about = {"options": SamplingOptions, "draws": "runs", "needs": frozenset({"next_logprobs"})}
    entry = StrategyEntry(name="x", factory=greedy, summary="x", **about)
    contract = broken(StrategyContract, entry, deterministic=says)
    if says:
        contract.test_the_same_seed_gives_the_same_completions()
    else:
        with pytest.raises(AssertionError, match="say in `deterministic`"):
            contract.test_the_same_seed_gives_the_same_completions()


def test_helpers_that_a_contract_lacks_are_named() -> None:
    class Asking(SamplingOptions):
        critic: ModelLabel
        """Who is asked."""

    entry = StrategyEntry(name="x", factory=None, options=Asking, draws="exchangeable", summary="x")
    contract = broken(StrategyContract, entry, options={"critic": "one"})
    with pytest.raises(AssertionError, match="helpers: found none called 'one', which the options name"):
        contract.run(contract.unit(4))
