"""Describe pictures with a model that sees; what can be measured is measured beside it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from agents.budget import Budget
from agents.checkpoints import Checkpoints
from agents.complete import CUT_OFF
from agents.contract import Chunk, DescribeRequest, DescriptionResult, Progress
from agents.errors import ModelCannotSee
from agents.generate import Answer, empty_answer, trimmed
from agents.prompts import describe as prompts
from agents.runnable import as_runnable
from knowledge.errors import PhiqError
from tools.pictures import PictureLimits

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.runnables import Runnable

    from tools.types import PictureFacts, TextLine

LEAST_SCORE = 0.5
"""Of a line read in a picture; below, it would mislead the model more than help it."""


def build_describe(
    model: BaseChatModel, limits: PictureLimits | None = None, checkpoints: Checkpoints | None = None
) -> Runnable[DescribeRequest, Chunk]:
    """A runnable that describes pictures, or answers a question about them, in one call.

    Args:
        model: The chat model.
        limits: How large a picture may be.
        checkpoints: Where tokens are kept, so that a next attempt goes on from them.

    The stream raises:
        ModelCannotSee: before anything else, when the model takes no pictures.
        ImageUnreadable, ImageTooLarge: naming the picture.
        ContextOverflow: when the pictures and the question do not fit.
        ModelMisbehaved: when the model says nothing.
    """
    limits = limits or PictureLimits()

    def steps(request: DescribeRequest) -> Iterator[Chunk]:
        if not (model.profile or {}).get("image_inputs"):
            raise ModelCannotSee(
                "This model takes no pictures.",
                hint="Choose one that does: ollama pull llava, then --model ollama:llava. "
                "Or have the text read and the rest measured without a model: --model extractive.",
            )
        facts: list[PictureFacts] = []
        pngs: list[bytes] = []
        notes: list[str] = []
        for number, picture in enumerate(request.pictures):
            yield Chunk(progress=Progress(done=number, total=len(request.pictures) + 1, note=f"reading {picture.name}"))
            png, measured = _read(picture.name, picture.data, limits, notes)
            pngs.append(png)
            facts.append(measured)
        messages = _fit(Budget(model), facts, pngs, request.question, notes)
        total = len(request.pictures) + 1
        yield Chunk(progress=Progress(done=total - 1, total=total, note="describing"))
        answer, text = Answer(model, messages, checkpoints), ""
        for piece in trimmed(answer):
            text += piece
            yield Chunk(delta=piece)
        if not text:
            raise empty_answer("the description", times=1)
        if answer.finish_reason == "length":
            notes.append(CUT_OFF)
        result = DescriptionResult(
            text=text,
            usage=answer.usage,
            finish_reason=answer.finish_reason,
            notes=[*notes, *answer.notes],
            facts=facts,
        )
        yield Chunk(progress=Progress(done=total, total=total), result=result)

    return as_runnable(steps, "describe")


def _read(name: str, data: bytes, limits: PictureLimits, notes: list[str]) -> tuple[bytes, PictureFacts]:
    """Decode a picture and measure it. It goes on as PNG: engines' own decoders may end the process."""
    from tools.picture_facts import measure
    from tools.pictures import open_picture, to_png
    from tools.read_image_text import read_lines

    image = open_picture(data, name, limits)
    lines: list[TextLine] = []
    try:
        lines = read_lines(image)
    except PhiqError as error:
        # The text is a hint only: without it the model still sees the picture.
        notes.append(f"The text in {name} could not be read apart: {error.message}")
    return to_png(image), measure(name, image, image.format or "", lines)


def _fit(
    budget: Budget, facts: list[PictureFacts], pngs: list[bytes], question: str | None, notes: list[str]
) -> list[BaseMessage]:
    """The prompt with the text read in the pictures, or without it where only that fits."""
    names = [fact.name for fact in facts]
    texts = ["\n".join(line.text for line in fact.lines if line.score >= LEAST_SCORE) for fact in facts]
    messages = prompts.describe(names, pngs, texts, question)
    if budget.fits(messages):
        return messages
    bare = prompts.describe(names, pngs, [""] * len(pngs), question)
    budget.require(
        bare, "The prompt with its pictures", "Send fewer pictures, or choose a model with a longer context."
    )
    notes.append("The text read in the pictures did not fit the model's prompt; the model was given the pictures only.")
    return bare
