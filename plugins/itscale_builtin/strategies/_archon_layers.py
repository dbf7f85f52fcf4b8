"""Layers of an Archon: what may stand in its configuration, and the six rules that a configuration obeys."""

from collections.abc import Iterator, Sequence
from typing import Literal

from pydantic import Field

from itscale.plugins import Options
from itscale.plugins.references import ModelLabel, StrategyLabel

__all__ = ["MAKERS", "Component", "broken_rules", "calls"]

Role = Literal[
    "generator", "critic", "ranker", "verifier", "unit_test_generator", "unit_test_evaluator", "fuser"
]
MAKERS = ("generator", "fuser")
"""Roles that make candidates; of these, a layer may have several."""
READERS = ("critic", "ranker", "fuser")
"""Roles that read all candidates in one prompt."""
KEEPERS = ("ranker", "verifier")


class Component(Options):
    """One component of a layer."""

    role: Role
    """What it does."""
    model: ModelLabel | None = None
    """Label of the model that does it; the one that is sampled if left out."""
    inner: StrategyLabel | None = None
    """Label of a strategy whose completions are the candidates of a generator."""
    samples: int = Field(default=1, ge=1, le=1_000)
    """Candidates of a generator, fusions of a fuser."""
    keep: int | None = Field(default=None, ge=1, le=1_000)
    """Most candidates that a ranker keeps, the best, or a verifier, the first that pass; all if left out."""
    tests: int = Field(default=5, ge=1, le=50)
    """Most tests that a unit-test generator writes."""


def broken_rules(layers: Sequence[Sequence[Component]], readable: int) -> Iterator[str]:
    """Yield what is wrong with layers: the rules of the paper, and what would have no effect."""
    candidates = 0
    for place, (layer, before) in enumerate(zip(layers, [[], *layers], strict=False)):
        roles = [one.role for one in layer]
        after = [one.role for later in layers[place + 1 :] for one in later]
        for message in _of_layer(place, roles, [one.role for one in before], after):
            yield f"layers.{place}: {message}"
        if candidates > readable and any(role in READERS for role in roles):
            yield (
                f"layers.{place}: found {candidates} candidates for a {roles[0]} to read at once, expected "
                f"at most {readable} (option readable): keep fewer in a layer before"
            )
        for number, one in enumerate(layer):
            for message in _without_effect(one):
                yield f"layers.{place}.{number}.{message}"
        candidates = left(layer, candidates)


def _of_layer(place: int, roles: list[Role], before: list[Role], after: list[Role]) -> Iterator[str]:
    """Yield the rules that a layer breaks, given the roles of the layer before, and of all after it."""
    if len(set(roles)) > 1:
        yield f"found {' and '.join(dict.fromkeys(roles))}, expected one role in a layer (rule 1)"
    if "generator" in roles and place:
        yield "found a generator, expected generators in the first layer alone (rule 2)"
    if "critic" in roles and not {"ranker", "fuser"} & set(after):
        yield "found a critic with no ranker or fuser after it, expected one that reads it (rule 3)"
    lonely = [role for role in roles if role not in MAKERS]
    if lonely and not place:
        yield f"found a {lonely[0]} in the first layer, expected generators (rule 4)"
    if lonely and len(roles) > 1:
        yield f"found a {lonely[0]} among {len(roles)} components, expected it alone in its layer (rule 4)"
    if "fuser" in roles and not place:
        yield "found a fuser in the first layer, expected generators (rule 5)"
    tested = before == ["unit_test_generator"]
    if tested != (roles == ["unit_test_evaluator"]):
        found = "a unit-test generator before" if tested else "no unit-test generator before"
        if tested or "unit_test_evaluator" in roles:
            yield f"found {' and '.join(roles)} with {found}, expected each with the other (rule 6)"
    if "unit_test_generator" in roles and not after:
        yield "found a unit-test generator in the last layer, expected its evaluator next (rule 6)"


def _without_effect(one: Component) -> Iterator[str]:
    """Yield options that a component of its role does not heed."""
    given = one.model_fields_set
    if one.inner is not None and (one.role != "generator" or one.model is not None):
        yield f"inner: found {one.inner!r} of a {one.role}, expected it of a generator without a model"
    if "samples" in given and one.role not in MAKERS:
        yield f"samples: found {one.samples} of a {one.role}, expected it of a generator or fuser"
    if one.keep is not None and one.role not in KEEPERS:
        yield f"keep: found {one.keep} of a {one.role}, expected it of a ranker or verifier"
    if "tests" in given and one.role != "unit_test_generator":
        yield f"tests: found {one.tests} of a {one.role}, expected it of a unit_test_generator"


def left(layer: Sequence[Component], candidates: int) -> int:
    """Return how many candidates there are at most after a layer."""
    if any(one.role in MAKERS for one in layer):
        return sum(one.samples for one in layer)
    return min([candidates, *(one.keep for one in layer if one.keep is not None)])


def calls(layers: Sequence[Sequence[Component]], retries: int) -> int:
    """Return how many generations an Archon takes at most."""
    candidates, total = 0, 0
    for layer in layers:
        each = {
            "critic": 1 + retries,
            "ranker": 1,
            "verifier": 2 * candidates,
            "unit_test_generator": 1,
            "unit_test_evaluator": candidates,
        }
        total += sum(one.samples if one.role in MAKERS else each[one.role] for one in layer)
        candidates = left(layer, candidates)
    return total
