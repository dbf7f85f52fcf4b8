"""Whoever changes a built-in says whether its outputs changed: a new revision, or a renewed digest."""

import json
from functools import cache
from pathlib import Path

import pytest
from builtins_of_itscale import FOLDER, builtins, digest_of, key_of, source_digest, sources_of

RECORD = Path(__file__).with_name("digests.json")
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


@pytest.fixture(scope="module", autouse=True)
def renewed(request: pytest.FixtureRequest) -> None:
    if request.config.getoption("--renew-digests", default=False):
        RECORD.write_text(json.dumps(current(), indent=2, sort_keys=True) + "\n", encoding="utf-8")


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


def test_no_digest_is_left_of_a_plugin_that_is_gone() -> None:
    assert json.loads(RECORD.read_text(encoding="utf-8")).keys() <= current().keys()


def test_only_what_a_module_does_counts() -> None:
    code = 'def f(x):\n    """Say so."""\n    return x + 1\n'
    assert source_digest(code) == source_digest("def f( x ):  # add\n\n    return (x + 1)\n")
    assert source_digest(code) != source_digest(code.replace("1", "2"))


def test_what_a_module_shares_with_others_counts_too() -> None:
    assert FOLDER / "tasks" / "rows.py" in sources_of(FOLDER / "tasks" / "jsonl.py")
