"""What a strategy asks of a study, and what one completion costs at most: read off its entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from itscale.plugins.references import Referent, referring
from itscale.types import Capability

if TYPE_CHECKING:
    from itscale.plugins.strategies import StrategyEntry

__all__ = ["costs", "default_options", "may_name", "needs"]

STAND_IN = "unnamed"
"""Stands in for labels and texts that have no default."""

TRIED = (16, 8, 4, 2, 1, 64, 256, 1024, 4096)
"""Budgets of a run by which its cost is told: the first that its strategy admits."""

REFERENTS: Mapping[Referent, tuple[str, str]] = {
    "scorers": ("a scorer (reward model)", "scorers (reward models)"),
    "models": ("another model", "several models"),
    "strategies": ("another strategy", "other strategies"),
}
"""What labels name: one, and several."""

WORDS: Mapping[Capability, str] = {
    "continue": "continuation",
    "rewards": "rewards",
    "step_rewards": "rewards of steps",
    "generated_logprobs": "log-probabilities of what it generates",
    "generated_confidences": "confidences of what it generates",
    "logprobs": "log-probabilities",
    "next_logprobs": "log-probabilities of the next token",
    "embed": "embeddings",
}


def needs(entry: StrategyEntry) -> list[str]:
    """Return what a strategy cannot do without, beside a model that generates, in words; maybe nothing."""
    options = default_options(entry)
    found = [_said(name) for name in _capabilities(entry.needs, options)]
    found += [_referent(to, names) for to, names in _referring(entry.options, required=True)]
    if any(referring(entry.options, "models")):
        found += [f"{_said(name)} of other models, too" for name in _capabilities(entry.asks, options)]
    return [*found, *(["the oracle"] if entry.asks_oracle else [])]


def may_name(entry: StrategyEntry) -> list[str]:
    """Return what else of a study its options may name, in words, each with the options that do."""
    return [
        f"{_referent(to, names)} ({', '.join(names)})"
        for to, names in _referring(entry.options, required=False)
    ]


def costs(entry: StrategyEntry) -> str:
    """Return how many tokens are generated at most with the default options, and what budgets of runs count.

    Tokens of helper models are in it. It is told in multiples of the option `max_tokens`, where there is one.
    """
    counts = f"; budgets count {entry.axis}" if entry.draws == "runs" else ""
    options = default_options(entry)
    try:
        if options is None:
            return "as its options say" + counts
        if entry.draws == "runs" and entry.grant is not None:
            budget = next(budget for budget in TRIED if _admits(entry, options, budget))
            tokens, what = entry.grant(options, budget), f"a run at budget {budget}"
        else:
            tokens, what = entry.worth(options), "a completion"
    except Exception:  # what another package says of options that nobody chose
        return "as its options say" + counts
    return f"{_in_units(tokens, options)} {what}{counts}"


def default_options(entry: StrategyEntry) -> BaseModel | None:
    """Return a strategy's options where nothing is said of them; None where it takes more than labels."""
    fields = entry.options.model_fields.items()
    given = {name: _stand_in(field.annotation) for name, field in fields if field.is_required()}
    try:
        return entry.options.model_validate(given)
    except ValidationError:
        return None


def _stand_in(annotation: Any) -> Any:
    if get_origin(annotation) in (tuple, list):
        return [STAND_IN]
    if isinstance(get_origin(annotation), type) and issubclass(get_origin(annotation), Mapping):
        return {STAND_IN: STAND_IN}
    return STAND_IN


def _capabilities(demand: Any, options: BaseModel | None) -> list[Capability]:
    """Return what must be offered beside generation, in the order of `WORDS`."""
    found = demand if isinstance(demand, frozenset) else frozenset() if options is None else demand(options)
    known = [*WORDS, *sorted(found - set(WORDS))]
    return [name for name in known if name in found and name != "generate"]


def _said(capability: Capability) -> str:
    return WORDS.get(capability, capability.replace("_", " "))


def _referring(options: type[BaseModel], required: bool) -> Iterator[tuple[Referent, dict[str, bool]]]:
    """Yield kinds of labels, with the options that hold some, and whether one holds several.

    Options that stand in others may be left out, whatever they are there.
    """
    for to in get_args(Referent):
        fields = {name: options.model_fields[name] for name in referring(options, to)}
        names = {
            name: _holds_several(field.annotation)
            for name, field in fields.items()
            if field.is_required() == required
        }
        if not required:
            names |= dict.fromkeys(_nested(options, to), True)
        if names:
            yield to, names


def _nested(options: type[BaseModel], to: Referent) -> Iterator[str]:
    """Yield options inside of options that name something: `layers.model`."""
    for name, field in options.model_fields.items():
        for model in _models(field.annotation):
            inside = (*referring(model, to), *_nested(model, to))
            yield from dict.fromkeys(f"{name}.{one}" for one in inside)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models(part)


def _referent(to: Referent, names: Mapping[str, bool]) -> str:
    one, several = REFERENTS[to]
    return several if len(names) > 1 or any(names.values()) else one


def _holds_several(annotation: Any) -> bool:
    """Return whether an option is a list or has values by key; so may be one of what it may be."""
    origin = get_origin(annotation)
    if isinstance(origin, type) and issubclass(origin, tuple | list | Mapping):
        return True
    return any(_holds_several(part) for part in get_args(annotation))


def _admits(entry: StrategyEntry, options: BaseModel, budget: int) -> bool:
    try:
        entry.admits(options, budget)
    except Exception:
        return False
    return True


def _in_units(tokens: int, options: BaseModel) -> str:
    unit = getattr(options, "max_tokens", None)
    if not unit or tokens < unit:  # a cap that is out of reach says nothing
        return f"{tokens:,} tokens"
    times = f"{tokens / unit:.3g}" if tokens < 1000 * unit else f"{tokens / unit:,.0f}"
    return f"{times} x max_tokens ({tokens:,} tokens)"
