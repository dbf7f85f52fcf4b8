"""Options that strategies share: how a completion, or one step of it, is sampled."""

from __future__ import annotations

from pydantic import Field

from itscale.plugins.entries import Options
from itscale.plugins.references import ScorerLabel
from itscale.types import SamplingParams

__all__ = ["SamplingOptions", "StepwiseOptions"]


class SamplingOptions(Options):
    """How completions are sampled."""

    temperature: float = Field(default=1.0, ge=0, le=100)
    """Softmax temperature; 0 is greedy."""
    top_p: float = Field(default=1.0, gt=0, le=1)
    """Nucleus mass; 1 keeps the whole distribution."""
    top_k: int = Field(default=0, ge=0, le=10_000_000)
    """Sample among the k most probable tokens; 0 keeps all."""
    min_p: float = Field(default=0.0, ge=0, le=1)
    """Drop tokens less probable than this share of the most probable one."""
    max_tokens: int = Field(default=512, ge=1, le=100_000_000)
    """Most generated tokens of one completion, all its steps together."""

    def completion(self) -> SamplingParams:
        """Return the parameters of generating a whole completion."""
        return SamplingParams(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            min_p=self.min_p,
            max_tokens=self.max_tokens,
        )


class StepwiseOptions(SamplingOptions):
    """How completions are sampled step by step, and which scorer judges the steps."""

    scorer: ScorerLabel
    """Label of the scorer among the study's verifiers."""
    delimiter: str = Field(default="\n\n", min_length=1)
    """Text that ends a step (and belongs to it)."""
    step_tokens: int = Field(default=1024, ge=1, le=100_000_000)
    """Most tokens of one step."""
    max_steps: int = Field(default=40, ge=1, le=1_000_000)
    """Most steps of a completion; what is unfinished then stays unfinished."""

    def step(self) -> SamplingParams:
        """Return the parameters of generating one step."""
        return SamplingParams(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            min_p=self.min_p,
            max_tokens=min(self.step_tokens, self.max_tokens),
            stop=(self.delimiter,),
        )
