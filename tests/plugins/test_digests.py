"""Whoever changes a built-in or a stage says whether outputs changed: a new revision, or a renewed digest."""

import json
import shutil
from functools import cache
from pathlib import Path

import pytest
import stages_of_itscale
from builtins_of_itscale import FOLDER, builtins, digest_of, key_of, source_digest, sources_of
from stages_of_itscale import WITHOUT_EFFECT, stage_digest

from itscale.stages.declared import STAGES

RECORD = Path(__file__).with_name("digests.json")
STAGE_RECORD = Path(__file__).with_name("stage_digests.json")
RENEW = "`pytest tests/plugins/test_digests.py --renew-digests`"


@cache
def current() -> dict[str, dict[str, object]]:
    return {
        key_of(plugin.entry): {
            "revision": plugin.entry.revision,
            "digest": digest_of(plugin.entry),
        }
        for plugin in builtins()
    }


@cache
def current_stages() -> dict[str, dict[str, object]]:
    return {stage.name: {"revision": stage.revision, "digest": stage_digest(stage.name)} for stage in STAGES}


@pytest.fixture(scope="module", autouse=True)
def renewed(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--renew-digests", default=False):
        for record, found in ((RECORD, current()), (STAGE_RECORD, current_stages())):
            record.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")


@pytest.mark.parametrize("key", sorted(key_of(plugin.entry) for plugin in builtins()))
def test_a_changed_source_has_a_new_revision_or_a_renewed_digest(key: str) -> None:
    recorded = json.loads(RECORD.read_text(encoding="utf-8")).get(key)
    found = current()[key]
    assert recorded is not None, f"{key} is new: record it with {RENEW}"
    if recorded["digest"] == found["digest"] and recorded["revision"] == found["revision"]:
        return
    pytest.fail(
        f"{key}: its source changed since revision {recorded['revision']} was recorded. If the same options "
        f"now give other outputs, raise its revision (it is {found['revision']}): what used it then reruns. "
        f"In both cases record it with {RENEW}"
    )


@pytest.mark.parametrize("stage", [stage.name for stage in STAGES])
def test_a_changed_stage_has_a_new_revision_or_a_renewed_digest(stage: str) -> None:
    recorded = json.loads(STAGE_RECORD.read_text(encoding="utf-8")).get(stage)
    assert recorded is not None, f"the stage {stage} is new: record it with {RENEW}"
    if recorded == current_stages()[stage]:
        return
    pytest.fail(
        f"the stage {stage}: modules it uses changed since revision {recorded['revision']} was recorded. If "
        "the same inputs now give other outputs, raise its revision in src/itscale/stages/declared.py "
        f"(it is {current_stages()[stage]['revision']}): what it made runs again. In both cases record it "
        f"with {RENEW}"
    )


def test_no_digest_is_left_of_what_is_gone() -> None:
    assert json.loads(RECORD.read_text(encoding="utf-8")).keys() <= current().keys()
    assert json.loads(STAGE_RECORD.read_text(encoding="utf-8")).keys() == current_stages().keys()


def test_a_change_of_the_majority_vote_is_seen_by_the_stages_that_vote(tmp_path, monkeypatch) -> None:
    copy, skipped = tmp_path / "itscale", shutil.ignore_patterns("__pycache__")
    shutil.copytree(stages_of_itscale.FOLDER, copy, ignore=skipped)
    monkeypatch.setattr(stages_of_itscale, "FOLDER", copy)
    vote = copy / "estimators/vote.py"
    source = vote.read_text(encoding="utf-8")
    vote.write_text(f"# only a word\n{source}\n\n", encoding="utf-8")
    assert stage_digest("curves") == current_stages()["curves"]["digest"]
    vote.write_text(source.replace(" - ", " + "), encoding="utf-8")
    changed = {stage for stage, known in current_stages().items() if stage_digest(stage) != known["digest"]}
    assert "curves" in changed
    assert not changed & {"problems", "models", "sampling", "verification", "summary"}


def test_modules_said_to_change_no_data_are_there() -> None:
    assert all(stages_of_itscale.path_of(name).is_file() for name in WITHOUT_EFFECT)


def test_only_what_a_module_does_counts() -> None:
    code = 'def f(x):\n    """Say so."""\n    return x + 1\n'
    assert source_digest(code) == source_digest("def f( x ):  # add\n\n    return (x + 1)\n")
    assert source_digest(code) != source_digest(code.replace("1", "2"))


def test_what_a_module_shares_with_others_counts_too() -> None:
    assert FOLDER / "tasks" / "rows.py" in sources_of(FOLDER / "tasks" / "jsonl.py")
