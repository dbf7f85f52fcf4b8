"""Names that people know plugins by lead to them, and never to their opposites."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from itscale.cli import app
from itscale.errors import PluginError, StudyError, nearest_name
from itscale.importing.judging import oracle_named
from itscale.messages.mistakes import MistakesError
from itscale.plugins import registry
from itscale.plugins.entries import KINDS, NAME, Kind, LawEntry
from itscale.plugins.names import identifier
from itscale.study import resolve

KNOWN_AS: list[tuple[Kind, str, str]] = [
    ("selectors", "pass_at_k", "oracle"),
    ("selectors", "coverage", "oracle"),
    ("selectors", "pass_hat_k", "all_correct"),
    ("selectors", "maj_at_k", "majority_vote"),
    ("selectors", "consensus", "majority_vote"),
    ("selectors", "self_consistency", "majority_vote"),
    ("selectors", "bon", "best_of_n"),
    ("laws", "bnsl", "broken_power_law"),
    ("verifiers", "prm", "process_reward"),
    ("verifiers", "mcq", "multiple_choice"),
    ("strategies", "smc", "particle_filter"),
]
WRITTEN: list[tuple[Kind, str, str]] = [
    ("selectors", "pass@k", "oracle"),
    ("selectors", "Pass@16", "oracle"),
    ("selectors", "pass_at_kk", "oracle"),
    ("selectors", "pass@1", "first"),
    ("selectors", "pass^k", "all_correct"),
    ("selectors", "pass^8", "all_correct"),
    ("selectors", "maj@64", "majority_vote"),
    ("selectors", "cons@64", "majority_vote"),
    ("selectors", "MajorityVote", "majority_vote"),
    ("selectors", "Best-of-N", "best_of_n"),
    ("selectors", "best-of-16", "best_of_n"),
    ("selectors", "self-consistency", "majority_vote"),
    ("laws", "beta-binomial", "beta_binomial"),
    ("laws", "Discretized Beta", "discretised_beta"),
    ("verifiers", "exact-match", "exact_match"),
]
OPPOSITE: list[tuple[Kind, str, str]] = [
    ("selectors", "worst_of_n", "best_of_n"),
    ("selectors", "fail_at_k", "oracle"),
    ("selectors", "minority_vote", "majority_vote"),
    ("selectors", "pass_at_m", "all_correct"),
    ("selectors", "pass_hat_m", "oracle"),
    ("selectors", "all_incorrect", "all_correct"),
    ("selectors", "last_pass", "first_pass"),
]
STUDY: dict[str, Any] = {
    "study": "small",
    "tasks": {"sums": {"plugin": "jsonl", "file": "problems.jsonl"}},
    "models": {"toy": {"plugin": "simulated"}},
    "strategies": {"repeated_sampling": {"completions": 8}},
}


def mistakes(**changes: Any) -> dict[str, str]:
    with pytest.raises(MistakesError) as caught:
        resolve({**STUDY, **changes})
    return {".".join(map(str, one.place)): one.message for one in caught.value.mistakes}


@pytest.mark.parametrize(("kind", "name", "entry"), KNOWN_AS)
def test_a_well_known_name_is_the_plugin(kind: Kind, name: str, entry: str) -> None:
    assert registry().get(kind, name).entry.name == entry


@pytest.mark.parametrize(("kind", "name", "entry"), WRITTEN)
def test_a_name_as_people_write_it_leads_to_the_plugin(kind: Kind, name: str, entry: str) -> None:
    with pytest.raises(PluginError, match=rf"did you mean '{entry}'\?"):
        registry().get(kind, name)


@pytest.mark.parametrize(("kind", "name", "entry"), OPPOSITE)
def test_the_opposite_is_never_suggested(kind: Kind, name: str, entry: str) -> None:
    with pytest.raises(PluginError) as caught:
        registry().get(kind, name)
    assert f"did you mean '{entry}'" not in str(caught.value)


def test_the_opposite_of_a_key_is_never_suggested() -> None:
    assert nearest_name("min_tokens", ["max_tokens"]) is None
    assert nearest_name("max_token", ["max_tokens"]) == "max_tokens"


def test_a_plugin_of_another_kind_is_said_to_be_one() -> None:
    with pytest.raises(PluginError, match="'best_of_n' is one of the selectors"):
        registry().get("strategies", "best_of_n")


@given(text=st.text())
def test_a_spelling_is_a_name_or_nothing_a_name_could_be_made_of(text: str) -> None:
    found = identifier(text)
    assert not found or NAME.fullmatch(found) or not found[0].isalpha()


def test_no_plugin_is_out_of_reach_behind_another_name() -> None:
    for kind in KINDS:
        for plugin in registry().plugins(kind):
            assert registry().get(kind, plugin.entry.name) == plugin


@pytest.mark.parametrize(
    ("key", "label", "entry"),
    [("selectors", "pass@k", "oracle"), ("laws", "beta-binomial", "beta_binomial")],
)
@pytest.mark.parametrize("listed", [True, False])
def test_a_label_that_cannot_be_one_is_answered_by_the_name(
    key: str, label: str, entry: str, listed: bool
) -> None:
    said = mistakes(**{key: [label] if listed else {label: {}}})[f"{key}.{label}"]
    assert said.startswith(f"found '{label}', expected a name of lower-case letters")
    assert said.endswith(f"; did you mean '{entry}'?")


def test_a_label_beside_its_plugin_is_spelt_as_labels_are() -> None:
    said = mistakes(models={"GPT-4o": {"plugin": "simulated"}})["models.GPT-4o"]
    assert said.endswith("; as 'gpt_4o'")


def test_an_oracle_of_a_command_goes_by_its_other_names_too() -> None:
    assert oracle_named("mcq", "--oracle").entry.name == "multiple_choice"
    with pytest.raises(StudyError, match=r"no oracle 'exact-match'; did you mean 'exact_match'\?"):
        oracle_named("exact-match", "--oracle")


@pytest.mark.parametrize(
    ("scorer", "said"),
    [
        ("reward", "no scorer 'reward'; did you mean 'outcome_reward'? If so, add it to the study's verif"),
        ("logprob", "no scorer 'logprob'; add it to the study's verifiers: `verifiers: [logprob]`"),
        ("sums", "'sums' is one of the tasks, expected a verifier that gives scores"),
        ("zzz", "no scorer 'zzz'; expected a verifier that gives scores, as llm_judge, logprob, outcome"),
    ],
)
def test_a_scorer_that_is_none_is_answered_by_one_that_is(scorer: str, said: str) -> None:
    found = mistakes(selectors={"best_of_n": {"scorer": scorer}})
    assert found["selectors.best_of_n.scorer"].startswith(said)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("strategies.repeated_sampling.completions", "16", "found the text '16', expected a number"),
        ("curves.confidence", "0.9", "found the text '0.9', expected a number"),
        ("models.toy.cycle", "yes", "unknown key"),
        ("seed", " 7 ", "found the text ' 7 ', expected a number"),
    ],
)
def test_a_text_is_no_number(place: str, value: str, said: str) -> None:
    key, _, rest = place.partition(".")
    changed: Any = value
    for part in reversed(rest.split(".") if rest else []):
        changed = {part: changed}
    if key == "models":
        changed["toy"]["plugin"] = "simulated"
    assert mistakes(**{key: changed})[place].startswith(said)


def test_what_is_expected_is_listed_once() -> None:
    assert mistakes(sandbox="docker")["sandbox"].count("landlock") == 1
    assert mistakes(curves={"interval": "normal"})["curves.interval"].count("percentile") == 1


def test_either_extra_with_vllm_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = registry().get("engines", "vllm").entry
    assert entry.installed_by == "pip install 'itscale[gpu]' or 'itscale[cpu]'"


def test_a_plugin_shows_the_columns_that_a_law_of_a_table_reads() -> None:
    done = CliRunner().invoke(app, ["plugins", "show", "observational"])
    assert "flops" in next(line for line in done.output.splitlines() if line.startswith("columns"))
    for plugin in registry().plugins("laws"):
        entry = plugin.entry
        assert isinstance(entry, LawEntry)
        assert bool(entry.inputs) == (entry.takes == "table"), entry.name
