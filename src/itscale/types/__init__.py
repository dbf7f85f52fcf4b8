"""The words of the project as types, and what an engine speaks."""

from itscale.types.completions import Completion, FinishReason, Lineage, Step, Trajectory
from itscale.types.engines import Capability, Engine, Generation, GenerationRequest, SamplingParams
from itscale.types.problems import Message, Problem, Problems, Question
from itscale.types.verifiers import Oracle, Scorer, ScorerDesk, Verdict

__all__ = [
    "Capability",
    "Completion",
    "Engine",
    "FinishReason",
    "Generation",
    "GenerationRequest",
    "Lineage",
    "Message",
    "Oracle",
    "Problem",
    "Problems",
    "Question",
    "SamplingParams",
    "Scorer",
    "ScorerDesk",
    "Step",
    "Trajectory",
    "Verdict",
]
