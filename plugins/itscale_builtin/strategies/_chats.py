"""Chats of strategies: what a problem asks, and turns that follow it."""

from collections.abc import Sequence

from itscale.types import Message, Question

__all__ = ["go_on", "question"]


def question(problem: Question) -> str:
    """Return what a problem asks, for a chat of its own: the text of the last turn of its user."""
    said = [str(turn["content"]) for turn in problem.messages if turn["role"] == "user"]
    return said[-1] if said else str(problem.messages[-1]["content"])


def go_on(before: Question | Sequence[Message], *turns: str) -> list[Message]:
    """Return a chat with turns after it, which are the model's and the user's by turns.

    After a problem, or a chat that ends with the user, the model's is first.
    """
    chat = list(before.messages if isinstance(before, Question) else before)
    for text in turns:
        role = "user" if chat and chat[-1]["role"] == "assistant" else "assistant"
        chat.append({"role": role, "content": text})
    return chat
