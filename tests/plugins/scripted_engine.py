"""An engine that writes what a script says, a token for each word, and counts as a server would."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence

from itscale.sampling.partners import Partners
from itscale.sampling.session import Session
from itscale.sampling.units import Unit
from itscale.types import Completion, Generation, GenerationRequest, NextRequest, Problem

PROBLEM = Problem(problem_id="p", messages=({"role": "user", "content": "What is 3 + 4?"},), reference="7")
TOKEN = re.compile(r"\s*\S+|\s+")

Script = Callable[[GenerationRequest, str, int], str]
"""What comes, to its end, of a request and a seed, after a text."""


class Scripted:
    """Stops at stop strings and limits as vLLM does: with the whole token that a stop string ends in."""

    offers = frozenset({"generate", "continue"})
    seed_scope = "completion"
    simulated = False

    def __init__(self, script: Script) -> None:
        self.script = script
        self.words: list[str] = []
        self.requests: list[GenerationRequest] = []
        self.read = self.written = 0

    async def generate(self, request: GenerationRequest) -> list[Generation]:
        self.requests.append(request)
        await asyncio.sleep(0)
        chat = sum(len(message["content"].split()) for message in request.chat)
        given = sum(len(TOKEN.findall(step.text)) for step in request.prefix if step.given)
        own = sum(
            len(step.token_ids or TOKEN.findall(step.text)) for step in request.prefix if not step.given
        )
        self.read += chat + given + own
        return [
            self._one(request, seed, chat + given + own if place == 0 else 0, chat + given)
            for place, seed in enumerate(request.seeds)
        ]

    def _one(self, request: GenerationRequest, seed: int, prompt: int, context: int) -> Generation:
        before, text, ids = "".join(step.text for step in request.prefix), "", []
        reason = "eos"
        for word in TOKEN.findall(self.script(request, before, seed)):
            if len(ids) == request.params.max_tokens:
                reason = "length"
                break
            text += word
            ids.append(self._id(word))
            if any(stop in text for stop in request.params.stop):
                reason = "stop"
                break
        if reason == "eos" and len(ids) == request.params.max_tokens:
            reason = "length"  # no room for the end
        tokens = len(ids) + (reason == "eos")  # the end is a token
        self.written += tokens
        return Generation(
            text=text,
            token_ids=tuple(ids),
            tokens=tokens,
            prompt_tokens=prompt,
            context_tokens=context,
            logprob=-float(tokens),
            finish_reason=reason,  # type: ignore[arg-type]
        )

    def _id(self, word: str) -> int:
        if word not in self.words:
            self.words.append(word)
        return self.words.index(word)

    async def spell(self, request: NextRequest, token_id: int) -> str:
        return self.words[token_id]

    async def close(self) -> None:
        pass


def run(
    entry,
    engine,
    *,
    budget: int = 0,
    replicate: int = 0,
    granted: int | None = None,
    paired: bool | None = None,
    partners: Partners | None = None,
    completions: int = 1,
    stream: tuple[int, ...] = (0,),
    **given,
) -> tuple[list[Completion], Session]:
    """Run a strategy on one problem; return what it hands in, and its session."""
    options = entry.options(**given)
    hands_in = entry.hands_in(options, budget) if entry.hands_in else completions
    unit = Unit(problem_id="p", budget=budget, replicate=replicate, stop=hands_in)
    if granted is None and budget:
        granted = entry.grant(options, budget) if entry.grant else hands_in * entry.worth(options)
    session = Session(
        PROBLEM,
        unit,
        engine,
        model="m",
        stream=stream,
        token_limit=options.max_tokens,
        worth=entry.worth(options),
        granted=granted,
        paired=entry.paired if paired is None else paired,
        pooled=entry.per == "pool",
        partners=partners or Partners(),
    )
    return asyncio.run(entry.factory(session.problem, session, options)), session


def charged(session: Session, name: str) -> int:
    return sum(getattr(account, name) or 0 for account in session.ledger.accounts.values())


def counted(words: Sequence[str], first: str = "w") -> int:
    return sum(word.startswith(first) for word in words)
