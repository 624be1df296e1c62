"""Chat with a generative model: from passages with checked citations, or plainly without documents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agents.budget import Budget
from agents.checkpoints import Checkpoints, FrozenRetriever, NoCheckpoints
from agents.checks.grounded import Grounding
from agents.checks.markers import SentenceStream
from agents.checks.support import SupportConfig
from agents.complete import CUT_OFF
from agents.contract import ChatInput, ChatResult, Chunk
from agents.generate import Answer
from agents.grounding import find_passages, plan_grounded, plan_plain
from agents.prompts.chat import NO_ANSWER
from agents.runnable import as_runnable
from knowledge.types import Passage, Retriever

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.runnables import Runnable

NOT_FOUND = "The documents do not answer this question."
NOTHING_SUPPORTED = "The documents found do not bear out an answer to this question."


@dataclass(frozen=True)
class ChatConfig:
    """When to answer.

    Attributes:
        least_score: Cosine of the best passage below which the model is not even asked.
        support: How much of a sentence its passages must hold.
        find_markers: Look for the passage of a sentence that came without a marker, with the same check; small
            models often mark only the last sentence of several.
    """

    least_score: float = 0.35
    support: SupportConfig = field(default_factory=SupportConfig)
    find_markers: bool = True


def build_chat(
    model: BaseChatModel,
    retriever: Retriever | None,
    config: ChatConfig | None = None,
    checkpoints: Checkpoints | None = None,
) -> Runnable[ChatInput, Chunk]:
    """A runnable that answers a conversation's last question.

    With a retriever, and a collection named in the input, sentences stream once each has been checked against the
    passages it cites; what is not borne out is never shown. Otherwise tokens stream as they come.

    Args:
        model: The chat model.
        retriever: Finds passages; None: there are no documents.
        config: When to answer.
        checkpoints: Where passages and tokens are kept, so that a next attempt goes on from them.

    The stream raises:
        ContextOverflow: when the question alone does not fit the model's prompt.
        PhiqError: what the retriever or the model raises.
    """
    config = config or ChatConfig()
    # A store that is still empty may well be falsy.
    kept = NoCheckpoints() if checkpoints is None else checkpoints
    frozen = None if retriever is None else FrozenRetriever(retriever, kept)

    def steps(request: ChatInput) -> Iterator[Chunk]:
        if frozen is None or request.collection is None:
            yield from _plain(model, request, kept)
        else:
            yield from _grounded(model, frozen, config, request, kept)

    return as_runnable(steps, "chat")


def _plain(model: BaseChatModel, request: ChatInput, kept: Checkpoints) -> Iterator[Chunk]:
    prompt = plan_plain(Budget(model), request.messages)
    answer = Answer(model, prompt.messages, kept)
    for piece in answer:
        yield Chunk(delta=piece)
    notes = [*prompt.notes, *answer.notes, *([CUT_OFF] if answer.finish_reason == "length" else [])]
    yield Chunk(
        result=ChatResult(
            text=answer.text,
            usage=answer.usage,
            finish_reason=answer.finish_reason,
            notes=notes,
            band="ungrounded",
        )
    )


def _grounded(
    model: BaseChatModel, retriever: Retriever, config: ChatConfig, request: ChatInput, kept: Checkpoints
) -> Iterator[Chunk]:
    passages = find_passages(retriever, request.messages, request.top_k)
    if not passages or passages[0].score < config.least_score:
        what = "Nothing was found in the collection." if not passages else "No passage found is near the question."
        yield from _abstain(NOT_FOUND, passages, ChatResult(notes=[what]))
        return
    prompt = plan_grounded(Budget(model), passages, request.messages)
    grounding = Grounding(prompt.passages, config.support, find_markers=config.find_markers)
    answer, stream = Answer(model, prompt.messages, kept), SentenceStream()
    for piece in answer:
        for sentence in stream.feed(piece):
            if delta := grounding.admit(sentence):
                yield Chunk(delta=delta)
    declined = answer.text.strip(" .`*\"'\n[]") == NO_ANSWER
    for sentence in [] if declined else stream.finish():
        if delta := grounding.admit(sentence, cut=answer.finish_reason == "length"):
            yield Chunk(delta=delta)
    result = ChatResult(
        usage=answer.usage, finish_reason=answer.finish_reason, notes=[*prompt.notes, *answer.notes, *grounding.notes()]
    )
    if not grounding.text:
        yield from _abstain(NOT_FOUND if declined else NOTHING_SUPPORTED, prompt.passages, result)
        return
    if answer.finish_reason == "length":
        result.notes.append(CUT_OFF)
    update = {"text": grounding.text, "citations": grounding.citations, "passages": prompt.passages}
    yield Chunk(result=result.model_copy(update=update))


def _abstain(text: str, passages: list[Passage], result: ChatResult) -> Iterator[Chunk]:
    yield Chunk(delta=text)
    update = {"text": text, "finish_reason": "abstained", "band": "abstained", "passages": passages}
    yield Chunk(result=result.model_copy(update=update))
