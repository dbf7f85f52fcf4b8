"""Monte Carlo tree search: bounds by hand, the four phases, and what the budget counts."""

from math import inf

import numpy as np
import pytest
from lettered_search import drawn, in_order, matched, path, search
from scripted_engine import PROBLEM, charged

from itscale.errors import EngineError
from itscale.types import Step, Trajectory
from itscale_builtin.strategies.mcts import MctsOptions, Node, back_up, bound, entry, likelihoods, select

EMPTY = Trajectory(PROBLEM.question)


def tree() -> Node:
    """A root visited ten times; children with 4, 6 and no visits, and values 3.0 and 1.2."""
    root = Node(EMPTY, visits=10, value=4.2)
    for visits, value, prior in ((4, 3.0, 0.5), (6, 1.2, 0.3), (0, 0.0, 0.2)):
        root.children.append(Node(EMPTY, root, prior, visits=visits, value=value))
    return root


def options(**given) -> MctsOptions:
    return MctsOptions(scorer="r", **given)


class Lots:
    """A session of which only the random generator is there."""

    def __init__(self, seed=0):
        self.rng = np.random.default_rng(seed)


def test_uct_by_hand():
    """0.75 + 2 sqrt(ln 10 / 4), 0.2 + 2 sqrt(ln 10 / 6), and whatever was never visited before all."""
    root = tree()
    found = [bound(child, root, options()) for child in root.children]
    assert found == pytest.approx([2.2674271, 1.4389741, inf])
    assert bound(root.children[0], root, options(exploration=0)) == 0.75


def test_puct_by_hand():
    """Q + prior (ln((10 + 19652 + 1) / 19652) + 1.25) sqrt(10) / (1 + N), and Q is 0 before a visit."""
    root = tree()
    found = [bound(child, root, options(policy="puct")) for child in root.children]
    assert found == pytest.approx([1.1454617, 0.3694836, 0.7909233])


def test_the_best_bound_is_descended_to():
    root = tree()
    assert select(root, options(), Lots()) is root.children[2]
    assert select(root, options(policy="puct"), Lots()) is root.children[0]
    root.children.pop()
    assert select(root, options(), Lots()) is root.children[0]
    assert select(root, options(exploration=100), Lots()) is root.children[0]
    root.children[1].visits = 1
    assert select(root, options(exploration=100), Lots()) is root.children[1]


def test_ties_are_broken_at_random_and_the_order_of_children_favours_none():
    for order in ((0, 1, 2), (2, 1, 0)):
        root = tree()
        for child in root.children:
            child.visits, child.value = 0, 0.0
        root.children = [root.children[place] for place in order]
        chosen = [root.children.index(select(root, options(), Lots(seed))) for seed in range(300)]
        assert all(70 < chosen.count(place) < 130 for place in range(3))


def test_a_simulation_is_counted_in_all_of_its_path_and_nowhere_else():
    root = tree()
    leaf = Node(EMPTY, root.children[1])
    back_up(leaf, 0.5)
    assert [(node.visits, node.value) for node in (leaf, root.children[1], root)] == [
        (1, 0.5),
        (7, pytest.approx(1.7)),
        (11, pytest.approx(4.7)),
    ]
    assert (root.children[0].visits, root.children[2].visits) == (4, 0)


def test_priors_are_shares_of_the_mean_probability_of_a_token():
    """exp(-1 / 2) and exp(-3 / 3), over their sum."""
    steps = [
        Trajectory(PROBLEM.question, EMPTY, Step(text="a", tokens=tokens, logprob=logprob, node=tokens))
        for tokens, logprob in ((2, -1.0), (3, -3.0))
    ]
    assert likelihoods(steps) == pytest.approx([0.6224593, 0.3775407])
    untold = Trajectory(PROBLEM.question, EMPTY, Step(text="a", tokens=1, logprob=None, node=1))
    with pytest.raises(EngineError, match="no log-probabilities"):
        likelihoods([untold])


@pytest.mark.parametrize("policy", ["uct", "puct"])
def test_simulations_are_what_the_budget_counts(policy):
    """Each expands one node by all its children, and rolls one completion out, which is handed in once."""
    made, session, engine, scorer = search(
        entry, drawn("abcd", 6), matched("abcdab"), budget=12, width=3, policy=policy, prior="likelihood"
    )
    expansions = [request for request in engine.requests if request.params.stop]
    roll_outs = [request for request in engine.requests if not request.params.stop]
    assert {len(request.seeds) for request in expansions} == {3}
    assert len({len(request.prefix) for request in expansions}) > 1
    assert len(expansions) == len(roll_outs) == len(made) == len(scorer.asked) == 12
    assert {one.finish_reason for one in made} == {"eos"}
    assert [one.weight for one in made] == [matched("abcdab")(path(one.text)) for one in made]
    assert engine.written == charged(session, "generated_tokens")


@pytest.mark.parametrize(
    ("given", "least"),
    [({"exploration": 0.3}, 0.6), ({"policy": "puct"}, 0.35), ({"exploration": 1e5}, 0.25)],
)
def test_it_spends_its_simulations_where_scores_are_high(given, least):
    """One of four first letters is right; without a look at scores each has its quarter."""
    steps, rest = in_order("abcd", 5), drawn("abcd", 5)

    def script(request, before, seed):
        return (steps if request.params.stop else rest)(request, before, seed)

    for number in range(5):
        made, *_ = search(entry, script, matched("cabad"), budget=48, replicate=number, **given)
        share = np.mean([path(one.text)[0] == "c" for one in made])
        assert share > least or share == least == 0.25


def test_a_finished_path_is_handed_in_once_however_often_it_is_visited():
    made, _, engine, _ = search(entry, in_order("ab", 1), matched("a"), budget=8, width=2)
    assert sorted(path(one.text) for one in made) == ["a", "b"]
    assert len(engine.requests) == 1


def test_nodes_at_the_depth_of_the_tree_are_rolled_out_and_not_expanded():
    made, _, engine, _ = search(entry, drawn("abcd", 6), matched("a"), budget=8, width=2, max_steps=1)
    assert sum(bool(request.params.stop) for request in engine.requests) == 1
    assert len(made) == 8
    assert {len(one.nodes) for one in made} == {2}
