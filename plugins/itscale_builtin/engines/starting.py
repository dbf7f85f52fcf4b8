"""vLLM's processes: started by fork where that is safe, since importing all anew takes longest, and ended."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from itscale.errors import EngineError
from itscale_builtin.engines._vllm_requests import one_line
from itscale_builtin.engines.guard import Guard, children, script_hidden

__all__ = ["Forks", "launch", "start", "stop"]

METHOD = "VLLM_WORKER_MULTIPROC_METHOD"


class Forks:
    """Whether this process may be forked to run a model.

    A process that is forked after torch has computed on several threads waits for those threads for ever,
    without a word. torch starts them for its first large operation, and keeps them: so a fork is safe where
    nobody had torch before us, as vLLM's imports compute nothing, and for a later engine if there are no more
    threads than when the last one had started. The imports bring threads of their own (of BLAS libraries),
    which do no harm.
    """

    def __init__(self) -> None:
        self._torch_is_ours: bool | None = None
        self._threads: int | None = None  # when the last engine had started

    def watch(self) -> None:
        """Note, before anything of vLLM is imported, who brought torch."""
        if self._torch_is_ours is None:
            self._torch_is_ours = "torch" not in sys.modules

    @property
    def safe(self) -> bool:
        """Whether torch has computed nothing here."""
        return bool(self._torch_is_ours) and (self._threads is None or _native_threads() <= self._threads)

    def started(self) -> None:
        """Note that an engine has started, whose own threads mean nothing."""
        self._threads = max(self._threads or 0, _native_threads())


def launch(model: str, arguments: Mapping[str, Any], forks: Forks) -> tuple[Any, Guard]:
    """Start an `AsyncLLM` by vLLM's engine arguments; return it and what kills its processes with this one.

    Raises
    ------
    EngineError
        If it does not start.
    """
    from vllm.engine.arg_utils import AsyncEngineArgs

    before = children()
    try:
        with script_hidden():
            llm = start(AsyncEngineArgs(**arguments), forks)
    except (ImportError, OSError, RuntimeError, ValueError) as error:  # a TimeoutError is an OSError
        raise EngineError(f"vllm: {model}: does not start: {one_line(error)}") from error
    return llm, Guard(children() - before)


async def stop(llm: Any, guard: Guard | None) -> None:
    """Stop the processes of an `AsyncLLM` and free what they hold; nothing, if there is none."""
    if llm is None:
        return
    if llm.output_handler is not None:  # it would report the end of the engine as its death
        llm.output_handler.cancel()
    await asyncio.to_thread(llm.shutdown)
    if guard is not None:
        guard.release()


def start(arguments: Any, forks: Forks) -> Any:
    """Start an `AsyncLLM` by its `AsyncEngineArgs`.

    vLLM's CPU build spawns its processes, each of which imports torch and vLLM again: on two cores that took
    14 of the 18 seconds in which SmolLM2-135M starts. A fork has them imported.
    """
    from vllm.usage.usage_lib import UsageContext
    from vllm.v1.engine.async_llm import AsyncLLM

    chosen = METHOD in os.environ
    # vLLM sizes its batches by who asks: an offline job wants throughput, not latency.
    config = arguments.create_engine_config(UsageContext.LLM_CLASS)
    # The CPU platform settles the method while it makes the configuration.
    if not chosen and os.environ.get(METHOD) == "spawn" and forks.safe:
        os.environ[METHOD] = "fork"
    try:
        return AsyncLLM.from_vllm_config(config, usage_context=UsageContext.LLM_CLASS, disable_log_stats=True)
    finally:
        forks.started()
        if not chosen:
            os.environ.pop(METHOD, None)


def _native_threads() -> int:
    """Return the number of threads of this process that are neither Python's nor of vLLM's sockets."""
    names = [(task / "comm").read_text() for task in Path("/proc/self/task").iterdir()]
    return sum(not name.startswith("ZMQ") for name in names) - threading.active_count()
