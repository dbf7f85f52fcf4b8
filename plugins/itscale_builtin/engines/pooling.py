"""Reward models and models of embeddings run by vLLM inside the job: one pass, and nothing is generated."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from itscale.errors import EngineError
from itscale.types import Capability, Embedding, OnWaste, Reward, Trajectory, ignored
from itscale_builtin.engines._rewards import (
    chat_of,
    column_of,
    marked,
    places_of,
    plain_of,
    probabilities,
)
from itscale_builtin.engines._vllm_models import Purpose, purpose_of
from itscale_builtin.engines._vllm_requests import answering, one_line
from itscale_builtin.engines.starting import stop

if TYPE_CHECKING:
    from itscale_builtin.engines.guard import Guard
    from itscale_builtin.engines.vllm import VllmOptions

__all__ = ["PooledEngine", "faults", "offered_by", "pooling_arguments", "use_of"]

MARKERS: Mapping[Purpose, str] = {"steps": "<extra_0>"}
"""Step markers that checkpoints were trained with, where their architecture says so."""

Task = Literal["classify", "token_classify", "embed"]
"""What vLLM calls a pass: logits at the last token, at every token, or a vector."""


def use_of(options: VllmOptions, architecture: str) -> Literal["generate", "rewards", "embed"]:
    """Return what a model is used for."""
    if options.use != "auto":
        return options.use
    return "generate" if purpose_of(architecture) == "text" else "rewards"


def marker_of(options: VllmOptions, architecture: str) -> str | None:
    """Return the marker at which rewards of steps are read, None of a model that is asked for the whole."""
    return options.reward.marker or MARKERS.get(purpose_of(architecture))


def offered_by(options: VllmOptions, architecture: str) -> frozenset[Capability]:
    """Return what a model offers that is used for rewards or embeddings."""
    if use_of(options, architecture) == "embed":
        return frozenset({"embed"})
    return frozenset({"step_rewards"} if marker_of(options, architecture) else {"rewards"})


def faults(options: VllmOptions, architecture: str, *, unseen: bool = False) -> Iterator[str]:
    """Yield why a model cannot be used as its options say.

    Parameters
    ----------
    unseen
        Whether its architecture is known only now, and the options had to say what it is.
    """
    purpose, reward, use = purpose_of(architecture), options.reward, use_of(options, architecture)
    if unseen and options.use == "auto" and use == "rewards":
        yield f"use: found auto and {architecture} on the hub, expected use: rewards"
    if purpose != "text" and use == "generate":
        yield f"use: found generate, but {architecture} writes nothing; expected use: rewards"
    if use != "rewards":
        if reward.model_fields_set:
            yield f"reward: found options of a reward model, expected use: rewards, not {use}"
        return
    if unseen and purpose == "steps" and reward.marker is None:
        yield f"reward.marker: found none, expected that of {architecture}: {MARKERS[purpose]!r}"
    if purpose == "text" and (reward.marker is None or reward.labels is None):
        yield (
            f"reward: found {architecture or 'a model'}, which writes text; expected marker and labels: what "
            "comes after a step, and the two tokens of its verdict"
        )
    if purpose != "text" and reward.labels is not None:
        yield f"reward.labels: found two tokens, but {architecture} has labels of its own; expected label"
    if architecture.endswith("ForTokenClassification") and reward.marker is None:
        yield f"reward.marker: found none, expected the text after each step, at which {architecture} is read"


def pooling_arguments(options: VllmOptions, model: str, architecture: str) -> dict[str, Any]:
    """Return what vLLM's engine arguments have beyond those of a model that generates."""
    from vllm.config import PoolerConfig

    arguments: dict[str, Any] = {"runner": "pooling"}
    use, purpose = use_of(options, architecture), purpose_of(architecture)
    if use == "embed":
        return arguments | ({"convert": "embed"} if purpose == "text" else {})
    if marker_of(options, architecture) or purpose != "whole":
        # All tokens: which of them are markers is known here, whatever the text says.
        arguments["pooler_config"] = PoolerConfig(tok_pooling_type="ALL")
    if purpose == "text":
        # The rows of the language model's head that belong to the two tokens: logits, and one pass.
        verdicts = _tokens(options, model)
        overrides = {"classifier_from_token": verdicts, "method": "no_post_processing"}
        arguments |= {"convert": "classify", "hf_overrides": overrides}
    return arguments


def _tokens(options: VllmOptions, model: str) -> list[str]:
    """Return the tokens of a language model's verdict, as its vocabulary spells them."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(options.tokenizer or model, revision=options.revision)
    found: list[str] = []
    for label in options.reward.labels or ():
        ids = tokenizer.encode(label, add_special_tokens=False)
        if len(ids) != 1:
            spelt = tokenizer.convert_ids_to_tokens(ids)
            raise EngineError(
                f"vllm: {model}: reward.labels: found {label!r}, which is {len(ids)} tokens {spelt[:4]}, "
                "expected one token"
            )
        found += tokenizer.convert_ids_to_tokens(ids)
    return found


class PooledEngine:
    """A model under vLLM's asynchronous engine that is read off instead of sampled.

    Parameters
    ----------
    llm
        A started `vllm.v1.engine.async_llm.AsyncLLM` of the pooling runner; shut down by `close`.
    options
        How it was started.
    architecture
        That of its checkpoint.
    guard
        Kills its processes if this one is killed.
    """

    seed_scope: Literal["completion", "block"] = "completion"
    simulated = False

    def __init__(self, llm: Any, options: VllmOptions, architecture: str, guard: Guard | None = None) -> None:
        self._llm = llm
        self._guard = guard
        self._options = options
        self._reward = options.reward
        self._marker = marker_of(options, architecture)
        self._task: Task = (
            "classify" if self._marker is None and purpose_of(architecture) == "whole" else "token_classify"
        )
        self.offers = offered_by(options, architecture)
        self._tokenizer = llm.get_tokenizer()
        self._limit: int = llm.model_config.max_model_len
        self._numbers = itertools.count()
        if "embed" not in self.offers and self._reward.labels is None:
            try:
                column_of(self._reward, int(llm.model_config.hf_config.num_labels))
            except ValueError as error:
                llm.shutdown()
                raise EngineError(f"vllm: {llm.model_config.model}: reward.{error}") from None

    async def rewards(
        self, trajectories: Sequence[Trajectory], *, on_waste: OnWaste = ignored
    ) -> list[Reward]:
        """Return the reward of the whole, or of each step, of each trajectory, all in flight at once.

        Raises
        ------
        EngineError
            If a trajectory is longer than the model reads, or its chat template changes what it is given.
        EngineLostError
            If the engine died.
        """
        return list(await asyncio.gather(*map(self._rewarded, trajectories)))

    async def _rewarded(self, trajectory: Trajectory) -> Reward:
        about = f"problem {trajectory.problem.problem_id!r}"
        ends: list[int] = []
        if self._marker is None:
            content = trajectory.text
        elif trajectory.step is None:
            return Reward(prompt_tokens=0)  # nothing to read
        else:
            content, ends = marked(trajectory, self._marker)
        prompt, start = self._rendered(trajectory, content, about)
        ids, places = self._read(prompt, [start + end for end in ends], about)
        data, cached = await self._pooled(ids, self._task, about)
        rows = data.float().reshape(-1, data.shape[-1])
        logits = rows[places or [-1]].tolist()
        try:
            found = probabilities(self._reward, logits)
        except EngineError as error:
            raise EngineError(f"vllm: {about}: {error}") from None
        return Reward(
            whole=None if places else found[0],
            steps=tuple(found) if places else (),
            prompt_tokens=len(ids),
            cached_prompt_tokens=cached,
        )

    async def embed(self, texts: Sequence[str], *, on_waste: OnWaste = ignored) -> list[Embedding]:
        """Return the embedding of each text, of length 1, all in flight at once."""
        return list(await asyncio.gather(*map(self._embedded, texts)))

    async def _embedded(self, text: str) -> Embedding:
        about = f"the text {text[:40]!r}"
        ids = list(self._tokenizer(text).input_ids)
        self._require_room(len(ids), about)
        data, _ = await self._pooled(ids, "embed", about)
        return Embedding(vector=tuple(data.float().tolist()), prompt_tokens=len(ids))

    async def close(self) -> None:
        """Stop vLLM's processes and free what they hold."""
        llm, self._llm = self._llm, None
        await stop(llm, self._guard)

    def _rendered(self, trajectory: Trajectory, content: str, about: str) -> tuple[str, int]:
        """Return all that is read, and where in it the content begins."""
        if self._reward.template == "plain":
            prompt = plain_of(trajectory, content, self._reward.separator)
            return prompt, len(prompt) - len(content)
        try:
            prompt = self._tokenizer.apply_chat_template(
                chat_of(trajectory, content), tokenize=False, **self._options.chat_template_options
            )
        except Exception as error:  # a template is its author's program: it may raise anything
            raise EngineError(
                f"vllm: {about}: the model's chat template fails: {one_line(error)}; is it one for "
                "reward.template: plain?"
            ) from None
        start = prompt.rfind(content if self._marker is None else content.rstrip() or content)
        if start < 0 and self._marker is not None:
            raise EngineError(
                f"vllm: {about}: the model's chat template changes what it is given, so that steps cannot be "
                "found in it; expected reward.template: plain"
            )
        return prompt, start

    def _read(self, prompt: str, ends: Sequence[int], about: str) -> tuple[list[int], list[int]]:
        """Return the tokens of a text, and which of them are the last before each end."""
        plain = self._reward.template == "plain"  # a chat template writes special tokens itself
        try:
            read = self._tokenizer(prompt, add_special_tokens=plain, return_offsets_mapping=bool(ends))
            places = places_of(ends, read["offset_mapping"]) if ends else []
        except (NotImplementedError, LookupError) as error:
            raise EngineError(
                f"vllm: {about}: the model's tokenizer does not say where its tokens are: {one_line(error)}"
            ) from None
        ids = list(read["input_ids"])
        self._require_room(len(ids), about)
        return ids, places

    def _require_room(self, tokens: int, about: str) -> None:
        if not 1 <= tokens <= self._limit:
            expected = f"expected from 1 to {self._limit} (max_model_len)"
            raise EngineError(f"vllm: {about}: what is read has {tokens} tokens, {expected}")

    async def _pooled(self, ids: list[int], task: Task, about: str) -> tuple[Any, int]:
        """Return what the model says of some tokens (a tensor), and how many of them were cached."""
        from vllm import PoolingParams
        from vllm.inputs.engine import tokens_input

        # Logits become probabilities here: a sigmoid of one of two columns is not their softmax.
        params = PoolingParams(task=task, use_activation=task == "embed")
        found: Any = None
        with answering(f"reading {about}"):
            outputs: AsyncIterator[Any] = self._llm.encode(
                tokens_input(ids), params, str(next(self._numbers))
            )
            async for output in outputs:
                found = output
        if found is None:
            raise EngineError(f"vllm: {about}: ended without an answer")
        return found.outputs.data, int(found.num_cached_tokens or 0)
