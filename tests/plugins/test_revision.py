"""Revisions: chains of attempts, what each reads, and what is handed in of them."""

import pytest
from scripted_engine import Scripted, run

from itscale.errors import StudyError
from itscale.sampling.partners import Partners, SessionScorer
from itscale_builtin.engines.simulated import SimulatedEngine, SimulatedOptions
from itscale_builtin.strategies import repeated_sampling
from itscale_builtin.strategies.revision import check, entry, split


def numbered(request, before, seed):
    """Write which attempt of its chain this is, and a number of its own."""
    said = [turn["content"] for turn in request.chat if turn["role"] == "assistant"]
    return f"attempt {len(said)} {seed % 100_000}"


class Marks:
    """Scores an attempt by the number that it ends with."""

    def __init__(self, marks=None):
        self.marks = marks

    async def score(self, trajectories, desk):
        return [self.marks[one.text] if self.marks else 0.5 for one in trajectories]


def partners(scorer):
    answer = lambda text: text.split("=")[-1] if "=" in text else None  # noqa: E731
    return Partners(scorer=SessionScorer(scorer=scorer, label="s", engines={}), answer=answer)


@pytest.mark.parametrize(
    ("budget", "ratio", "expected"),
    [
        (16, "sequential", (1, 16)),
        (16, "parallel", (16, 1)),
        (16, 1, (4, 4)),
        (16, 4, (2, 8)),
        (16, 0.25, (8, 2)),
        (16, 16, (1, 16)),
        (128, 2, (8, 16)),
        (256, 2**-8, (256, 1)),
    ],
)
def test_the_budget_is_chains_times_attempts(budget, ratio, expected):
    assert split(budget, ratio) == expected
    assert expected[0] * expected[1] == budget


@pytest.mark.parametrize(("budget", "ratio"), [(8, 1), (16, 2), (16, 32), (3, 0.1)])
def test_a_budget_without_that_ratio_is_refused_in_words(budget, ratio):
    with pytest.raises(StudyError, match=f"found budget {budget} with ratio"):
        entry.admits(entry.options(ratio=ratio), budget)


def test_all_attempts_are_handed_in_chain_by_chain():
    engine = Scripted(numbered)
    made, _ = run(entry, engine, budget=12, ratio=3)
    assert [one.text.split()[1] for one in made] == ["0", "1", "2", "3", "4", "4"] * 2
    assert len({one.text for one in made}) == 12
    assert sum(len(request.seeds) for request in engine.requests) == 12
    assert len(engine.requests) == 11  # the first attempts of all chains share their prompt


@pytest.mark.parametrize("context", [1, 4])
def test_an_attempt_reads_the_latest_ones_in_their_order(context):
    engine = Scripted(numbered)
    made, session = run(entry, engine, budget=7, context=context)
    last = engine.requests[-1].chat
    read = [turn["content"] for turn in last if turn["role"] == "assistant"]
    assert read == [one.text for one in made[-1 - context : -1]]
    assert [turn["role"] for turn in last] == ["user", *["assistant", "user"] * context]
    assert "What is 3 + 4?" in last[-1]["content"]  # a small model has forgotten it by then
    (chat,) = (
        root for root in session.tree.roots if session.tree.made[made[-1].nodes[0]].lineage[:-1] == root
    )
    assert session.tree.reads[chat] == {tuple(one.nodes[-1] for one in made[-1 - context : -1][::-1])}


def test_without_revisions_it_is_repeated_sampling():
    engine = SimulatedEngine(SimulatedOptions(success=0.5))
    revised, _ = run(entry, engine, budget=8, ratio="parallel")
    sampled, _ = run(repeated_sampling.entry, engine, budget=8, granted=8 * 512, completions=8)
    assert [one.text for one in revised] == [one.text for one in sampled]


def test_chains_that_came_to_the_same_texts_go_on_apart():
    def script(request, before, seed):
        return "same" if len(request.chat) == 1 else f"{seed}"

    made, _ = run(entry, Scripted(script), budget=8, ratio=0.5)
    assert [one.text for one in made[::2]] == ["same"] * 4
    assert len({one.text for one in made[1::2]}) == 4


def test_within_chains_then_across_differs_from_all_at_once():
    """By sums over all attempts b wins; in the first chain it is a, in the second c."""
    scores = {"x=a": 0.9, "y=b": 0.5, "z=b": 0.35, "u=c": 0.8, "v=b": 0.7, "none": 1.0}
    follows = {"x=a": "y=b", "y=b": "z=b", "u=c": "v=b", "v=b": "none"}
    firsts = iter(["x=a", "u=c"])

    def script(request, before, seed):
        said = [turn["content"] for turn in request.chat if turn["role"] == "assistant"]
        return follows[said[-1]] if said else next(firsts)

    chains = {"hands_in": "chains", "scorer": "s", "partners": partners(Marks(scores))}
    made, _ = run(entry, Scripted(script), budget=6, ratio=1.5, **chains)
    assert [one.text for one in made] == ["x=a", "u=c"]
    assert [one.step_scores for one in made] == [[0.9], [0.8]]


def test_where_no_attempt_has_an_answer_the_highest_score_is_taken():
    engine = Scripted(numbered)
    made, _ = run(entry, engine, budget=4, hands_in="chains", scorer="s", partners=partners(Marks()))
    assert made[0].text.startswith("attempt 3")  # the latest of equals


@pytest.mark.parametrize(
    ("given", "wrong"),
    [({}, 0), ({"hands_in": "chains"}, 1), ({"scorer": "s"}, 1), ({"hands_in": "chains", "scorer": "s"}, 0)],
)
def test_a_chain_is_judged_by_a_scorer(given, wrong):
    assert len(list(check(entry.options(**given)))) == wrong
