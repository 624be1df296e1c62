"""Continue a prompt with the model: its own words, token by token."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agents.budget import Budget
from agents.checkpoints import Checkpoints
from agents.contract import Chunk, CompleteInput, CompletionResult
from agents.generate import Answer
from agents.runnable import as_runnable

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.runnables import Runnable

CUT_OFF = "The answer was cut off at the model's limit: allow it more tokens (max_tokens)."


def build_complete(model: BaseChatModel, checkpoints: Checkpoints | None = None) -> Runnable[CompleteInput, Chunk]:
    """A runnable that streams the model's continuation of a prompt.

    Args:
        model: The chat model.
        checkpoints: Where its tokens are kept, so that a next attempt goes on from them.

    The stream raises:
        ContextOverflow: when the prompt does not fit.
    """
    from langchain_core.messages import HumanMessage

    def steps(request: CompleteInput) -> Iterator[Chunk]:
        messages = [HumanMessage(request.prompt)]
        Budget(model).require(messages, "The prompt", "Shorten the prompt, or choose a model with a longer context.")
        answer = Answer(model, messages, checkpoints)
        for piece in answer:
            yield Chunk(delta=piece)
        cut = [CUT_OFF] if answer.finish_reason == "length" else []
        yield Chunk(
            result=CompletionResult(
                text=answer.text,
                reasoning=answer.thinking,
                usage=answer.usage,
                finish_reason=answer.finish_reason,
                notes=[*answer.notes, *cut],
            )
        )

    return as_runnable(steps, "complete")
