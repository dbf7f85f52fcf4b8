"""vLLM that notes in a file what its own statistics say was read and generated."""

from dataclasses import replace
from pathlib import Path

from itscale import hookimpl
from itscale_builtin.engines import vllm


class MeteredOptions(vllm.VllmOptions):
    meter: Path
    """File to which a line is added for each step of the engine: tokens read and generated."""


def make(options, *, seed=0, model_directory=None):
    from vllm.v1.engine.async_llm import AsyncLLM
    from vllm.v1.metrics.loggers import StatLoggerBase

    class Meter(StatLoggerBase):
        def __init__(self, config, engine_index=0):
            pass

        def record(self, scheduler_stats, iteration_stats, *arguments, **named):
            if iteration_stats is not None:
                with options.meter.open("a") as file:
                    file.write(
                        f"{iteration_stats.num_prompt_tokens} {iteration_stats.num_generation_tokens}\n"
                    )

        def log_engine_initialized(self):
            pass

    start = AsyncLLM.from_vllm_config

    def metered(config, **named):
        return start(config, **{**named, "stat_loggers": [Meter], "disable_log_stats": False})

    AsyncLLM.from_vllm_config = metered
    try:
        return vllm.entry.factory(options, seed=seed, model_directory=model_directory)
    finally:
        AsyncLLM.from_vllm_config = start


@hookimpl
def itscale_register_engines():
    return [replace(vllm.entry, name="metered", factory=make, options=MeteredOptions)]
