"""Trees: every node that a session made, with what it was charged, as far as a study keeps it."""

import asyncio
import random
from collections import Counter

import polars as pl
import pytest
from test_conversations import CHAT, WHOLE, Recording, session

from itscale.curves.trees import drawable
from itscale.errors import BudgetExhausted
from itscale.sampling.nodes import Recorder
from itscale.store.schemas import OUTCOMES_DRAWN, TREES
from itscale.types import SamplingParams

STEP = SamplingParams(max_tokens=1000, stop=("\n\n",))


def rows(one, completions=(), *, nodes=1000, text=1000, pooled=False):
    recorder = Recorder(model="m", scorer="r", pooled=pooled, text=text, nodes=nodes)
    grown = recorder.record(one.tree, one.unit, completions)
    return pl.DataFrame(grown.rows, schema=dict(TREES)), grown.left_out


async def search(one, rounds=3, beams=3):
    """Continue each of some beams twice, keep every other one."""
    kept = [one.start()] * beams
    for _ in range(rounds):
        kept = (await one.extend([beam for beam in kept for _ in range(2)], STEP))[::2]
    return one.complete(kept)


def charged(one):
    """Tokens of prompts and generated tokens by model, as the ledger has them."""
    return {
        by: (account.prompt_tokens, account.generated_tokens)
        for (call, by, _), account in one.ledger.accounts.items()
        if call == "generate"
    }


def by_model(table):
    sums = table.drop_nulls("by").group_by("by").agg(pl.col("prompt_tokens", "generated_tokens").sum())
    return {by: (read, generated) for by, read, generated in sums.rows()}


def test_every_node_is_there_once_with_its_parent_before_it_and_what_it_was_charged():
    one = session(budget=3, stop=3)
    completions = asyncio.run(search(one))
    table, left_out = rows(one, completions)
    seen = set()
    for row in table.iter_rows(named=True):
        assert row["node"] not in seen
        assert row["parent"] in seen or row["kind"] == "chat"
        seen.add(row["node"])
    assert (left_out, table.height) == (0, 1 + 3 * 6)
    assert by_model(table) == charged(one)
    assert dict(table.select("node", "children").filter(pl.col("children") > 0).rows()) == Counter(
        table["parent"].drop_nulls()
    )
    ends = {index: node for node, indices in table.select("node", "completions").rows() for index in indices}
    assert ends == {one.index: one.nodes[-1] for one in completions}
    texts = dict(table.select("node", "text").rows())
    assert ["".join(texts[node] for node in one.nodes) for one in completions] == [
        one.text for one in completions
    ]


@pytest.mark.parametrize("latency", range(3))
def test_neither_latency_nor_the_order_of_calls_changes_a_row(latency):
    async def work(engine, places):
        one = session(engine, worth=10**6)

        async def chain(place):
            draft = await one.write(None, STEP, key=f"{place}")
            chat = [{"role": "user", "content": f"{place}: {draft.text}"}]
            return await one.write(chat, WHOLE, reads=[draft])

        made = dict(zip(places, await asyncio.gather(*map(chain, places)), strict=True))
        return rows(one, one.complete([made[0]]))[0]

    first = asyncio.run(work(Recording(), [0, 1, 2, 3]))
    places = [0, 1, 2, 3]
    random.Random(latency).shuffle(places)
    assert asyncio.run(work(Recording(latency), places)).equals(first)


def test_a_pools_nodes_do_not_depend_on_its_parts():
    async def draw(one):
        return one.complete(await one.extend([one.start()] * one.budget, WHOLE))

    def part(start, stop):
        one = session(start=start, stop=stop, pooled=True)
        return rows(one, asyncio.run(draw(one)), pooled=True)[0]

    whole, parts = part(0, 8), pl.concat([part(0, 3), part(3, 8)])
    assert (
        parts.filter(kind="drawn")
        .drop("prompt_tokens")
        .equals(whole.filter(kind="drawn").drop("prompt_tokens"))
    )
    assert parts.filter(kind="chat")["children"].to_list() == [3, 5]


def test_what_is_cancelled_or_fails_is_there_with_what_it_cost():
    class Stuck(Recording):
        """Tells of three tokens of each sequence, then fails or never ends."""

        async def generate(self, request):
            if request.chat == request.problem.messages:
                return await super().generate(request)
            request.on_prompt(7, 0)
            for place in range(len(request.seeds)):
                request.on_tokens(place, 0)
                request.on_tokens(place, 3)
            if "fail" in request.chat[0]["content"]:
                raise OSError("gone")
            return await asyncio.Event().wait()

    one = session(Stuck())

    async def work():
        draft = await one.write(None, WHOLE)
        task = asyncio.create_task(one.extend([one.start(CHAT)] * 2, WHOLE))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        both = [one.start(), one.start([{"role": "user", "content": "fail"}])]
        await asyncio.gather(one.extend(both, WHOLE), return_exceptions=True)
        return one.complete([draft])

    table, _ = rows(one, asyncio.run(work()))
    assert by_model(table) == charged(one)
    lost = table.filter(pl.col("status") != "done").sort("status")
    assert Counter(lost["status"]) == {"cancelled": 3, "failed": 1}  # one was drawn beside what failed
    assert lost["text"].null_count() == 4
    assert lost.filter(status="failed")["generated_tokens"].to_list() == [3]
    assert lost["generated_tokens"].sum() >= 9


def test_what_is_left_out_is_said_and_completions_stay_whole():
    one = session(budget=2, stop=2)
    completions = asyncio.run(search(one, beams=2))
    every, _ = rows(one, completions)
    paths = {0} | {node for each in completions for node in each.nodes}
    table, left_out = rows(one, completions, nodes=len(paths), text=4)
    assert set(table["node"]) == paths
    assert left_out == every.height - len(paths)
    assert table["text"].str.len_chars().max() == 4
    assert table["characters"].to_list() == every.filter(pl.col("node").is_in(paths))["characters"].to_list()
    assert rows(one, completions, nodes=0)[1] == every.height
    more = table.join(table.group_by("parent").len("kept"), left_on="node", right_on="parent", how="left")
    assert (more["children"] > more["kept"].fill_null(0)).any()


def test_texts_that_no_model_wrote_and_other_chats_are_nodes_too():
    helpers = {"critic": Recording()}
    one = session(helpers=helpers)

    async def work():
        draft = await one.write(None, WHOLE)
        critique = await one.write(
            [*CHAT, {"role": "user", "content": draft.text}], WHOLE, by="critic", reads=[draft]
        )
        again = one.append(draft, "Wait")
        same = one.append(draft, "Wait")
        assert again is same
        try:
            (end,) = await one.extend([again], WHOLE)
        except BudgetExhausted:
            end = again
        return draft, critique, one.complete([end])

    draft, critique, completions = asyncio.run(work())
    table, _ = rows(one, completions)
    assert table.filter(kind="given")["text"].to_list() == ["Wait"]
    assert table.filter(kind="drawn", by="critic")["node"].to_list() == [critique.node]
    chats = {row["node"]: row for row in table.filter(kind="chat").iter_rows(named=True)}
    assert chats[0]["reads"] == []
    (own,) = (row for node, row in chats.items() if node)
    assert (own["reads"], own["text"]) == ([draft.node], draft.text)
    assert by_model(table) == charged(one)


def drawn(one, completions, right=()):
    """The tree as it is drawn, with these indices correct."""
    table, _ = rows(one, completions)
    identity = table.select("problem_id", "budget", "replicate").row(0, named=True)
    judged = [{**identity, "index": each.index, "correct": each.index in right} for each in completions]
    schema = {name: OUTCOMES_DRAWN[name] for name in (*identity, "index", "correct")}
    return drawable(table, pl.DataFrame(judged, schema=schema))


def test_a_search_is_drawn_by_depth_with_a_lane_for_each_leaf():
    one = session(budget=3, stop=3)
    completions = asyncio.run(search(one))
    tree = drawn(one, completions, right={1})
    assert dict(tree.group_by("depth").len().rows()) == {0: 1, 1: 6, 2: 6, 3: 6}
    lanes = dict(tree.select("node", "lane").rows())
    parents = dict(tree.select("node", "parent").rows())
    leaves = set(parents) - set(parents.values())
    assert sorted(lanes[node] for node in leaves) == [float(n) for n in range(len(leaves))]
    assert all(tree.group_by("depth", "lane").len()["len"] == 1)
    ends = {each.nodes[-1]: each.index for each in completions}
    assert {
        ends[node]: right for node, right in tree.drop_nulls("correct").select("node", "correct").rows()
    } == {
        0: False,
        1: True,
        2: False,
    }
    assert not tree["chosen"].any()  # nothing says which


def test_agents_of_one_model_go_on_from_their_own_answers():
    """What a chat quotes first is what it goes on from, whoever wrote first."""
    one = session(worth=10**5)

    async def turns():
        said = [await one.write(None, WHOLE, key=str(agent)) for agent in range(3)]
        for turn in range(2):
            chats = [[{"role": "user", "content": f"{turn} {agent}"}] for agent in range(3)]
            said = [
                await one.write(chat, WHOLE, reads=[said[agent], *said[:agent], *said[agent + 1 :]])
                for agent, chat in enumerate(chats)
            ]
        return one.complete(said[:1])

    tree = drawn(one, asyncio.run(turns()), right={0})
    assert tree.group_by("lane").len()["len"].to_list() == [3, 3, 3]


def test_which_of_equal_chats_was_begun_first_changes_no_table():
    def table(order):
        one = session(worth=10**5)

        async def turns():
            said = [await one.write(None, WHOLE, key=str(agent)) for agent in range(3)]
            for first in order:
                one.start([{"role": "user", "content": "Again."}], reads=[said[first], said[2]])
            chat = one.start([{"role": "user", "content": "Again."}])
            return one.complete(await one.extend([chat], WHOLE))

        return rows(one, asyncio.run(turns()))[0]

    assert table([0, 1]).equals(table([1, 0]))


def test_a_chat_stands_for_what_it_quotes_and_each_model_has_its_lane():
    one = session(helpers={"critic": Recording()}, worth=10**5)

    async def turns():
        mine, theirs = await asyncio.gather(one.write(None, WHOLE), one.write(None, WHOLE, by="critic"))
        for turn in range(2):
            chat = [{"role": "user", "content": f"{turn}: {mine.text}, {theirs.text}"}]
            said = [await one.write(chat, WHOLE, by=by, reads=[mine, theirs]) for by in (None, "critic")]
            mine, theirs = said
        return one.complete([mine])

    completions = asyncio.run(turns())
    tree = drawn(one, completions, right={0})
    assert tree["depth"].to_list() == [0, 1, 1, 2, 2, 3, 3]
    assert tree.filter(pl.col("depth") > 0).group_by("by").agg(pl.col("lane").n_unique())[
        "lane"
    ].to_list() == [1, 1]
    by = dict(tree.select("node", "by").rows())
    for row in tree.filter(pl.col("depth") > 1).iter_rows(named=True):
        assert by[row["parent"]] == row["by"]
        assert [by[node] for node in row["follows"]] != [row["by"]]
    assert tree.filter("chosen")["completions"].to_list() == [[0]]


def circular():
    """A draft, feedback on it, and an attempt of the same text: equal attempts have one chat of feedback."""
    blank = dict.fromkeys(TREES) | {"problem_id": "p", "budget": 0, "replicate": 0, "completion": 0}
    blank |= {"status": "done", "reads": [], "children": 0, "completions": [], "weights": []}
    drawn = {"kind": "drawn", "by": "m", "generated_tokens": 3, "finish_reason": "eos", "text": "t"}
    nodes = [
        {"node": 0, "kind": "chat"},
        {"node": 1, "parent": 0, **drawn},
        {"node": 2, "kind": "chat", "reads": [1, 5]},
        {"node": 3, "parent": 2, **drawn},
        {"node": 4, "kind": "chat", "reads": [1, 3]},
        {"node": 5, "parent": 4, "completions": [0], "weights": [1.0], **drawn},
    ]
    return pl.DataFrame([blank | node for node in nodes], schema=dict(TREES))


def test_a_chat_that_was_written_twice_makes_no_circle():
    shown = drawable(circular(), pl.DataFrame(schema=dict(OUTCOMES_DRAWN)))
    assert shown.select("node", "depth", "parent").rows() == [(0, 0, None), (1, 1, 0), (3, 2, 1), (5, 3, 1)]
    assert shown["follows"].to_list() == [[], [], [], [3]]
    assert shown["correct"].to_list() == [None] * 4


def test_nodes_that_only_quote_each_other_are_drawn_too():
    alone = (
        circular()
        .filter(pl.col("node") != 0)
        .with_columns(
            reads=pl.when(pl.col("node") == 2).then([5]).when(pl.col("node") == 4).then([3]).otherwise([])
        )
    )
    shown = drawable(alone, pl.DataFrame(schema=dict(OUTCOMES_DRAWN)))
    assert sorted(shown["node"]) == [1, 3, 5]
