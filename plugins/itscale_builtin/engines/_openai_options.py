"""Options of the openai engine."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, field_validator

from itscale.messages.secrets import find_secrets
from itscale.plugins import Options
from itscale_builtin.engines._rewards import RewardOptions
from itscale_builtin.engines.address import Address

__all__ = ["OpenAIOptions"]

Omittable = Literal["n", "top_p", "temperature", "stop"]
Sendable = Literal["top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty"]


class OpenAIOptions(Options):
    """Options of the openai engine. What it offers beyond `generate` is as the server can and you say."""

    model: str
    """Name of the model, as the server knows it."""
    base_url: Address = "https://api.openai.com/v1"
    """Where the server is, `/v1` included."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable that holds the key; `EMPTY` is sent where it is not set, as local servers want."""
    concurrency: int = Field(default=64, ge=1, le=10_000)
    """Most requests under way at once."""
    timeout: float = Field(default=600.0, gt=0, le=86_400)
    """Seconds to wait for one reply."""
    max_retries: int = Field(default=6, ge=0, le=1_000)
    """How often a request is repeated after 408, 409, 425, 429, 5xx, a lost connection or a broken reply."""
    pause: float = Field(default=0.5, gt=0, le=3_600)
    """Seconds before a broken reply's first repetition; doubled for each further one."""
    n_per_request: int = Field(default=128, ge=1)
    """Most completions asked for in one request; less where the server says that it takes less."""
    limit_name: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the server calls the limit of tokens; the other name is tried where it refuses this one."""
    omit: tuple[Omittable, ...] = ()
    """Parameters that are not sent, as the server refuses them; a strategy that sets them is refused."""
    always_send: tuple[Sendable, ...] = ()
    """Parameters sent although they change nothing (`top_k: -1`, `min_p: 0`, penalties of 1 and 0), as some
    servers fill in what is left out from the model's own recommendations: a vLLM server from its
    `generation_config.json`, unless started with `--generation-config vllm`. Others refuse names that they do
    not know, so only temperature and top_p always are sent. The strategy's values and `extra` come first."""
    extra: dict[str, JsonValue] = Field(default={})
    """Further parameters of every request, as the server knows them."""
    logprobs: bool = False
    """Ask for log-probabilities of the generated tokens (for the logprob scorer), and, where a strategy wants
    confidences, for those of the most probable ones, too (`top_logprobs`; 20 at most by OpenAI and vLLM)."""
    continues: bool = False
    """The server continues an unfinished assistant message (vLLM's `continue_final_message`)."""
    reads_tokens: bool = False
    """It is a vLLM server, which turns texts into token ids (`/tokenize`) and completes prompts of those. It
    then offers `logprobs` (of a text) and `next_logprobs`, of all tokens if it was started with
    `--max-logprobs -1`, else of 20 at most."""
    tokenizer: str = ""
    """What its tokenizer is called: models of a study that say the same, not empty, share their token ids."""
    end_token_ids: tuple[Annotated[int, Field(ge=0)], ...] = ()
    """Tokens that end an answer, for `next_logprobs`; if left out, what its chat template puts after one."""
    use: Literal["generate", "rewards", "embed"] = "generate"
    """What the model is for: text, rewards of trajectories, or embeddings of texts."""
    reward: RewardOptions = RewardOptions()
    """How a reward model is read; what the server starts it with has to be the same."""
    endpoint: Literal["pooling", "classify", "score"] | None = None
    """Where rewards are asked for: `classify` or `score` (a question and its answer) of a classifier,
    `pooling` of any reward model. If left out, `pooling` for rewards of steps, else `classify`."""
    logits: bool = True
    """Ask for logits (vLLM's `use_activation: false`), of which rewards are made here. If false, what the
    server gives is taken for probabilities."""
    seed: bool = False
    """Send a seed with every completion, each then a request of its own; as reproducible as the server."""
    require_usage: bool = True
    """Refuse replies without counts of tokens, or with counts that cannot be true; else these are unknown."""

    @field_validator("api_key_env")
    @classmethod
    def _is_a_variable(cls, value: str) -> str:
        """Refuse a key in the place of its variable's name."""
        for line in find_secrets({"api_key_env": value}):
            raise ValueError(line.partition(": ")[2])
        return value
