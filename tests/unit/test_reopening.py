"""Blocks with failures, tried again: what is right is kept, and nothing is paid for twice."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest

from itscale.errors import TooManyFailuresError
from itscale.running.reopening import reopen_failures
from itscale.sampling.blocks import Block
from itscale.sampling.failures import read_failures
from itscale.stages.declared import SAMPLING
from itscale.stages.outcomes import units_of_blocks
from itscale.stages.problems import write_problems
from itscale.stages.sampling import sample_block
from itscale.store.parquet import read_metadata
from itscale.study import Study, resolve

BLOCK = Block(0, 0, 3, 2, 6)
PLACE = Path("completions/numbers/sim/talk")
ASKED: Counter[tuple[str, int]] = Counter()
BROKEN: set[tuple[str, int]] = set()


async def talk(problem, session, options):
    """Draw one completion; fail where it is said to."""
    here = problem.problem_id, session.unit.start
    ASKED[here] += 1
    drawn = await session.extend([session.start()] * session.budget, options.completion())
    if here in BROKEN:
        raise ValueError("no answer")
    return session.complete(drawn)


@pytest.fixture(params=["completion", "pool"])
def study(request, tmp_path, monkeypatch) -> Study:
    monkeypatch.chdir(tmp_path)
    Path("numbers.jsonl").write_text("".join(f'{{"q": "{n}?", "a": "{n}"}}\n' for n in range(3)))
    found = resolve(
        {
            "study": "tiny",
            "tasks": {
                "numbers": {"plugin": "jsonl", "file": "numbers.jsonl", "prompt": "{q}", "reference": "a"}
            },
            "models": {"sim": {"plugin": "simulated"}},
            "strategies": {"talk": {"plugin": "repeated_sampling", "completions": 8}},
            "max_failures": 3,
        }
    )
    ours = found.strategies["talk"]
    entry = replace(ours.entry, factory=talk, per=request.param)
    write_problems(found, "numbers", Path("problems.parquet"))
    ASKED.clear()
    BROKEN.clear()
    return replace(found, strategies={"talk": replace(ours, entry=entry)})


def sample(study: Study) -> tuple[pl.DataFrame, ...]:
    kinds = ("completions", "ledger", "trees")
    files = {kind: Path(f"{kind}/numbers/sim/talk/{BLOCK.name}.parquet") for kind in kinds}
    given = {"problems": Path("problems.parquet"), "model_directories": {}}
    sample_block(study, "numbers", "sim", "talk", BLOCK, **given, **files)
    completions, ledger, trees = map(pl.read_parquet, files.values())
    return completions, ledger.drop("seconds"), trees


def test_only_what_failed_is_done_again_and_the_rest_is_charged_once(study):
    whole = sample(study)
    units = set(ASKED)
    for path in Path().glob("*/numbers/sim/talk/p*.parquet"):
        path.unlink()
    ASKED.clear()
    BROKEN.update(sorted(units)[1:3])
    lost = sorted(units)[1:3]

    def of_lost(row):
        return (row["problem_id"], row["start"]) in lost

    sample(study)
    assert len(read_failures(PLACE / f"{BLOCK.name}.parquet")) == 2
    assert reopen_failures(Path(), Path("manifest.json")).units == 2
    BROKEN.clear()
    again = sample(study)
    assert {unit: 1 + (unit in sorted(units)[1:3]) for unit in units} == ASKED
    assert again[0].equals(whole[0])
    failed = pl.col("failed")
    assert again[1].filter(~failed).equals(whole[1])
    twice = whole[1].filter(pl.struct("problem_id", "start").map_elements(of_lost, return_dtype=bool))
    assert again[1].filter(failed).drop("failed").equals(twice.drop("failed"))  # seeds are the same


def test_as_many_units_are_counted_as_there_are(study):
    sample(study)
    pooled = not study.converses("talk")
    assert units_of_blocks([PLACE / f"{BLOCK.name}.parquet"], pooled=pooled) == len(ASKED)


def test_what_another_revision_began_is_begun_again(study, monkeypatch):
    BROKEN.update({("2", 2), ("2", 3), ("2", 4), ("2", 5)})
    study = replace(study, config=study.config.model_copy(update={"max_failures": 0}))
    with pytest.raises(TooManyFailuresError):
        sample(study)
    begun = sum(ASKED.values())
    BROKEN.clear()
    monkeypatch.setattr("itscale.stages.sampling.STAGE", replace(SAMPLING, revision=SAMPLING.revision + 1))
    sample(study)
    assert sum(ASKED.values()) - begun == len(ASKED)


def test_a_footer_says_how_its_block_is_opened_again(study):
    sample(study)
    metadata = read_metadata(PLACE / f"{BLOCK.name}.parquet")
    assert (metadata["revision"], metadata["pooled"]) == (SAMPLING.revision, not study.converses("talk"))
    assert not {"revision", "pooled"} & metadata["fingerprint"].keys()  # old tables stay what they are
