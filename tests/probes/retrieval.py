"""An answer from so many of a problem's documents, as a third party would write it (Yue et al. 2024)."""

import math
import re

from itscale import hookimpl
from itscale.plugins import StrategyEntry
from itscale.plugins.strategies import SamplingOptions
from itscale.sampling.session import Session
from itscale.types import Completion, Question


def ranked(question: str, documents: list[str]) -> list[str]:
    """Return documents by how many rare words they share with a question."""
    words = [set(re.findall(r"\w+", document.lower())) for document in documents]

    def weight(word: str) -> float:
        return math.log(1 + len(words) / (1 + sum(word in one for one in words)))

    asked = set(re.findall(r"\w+", question.lower()))
    order = sorted(range(len(words)), key=lambda at: -sum(map(weight, asked & words[at])))
    return [documents[at] for at in order]


async def retrieval(problem: Question, session: Session, options: SamplingOptions) -> list[Completion]:
    """Put the first documents, as many as the budget says, before the question."""
    question = problem.messages[-1]["content"]
    found = ranked(question, problem.material.get("documents", []))[: session.budget]
    chat = [*problem.messages[:-1], {"role": "user", "content": "\n\n".join([*found, question])}]
    return session.complete([await session.write(chat, options.completion())])


@hookimpl
def itscale_register_strategies() -> list[StrategyEntry]:
    """Return the strategy."""
    about = {"name": "retrieval", "summary": "One answer from so many documents.", "axis": "documents"}
    return [StrategyEntry(**about, factory=retrieval, options=SamplingOptions, draws="runs")]
