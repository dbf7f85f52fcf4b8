"""Adaptive branching: answers anew, or better ones of those there are (AB-MCTS-A, Inoue et al. 2025)."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from pydantic import Field

from itscale.errors import BudgetExhausted
from itscale.plugins import StrategyEntry
from itscale.plugins.prompts import fills, shipped
from itscale.plugins.references import ModelLabel, ScorerLabel
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question, Trajectory
from itscale_builtin.strategies._chats import go_on

if TYPE_CHECKING:
    from treequest import ABMCTSA

SAMPLED = "sampled"
"""Arm of the model that is sampled."""


class AbMctsOptions(SamplingOptions):
    """Options of the search; the number of answers is the budget of the run."""

    scorer: ScorerLabel
    """Label of the scorer among the study's verifiers."""
    models: tuple[ModelLabel, ...] = Field(default=(), max_length=100)
    """Labels of the models that write, too: each is an arm beside the model that is sampled."""
    prior: Literal["gaussian", "beta"] = "gaussian"
    """Law of the scores: a normal one of unknown mean and variance (prior m = 0, kappa = 1, nu = 1, tau^2 =
    0.1), or a Beta one (prior 0.5, 0.5) whose parameters grow by s and 1 - s."""
    arms: Literal["thompson", "ucb", "apart"] = "thompson"
    """How one of several models is chosen: by Thompson sampling, or by UCB, once a new answer is due; or
    first of all, with posteriors of its own for each (`apart`)."""
    at_once: int = Field(default=1, ge=1, le=10_000)
    """Answers that are written at the same time: all places are drawn before the first is scored."""
    refine: Annotated[str, fills()] = shipped(__package__, "ab_mcts", "refine")
    """What the user says after an answer that is to be made better."""


async def ab_mcts(problem: Question, session: Session, options: AbMctsOptions) -> list[Completion]:
    """Go from the root down by Thompson sampling, write one answer there, score it, back the score up.

    At each node the posterior of new answers (GEN: scores of those that were written there) is sampled, and
    that of going on (CONT: scores backed up through existing children), then, if it is the latter, those of
    the children. A new answer below the root is one anew; below an answer it makes that better, in a
    conversation. A score updates GEN and the arm at the parent, and, at every node above, the child it came
    through and CONT. The tree and its posteriors are treequest's.

    Charged: a generation and a score for each of N answers, all of which are handed in, with their scores as
    weights. Departures: the paper's refinements read what tests or a user said of an answer, which a general
    task does not have; variant M (a mixed model of all scores) needs a probabilistic programming library and
    is left out.
    """
    algorithm = _algorithm(options)
    state, made, scores = algorithm.init_tree(), list[Trajectory](), list[float]()
    writers: dict[str, str | None] = {SAMPLED: None, **{f"model {label}": label for label in options.models}}

    async def write(parent: Trajectory | None, by: str | None) -> Trajectory | None:
        chat = None if parent is None else go_on(problem, parent.text, options.refine)
        key = "" if parent is None else str(parent.node)
        read = () if parent is None else (parent,)
        try:
            return await session.write(chat, options.completion(), by=by, key=key, reads=read)
        except BudgetExhausted:
            return None

    while len(made) < session.budget:
        with _drawing_by(session.rng):
            wanted = min(options.at_once, session.budget - len(made))
            state, trials = algorithm.ask_batch(state, wanted, list(writers))
        drawn = await asyncio.gather(*(write(trial.parent_state, writers[trial.action]) for trial in trials))
        done = [(trial, one) for trial, one in zip(trials, drawn, strict=True) if one is not None]
        found = await session.score([one for _, one in done])
        for (trial, one), score in zip(done, found, strict=True):
            state = algorithm.tell(state, trial.trial_id, (one, float(score)))
            made.append(one)
            scores.append(float(score))
        if len(done) < len(trials):
            break
    return session.complete(made, scores) if made else session.complete([session.start()])


def _algorithm(options: AbMctsOptions) -> "ABMCTSA[Trajectory]":
    from treequest import ABMCTSA

    rules = {"thompson": "multiarm_bandit_thompson", "ucb": "multiarm_bandit_ucb", "apart": "stack"}
    return ABMCTSA(dist_type=options.prior, model_selection_strategy=rules[options.arms])


@contextmanager
def _drawing_by(rng: np.random.Generator) -> Iterator[None]:
    """Let what is drawn from NumPy's global generator, as treequest does, be a function of another one."""
    before = np.random.get_state()  # noqa: NPY002 - treequest takes no generator
    np.random.seed(int(rng.integers(2**32)))  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002


entry = StrategyEntry(
    name="ab_mcts",
    aliases=("ab_mcts_a", "adaptive_branching", "multi_llm_ab_mcts"),
    family="search",
    factory=ab_mcts,
    options=AbMctsOptions,
    draws="runs",
    requires=("treequest",),
    extra="itscale[search]",
    summary="Answers anew or better ones of those there are, by Thompson sampling; several models as arms.",
    reference="Inoue et al. 2025, Wider or Deeper? Scaling LLM Inference-Time Compute with AB-MCTS",
)
