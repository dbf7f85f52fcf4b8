"""The ledger against a server's log, model by model, to the token: through faults, failures and new tries."""

import asyncio
import json
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from openai_server import choice, error, reply, serving

from itscale.plugins import Options, VerifierEntry
from itscale.plugins.ingredient import Ingredient
from itscale.plugins.references import ModelLabel
from itscale.plugins.strategies import SamplingOptions
from itscale.running.reopening import reopen_failures
from itscale.sampling.blocks import Block
from itscale.stages.problems import write_problems
from itscale.stages.sampling import sample_block
from itscale.stages.verification import verify_block
from itscale.study import resolve
from itscale.types import SamplingParams

BLOCK = Block(0, 0, 6, 0, 3)
PLACE = "sums/writer/talk"
COUNTS = ("prompt_tokens", "cached_prompt_tokens", "generated_tokens")


class Log:
    """What a server said of its replies, and how often it was asked each thing."""

    def __init__(self):
        self.stated = Counter()
        self.asked = Counter()
        self.mended = False
        self.lock = threading.Lock()

    def behave(self, body, number):
        """Answer by what is asked: most things well, some of them only at the second time, some never."""
        model, asked = body["model"], body["messages"][-1]["content"]
        with self.lock:
            self.asked[model, asked] += 1
            again = self.asked[model, asked] > 1
        usage = {"prompt": 5 + len(body["messages"]) + len(asked), "generated": 2 + number % 7}
        good = reply(choice(f"yes {number}"), **usage)
        if "slow" in asked:
            time.sleep(0.3)
            return None  # nobody is there any more, and nothing was stated
        if "fickle" in asked and not again:
            answer = (
                error(503),  # states nothing
                reply({"index": 0}, **usage),  # no message
                reply(choice(finish_reason="abort"), **usage),  # broken off
                reply(choice(), error={"message": "overloaded", "code": 503}, **usage),
            )[number % 4]
        elif "hopeless" in asked and not self.mended:
            answer = reply({"index": 0}, **usage)
        elif "refused" in asked and not self.mended:
            answer = error(400)
        elif "mumbled" in asked and not self.mended:
            answer = reply(choice("well"), **usage)
        elif "generous" in asked:
            answer = reply(choice("yes"), choice("and more"), **usage)
        else:
            answer = good
        if answer[0] == 200:
            stated = answer[2]["usage"]
            stated["prompt_tokens_details"] = {"cached_tokens": number % 3}
            found = (stated["prompt_tokens"], number % 3, stated["completion_tokens"])
            with self.lock:
                self.stated.update({(model, name): count for name, count in zip(COUNTS, found, strict=True)})
                self.stated[model, "calls"] += 1
        return answer


async def talk(problem, session, options):
    """Draft, ask the other model, cancel what takes too long; fail where the question says so."""
    params = options.completion()
    draft = await session.write(problem.messages, params)
    slow = asyncio.create_task(session.write([{"role": "user", "content": f"slow {draft.text}"}], params))
    asked = problem.messages[0]["content"]
    critique = await session.write([{"role": "user", "content": f"Is {asked} right?"}], params, by="judge")
    await asyncio.sleep(0.05)
    slow.cancel()
    await asyncio.gather(slow, return_exceptions=True)
    if "raises" in asked and not LOG.mended:
        raise ValueError("no more")
    chat = [*problem.messages, {"role": "user", "content": critique.text}]
    return session.complete([await session.write(chat, params)])


class TalkOptions(SamplingOptions):
    critic: ModelLabel = "judge"
    """Model that criticises."""


class Judge:
    """Whether a model says yes of the question of a completion, asked twice."""

    def __init__(self, options):
        self.options = options

    async def score(self, trajectories, desk):
        return [await self.ask(trajectory, desk) for trajectory in trajectories]

    async def ask(self, trajectory, desk):
        asked = trajectory.problem.messages[0]["content"]
        said = []
        about = f"{asked.replace('raises', 'mumbled')} {trajectory.text}"
        for key in ("once", "twice"):
            chat = [{"role": "user", "content": f"{key}: {about}"}]
            said.append((await desk.generate(chat, SamplingParams(), by=self.options.judge)).text)
        if not all(text.startswith("yes") for text in said):
            raise ValueError(f"found {said[0]!r}, expected yes")
        return 1.0


class JudgeOptions(Options):
    judge: ModelLabel
    """Model that is asked."""


LOG = Log()


def study_of(url):
    kinds = ("plain", "fickle", "generous", "hopeless", "refused", "raises")
    rows = [{"prompt": f"{kind} {at}?", "reference": "yes"} for at, kind in enumerate(kinds)]
    Path("sums.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    served = {"plugin": "openai", "base_url": url, "max_retries": 1, "pause": 0.001, "concurrency": 8}
    found = resolve(
        {
            "study": "served",
            "tasks": {"sums": {"plugin": "jsonl", "file": "sums.jsonl", "prompt": "{prompt}"}},
            "models": {"writer": {**served, "model": "writer"}, "judge": {**served, "model": "judge"}},
            "strategies": {"talk": {"plugin": "repeated_sampling", "completions": 3}},
            "max_failures": 1.0,
        }
    )
    told = {"name": "judging", "role": "scorer", "summary": "Judges."}
    entry = VerifierEntry(**told, factory=Judge, options=JudgeOptions)
    found.scorers["judging"] = Ingredient("judging", entry, JudgeOptions(judge="judge"), "tests", "1")
    ours = found.strategies["talk"]
    about = {"per": "completion", "options": TalkOptions, "worth": lambda options: 5 * options.max_tokens}
    talker = replace(ours, entry=replace(ours.entry, factory=talk, **about), options=TalkOptions())
    write_problems(found, "sums", Path("problems.parquet"))
    return replace(found, strategies={"talk": talker})


@pytest.fixture
def served(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(f"{__name__}.LOG", Log())
    with serving(lambda body, number: LOG.behave(body, number)) as server:
        yield study_of(server.url)


def paths(*kinds, folder=""):
    return {kind: Path("results", kind, PLACE, folder, f"{BLOCK.name}.parquet") for kind in kinds}


def sample(study):
    told = {"problems": Path("problems.parquet"), "model_directories": {}}
    files = paths("completions", "ledger", "trees")
    sample_block(study, "sums", "writer", "talk", BLOCK, **told, **files)
    return pl.read_parquet(files["completions"])


def verify(study):
    files = paths("verdicts", "ledger", folder="judging")
    verify_block(
        study,
        *("sums", "writer", "talk", "judging"),
        problems=Path("problems.parquet"),
        **paths("completions"),
        model_directories={},
        output=files["verdicts"],
        ledger=files["ledger"],
    )
    return pl.read_parquet(files["verdicts"])


def ledger():
    return pl.concat(pl.read_parquet(path) for path in Path("results/ledger").rglob("p*.parquet"))


def charged():
    """Return what the ledgers charge, as the log has it; calls that nothing was stated of apart."""
    known = ledger().drop_nulls("generated_tokens").group_by("by").agg(pl.col("calls", *COUNTS).sum())
    return {(row["by"], name): row[name] for row in known.to_dicts() for name in ("calls", *COUNTS)}


def try_again(study):
    LOG.mended = True
    found = reopen_failures(Path("results"), Path("manifest.json"))
    return found.units, found.verdicts


def test_the_ledger_is_what_the_server_stated_of_each_model(served):
    assert set(sample(served)["problem_id"]) == {"0", "1", "2"}  # others are hopeless, refused, or raise
    assert charged() == LOG.stated
    lost = ledger().filter("failed")
    assert set(lost["problem_id"]) >= {"1", "2", "3", "5"}  # broken replies, choices too many, units
    assert try_again(served) == (9, 0)
    assert len(sample(served)) == 18
    assert charged() == LOG.stated
    whole = ledger()
    assert whole.filter("failed")["prompt_tokens"].sum() >= lost["prompt_tokens"].sum()
    assert set(whole.filter(pl.col("generated_tokens").is_null())["by"]) == {"writer"}  # the cancelled ones

    LOG.mended = False
    verdicts = verify(served)
    failed = verdicts.filter(status="error")
    assert set(failed["problem_id"]) == {"3", "4", "5"}
    assert charged() == LOG.stated
    paid = LOG.stated.copy()
    assert try_again(served) == (0, 9)
    assert set(verify(served)["status"]) == {"judged"}
    assert charged() == LOG.stated
    asked = {text for (model, text), times in LOG.asked.items() if model == "judge" and times > 1}
    assert not [text for text in asked if "once: plain" in text]  # what was right is not asked again
    assert LOG.stated["writer", "calls"] == paid["writer", "calls"]
