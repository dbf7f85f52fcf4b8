"""Checks of engines: as many generations as seeds, each a text with counts that can be true."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args, get_type_hints

from itscale.boundary.logprobs import checked_next, checked_text
from itscale.boundary.rewards import checked_embeddings, checked_rewards
from itscale.boundary.waste import charged_if_refused
from itscale.plugins.given import own_problem
from itscale.plugins.place import Place, Shown, is_count, is_number, real, shown, textual
from itscale.plugins.process import LASTING
from itscale.types import (
    Capability,
    Embedding,
    Engine,
    Generation,
    GenerationRequest,
    LogprobsEngine,
    NextLogprobs,
    NextRequest,
    OnWaste,
    PoolingEngine,
    Reward,
    TextLogprobs,
    TextRequest,
    Trajectory,
    ignored,
)

if TYPE_CHECKING:
    from itscale.plugins.entries import EngineEntry
    from itscale.plugins.ingredient import Ingredient

__all__ = ["CheckedEngine", "make_engine"]

REASONS: tuple[str, ...] = get_args(get_type_hints(Generation)["finish_reason"])
SCOPES = ("completion", "block")
METHODS: dict[Capability, str] = {
    "generate": "generate",
    "logprobs": "logprobs",
    "next_logprobs": "next_logprobs",
    "rewards": "rewards",
    "step_rewards": "rewards",
    "embed": "embed",
}
"""Which method an engine has for what it offers, where that takes one of its own."""
ROUNDING = 1e-6
"""Nats per token by which rounding may lift a log-probability above 0."""
END = 1
"""Tokens beyond max_tokens that a generation may have: the one that ends it."""


def make_engine(
    ingredient: Ingredient[EngineEntry], *, seed: int, model_directory: Path | None
) -> CheckedEngine:
    """Start a model's engine; what it returns is checked."""
    place = Place.of(ingredient)
    return CheckedEngine(
        place.make(ingredient, ("close",), seed=seed, model_directory=model_directory), place
    )


class CheckedEngine:
    """An engine whose every answer is checked; otherwise the engine it wraps.

    Raises
    ------
    ContractError
        From any call, on what cannot be: usage that is negative, or zero for a text; a log-probability that
        is not finite or above 0; fewer generations than seeds. And on a call for what it does not offer.
    """

    def __init__(self, engine: Engine, place: Place) -> None:
        self._engine = engine
        self._place = place
        offers, known = getattr(engine, "offers", None), set(get_args(Capability))
        if not isinstance(offers, frozenset) or not offers <= known:
            raise place.broken("offers", offers, f"a frozenset of {', '.join(sorted(known))}")
        scope, simulated = getattr(engine, "seed_scope", None), getattr(engine, "simulated", None)
        if scope not in SCOPES:
            raise place.broken("seed_scope", scope, " or ".join(SCOPES))
        if not isinstance(simulated, bool):
            raise place.broken("simulated", simulated, "True or False")
        for offer in sorted(offers & METHODS.keys()):
            if not callable(getattr(engine, METHODS[offer], None)):
                expected = f"a method {METHODS[offer]}() of an engine that offers {offer}"
                raise place.broken("offers", offers, expected)
        tokenizer = getattr(engine, "tokenizer", "")
        if not textual(tokenizer):
            raise place.broken("tokenizer", tokenizer, "a text")
        self.tokenizer = str(tokenizer)
        self.spells = callable(getattr(engine, "spell", None))
        self.offers: frozenset[Capability] = offers
        self.seed_scope: Literal["completion", "block"] = scope
        self.simulated: bool = simulated
        self._length: int | None = None  # of embeddings

    async def generate(self, request: GenerationRequest) -> list[Generation]:
        """Return one generation per seed, each checked."""
        problem = request.problem.problem_id
        self._require("generate")
        with self._place.kept_alive("generate()", problem), self._place.undisturbed("generate()", LASTING):
            given = await self._engine.generate(replace(request, problem=own_problem(request.problem)))
        seeds = (len(request.seeds), "seeds")
        made = self._place.as_many("generate()", "generations", given, seeds, problem)
        for one in made:
            self._check(one, problem, begun=bool(request.prefix))
            if request.params.confidence_top and one.text and one.confidence is None:
                expected = "a number: SamplingParams.confidence_top asks for it"
                raise self._place.broken("generate(): confidence", None, expected, problem)
            if one.tokens > request.params.max_tokens + END:
                expected = f"at most {request.params.max_tokens}, max_tokens, and the end"
                raise self._place.broken("generate(): tokens", one.tokens, expected, problem)
        # An engine whose window is full computes nothing, neither prompt nor answer.
        computed = all(one.counted for one in made) and any(one.tokens for one in made)
        if computed and sum(one.prompt_tokens for one in made) == 0:
            expected = "the prompt charged once, to the first generation of a request"
            raise self._place.broken("generate(): prompt_tokens", 0, expected, problem)
        return [_plain(one) for one in made]

    def _check(self, one: Any, problem: str, *, begun: bool) -> None:
        """Refuse a generation that cannot be; what was not counted may be 0, and is stored as unknown."""
        if not isinstance(one, Generation):
            raise self._place.broken("generate()", one, "a Generation per seed", problem)
        told: list[tuple[str, Any, bool, str]] = [("text", one.text, isinstance(one.text, str), "a text")]
        for name in ("tokens", "prompt_tokens", "cached_prompt_tokens"):
            value = getattr(one, name)
            told.append((name, value, is_count(value), f"a whole number from 0 to {2**31 - 1}"))
        told.append(("counted", one.counted, isinstance(one.counted, bool), "True or False"))
        context, least = one.context_tokens, 0 if begun or not one.counted else 1
        right = is_count(context, least)
        told.append(("context_tokens", context, right, f"a whole number, at least {least}"))
        told.append(("token_ids", one.token_ids, _are_ids(one.token_ids), "a tuple of whole numbers"))
        told.append(("finish_reason", one.finish_reason, one.finish_reason in REASONS, " or ".join(REASONS)))
        lapse = (real(one.seconds) or 0.0) >= 0 and is_number(one.seconds)
        told.append(("seconds", one.seconds, lapse, "a number, at least 0"))
        for name, found, right, expected in told:
            if not right:
                raise self._place.broken(f"generate(): {name}", found, expected, problem)
        if one.counted and len(one.token_ids) > one.tokens:
            found, expected = Shown(f"{len(one.token_ids)}"), f"at most one for each of {one.tokens} tokens"
            raise self._place.broken("generate(): token_ids", found, expected, problem)
        if one.text and one.tokens == 0 and one.counted:
            found = Shown(f"0 for the text {shown(one.text)}")
            raise self._place.broken("generate(): tokens", found, "the tokens that were generated", problem)
        if one.cached_prompt_tokens > one.prompt_tokens:
            cached, expected = one.cached_prompt_tokens, f"at most the {one.prompt_tokens} of the prompt"
            raise self._place.broken("generate(): cached_prompt_tokens", cached, expected, problem)
        logprob = real(one.logprob)
        if one.logprob is not None and (logprob is None or logprob > ROUNDING * max(one.tokens, 1)):
            expected = "a finite number, at most 0, or None"
            raise self._place.broken("generate(): logprob", one.logprob, expected, problem)
        confidence = real(one.confidence)
        if one.confidence is not None and (confidence is None or confidence < -ROUNDING):
            expected = "a finite number, at least 0, or None"
            raise self._place.broken("generate(): confidence", one.confidence, expected, problem)

    async def rewards(
        self, trajectories: Sequence[Trajectory], *, on_waste: OnWaste = ignored
    ) -> list[Reward]:
        """Return a reward of each trajectory, every number in [0, 1]."""
        trajectories = tuple(trajectories)
        self._require("rewards", "step_rewards")
        with self._place.kept_alive("rewards()"), self._place.undisturbed("rewards()", LASTING):
            given = await cast("PoolingEngine", self._engine).rewards(list(trajectories), on_waste=on_waste)
        with charged_if_refused(given, on_waste):
            return checked_rewards(self._place, given, trajectories)

    async def embed(self, texts: Sequence[str], *, on_waste: OnWaste = ignored) -> list[Embedding]:
        """Return an embedding of each text, all of one length."""
        texts = tuple(texts)
        self._require("embed")
        with self._place.kept_alive("embed()"), self._place.undisturbed("embed()", LASTING):
            given = await cast("PoolingEngine", self._engine).embed(list(texts), on_waste=on_waste)
        with charged_if_refused(given, on_waste):
            found = checked_embeddings(self._place, given, texts, self._length)
        self._length = len(found[0].vector) if found else self._length
        return found

    def _require(self, *needs: Capability) -> None:
        """Refuse a call for what the engine does not offer: it may not even have the method."""
        if not self.offers & set(needs):
            what, offers = f"{METHODS[needs[0]]}()", ", ".join(sorted(self.offers)) or "nothing"
            found = Shown(f"a call of {what} of an engine that offers {offers}")
            raise self._place.broken(what, found, f"an engine that offers {' or '.join(needs)}")

    async def logprobs(self, request: TextRequest) -> TextLogprobs:
        """Return the log-probability of each token of a text."""
        given = await self._read("logprobs", request)
        with charged_if_refused([given], request.on_waste):
            return checked_text(self._place, given, request)

    async def next_logprobs(self, request: NextRequest) -> NextLogprobs:
        """Return the log-probabilities of the next token."""
        given = await self._read("next_logprobs", request)
        with charged_if_refused([given], request.on_waste):
            return checked_next(self._place, given, request, spells=self.spells)

    async def spell(self, request: NextRequest, token_id: int) -> str:
        """Return what a token would add to the text."""
        problem, engine = request.problem.problem_id, cast("LogprobsEngine", self._engine)
        with self._place.undisturbed("spell()", LASTING):
            text = await engine.spell(replace(request, problem=own_problem(request.problem)), token_id)
        if not textual(text):
            raise self._place.broken("spell()", text, "a text that can be stored", problem)
        return text

    async def _read(self, name: Capability, request: NextRequest | TextRequest) -> Any:
        problem, what = request.problem.problem_id, f"{name}()"
        self._require(name)
        with self._place.kept_alive(what, problem), self._place.undisturbed(what, LASTING):
            return await getattr(self._engine, name)(replace(request, problem=own_problem(request.problem)))

    async def close(self) -> None:
        """Close the wrapped engine."""
        await self._engine.close()


def _are_ids(found: Any) -> bool:
    return isinstance(found, Sequence) and not isinstance(found, str) and all(map(is_count, found))


def _plain(one: Generation) -> Generation:
    """Return a generation that was checked, of plain numbers, which nobody holds but us."""
    return replace(
        one,
        token_ids=tuple(map(int, one.token_ids)),
        tokens=int(one.tokens),
        prompt_tokens=int(one.prompt_tokens),
        cached_prompt_tokens=int(one.cached_prompt_tokens),
        context_tokens=int(one.context_tokens),
        logprob=None if one.logprob is None else min(0.0, float(one.logprob)),
        seconds=float(one.seconds),
        confidence=None if one.confidence is None else max(0.0, float(one.confidence)),
    )
