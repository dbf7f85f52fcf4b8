"""The words of the project as types, and what an engine speaks."""

from itscale.types.completions import Completion, FinishReason, Lineage, Step, Trajectory
from itscale.types.engines import Capability, Engine, Generation, GenerationRequest, SamplingParams
from itscale.types.logprobs import (
    LogprobsEngine,
    NextLogprobs,
    NextRequest,
    ReadRequest,
    TextLogprobs,
    TextRequest,
)
from itscale.types.pooling import Embedding, OnWaste, PoolingEngine, Reward, ignored
from itscale.types.problems import Message, Problem, Problems, Question
from itscale.types.verifiers import AsynchronousOracle, Oracle, Scorer, ScorerDesk, Verdict

__all__ = [
    "AsynchronousOracle",
    "Capability",
    "Completion",
    "Embedding",
    "Engine",
    "FinishReason",
    "Generation",
    "GenerationRequest",
    "Lineage",
    "LogprobsEngine",
    "Message",
    "NextLogprobs",
    "NextRequest",
    "OnWaste",
    "Oracle",
    "PoolingEngine",
    "Problem",
    "Problems",
    "Question",
    "ReadRequest",
    "Reward",
    "SamplingParams",
    "Scorer",
    "ScorerDesk",
    "Step",
    "TextLogprobs",
    "TextRequest",
    "Trajectory",
    "Verdict",
    "ignored",
]
