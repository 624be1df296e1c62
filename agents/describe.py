"""Describe pictures with a model that sees; what can be measured is measured beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from agents.budget import Budget
from agents.checkpoints import Checkpoints
from agents.checks.numbers import foreign_numbers
from agents.checks.pictures import fields_in, fit_alt_text, unsupported
from agents.complete import CUT_OFF
from agents.contract import (
    ALT_TEXT,
    FIELDS,
    Chunk,
    DescribeRequest,
    DescriptionResult,
    PictureFields,
    PictureText,
    Progress,
)
from agents.errors import ModelCannotSee
from agents.generate import Answer, Tally, empty_answer, read_filled, trimmed
from agents.pictures import Keep, Looked, Looking
from agents.prompts import describe as prompts
from agents.runnable import as_runnable
from tools.pictures import PictureLimits

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.runnables import Runnable

LEAST_SCORE = 0.5
"""Of a line read in a picture; below, it would mislead the model more than help it."""


def build_describe(
    model: BaseChatModel,
    limits: PictureLimits | None = None,
    checkpoints: Checkpoints | None = None,
    keep: Keep | None = None,
) -> Runnable[DescribeRequest, Chunk]:
    """A runnable that describes pictures, or answers a question about them.

    Descriptions take one call for all pictures; alt texts and fields one a picture, and a second where the first
    will not do.

    Args:
        model: The chat model.
        limits: How large a picture may be.
        checkpoints: Where tokens are kept, so that a next attempt goes on from them.
        keep: Puts masked pictures into the content store.

    The stream raises:
        ModelCannotSee: before anything else, when the model takes no pictures.
        ImageUnreadable, ImageTooLarge, VideoUnsupported: naming the picture.
        ContextOverflow: when the pictures and the question do not fit.
        ModelMisbehaved: when the model says nothing.
    """

    def steps(request: DescribeRequest) -> Iterator[Chunk]:
        if not (model.profile or {}).get("image_inputs"):
            raise ModelCannotSee(
                "This model takes no pictures.",
                hint="Choose one that does: phiq models pull phi-3.5-vision, then --model onnx:phi-3.5-vision; "
                "or ollama pull llava, then --model ollama:llava. "
                "Or have the text read and the rest measured without a model: --model extractive.",
            )
        looking = Looking(request, limits or PictureLimits(), keep)
        for step in looking.run():
            if isinstance(step, Progress):
                yield Chunk(progress=step)
        yield from _Describing(model, request, looking, checkpoints).run()

    return as_runnable(steps, "describe")


class _Describing:
    """The calls of one job."""

    def __init__(
        self, model: BaseChatModel, request: DescribeRequest, looking: Looking, checkpoints: Checkpoints | None
    ) -> None:
        self._model = model
        self._request = request
        self._looking = looking
        self._kept = checkpoints
        self._tally = Tally()
        self._budget = Budget(model)
        self._finish = "stop"

    def run(self) -> Iterator[Chunk]:
        looked = self._looking.looked
        yield Chunk(progress=Progress(done=len(looked), total=len(looked) + 1, note="describing"))
        result = DescriptionResult(
            facts=self._looking.facts, texts=self._looking.texts(), masked=list(self._looking.masked)
        )
        if self._request.form == "alt_text":
            yield from self._alt_texts(result)
        elif self._request.form in FIELDS:
            yield from self._fields(result)
        else:
            yield from self._prose(result)
        self._check_language(result.text)
        result = result.model_copy(
            update={
                "usage": self._tally.usage,
                "finish_reason": self._finish,
                "notes": [*self._looking.notes, *self._tally.notes],
            }
        )
        yield Chunk(progress=Progress(done=len(looked) + 1, total=len(looked) + 1), result=result)

    def _prose(self, result: DescriptionResult) -> Iterator[Chunk]:
        """One call for all pictures, streamed; with masking only when it is whole and was looked through."""
        answer = Answer(self._model, self._prompt(self._looking.looked), self._kept)
        for piece in trimmed(answer):
            if not self._request.mask:
                result.text += piece
                yield Chunk(delta=piece)
        if self._request.mask:
            result.text = self._clean(answer.text.strip())
            yield Chunk(delta=result.text)
        if not result.text:
            raise empty_answer("the description", times=1)
        self._tally.add(answer)
        if answer.finish_reason == "length":
            self._finish = "length"
            self._tally.notes.insert(0, CUT_OFF)
        if self._request.form == "chart" and (strange := foreign_numbers(result.text, self._read())):
            self._tally.note(
                f"These figures are not in the text that was read in the picture: {', '.join(strange[:20])}. "
                "Check them: they may be estimates, or wrong."
            )

    def _check_language(self, text: str) -> None:
        """Say so when the answer is in another language than asked; receipts are copied, in whatever language."""
        from tools.detect_language import LANGUAGES, alike, detect, primary

        wanted = primary(self._request.language or "")
        if wanted not in LANGUAGES or self._request.form == "receipt":
            return
        found = detect(text)
        if found.sure and not alike(found.language, wanted):
            self._tally.note(f"The model was asked to write in {wanted}, but wrote in {found.language}.")

    def _alt_texts(self, result: DescriptionResult) -> Iterator[Chunk]:
        for number, one in enumerate(self._looking.looked, 1):
            messages = self._prompt([one], number)
            said = self._ask(messages, f"the alt text of {one.name}")
            alt = fit_alt_text(said)
            if alt.shortened:
                said = self._ask(
                    prompts.again(messages, said, prompts.too_long(len(said))), f"the alt text of {one.name}"
                )
                alt = fit_alt_text(said)
            if alt.shortened:
                self._tally.note(
                    f"The model's alt text of {one.name} was longer than {ALT_TEXT} characters and was shortened."
                )
            result.descriptions.append(PictureText(name=one.name, text=alt.text, shortened=alt.shortened))
            yield from self._say(result, alt.text)

    def _fields(self, result: DescriptionResult) -> Iterator[Chunk]:
        form = self._request.form
        for number, one in enumerate(self._looking.looked, 1):
            messages = self._prompt([one], number)
            said = self._ask(messages, f"the fields of {one.name}")
            values = fields_in(said, FIELDS[form])
            if values is None:
                said = self._ask(prompts.again(messages, said, prompts.no_fields(form)), f"the fields of {one.name}")
                values = fields_in(said, FIELDS[form])
            if values is None:
                self._tally.note(
                    f"The model gave no fields of {one.name} that can be read; they were found by rules instead."
                )
                values = by_rules(one, form)
            # What a user sees is told in the model's own words; everything else is copied, so it must stand there.
            copied = {name: value for name, value in values.items() if name not in ("seen", "application")}
            strange = unsupported(copied, "\n".join(line.text for line in one.facts.lines))
            if strange:
                self._tally.note(
                    f"Not in the text that was read in {one.name}: {', '.join(strange)}. Look at the picture yourself."
                )
            result.fields.append(PictureFields(name=one.name, values=values, unsupported=strange))
            yield from self._say(result, fields_text(values, form))

    def _say(self, result: DescriptionResult, text: str) -> Iterator[Chunk]:
        delta = f"\n{text}" if result.text else text
        result.text += delta
        yield Chunk(delta=delta, progress=self._how_far(result))

    def _how_far(self, result: DescriptionResult) -> Progress:
        total = len(self._looking.looked)
        return Progress(done=total, total=total + 1, note=f"{len(result.descriptions) + len(result.fields)} described")

    def _ask(self, messages: Sequence[BaseMessage], what: str) -> str:
        answer = read_filled(self._model, messages, self._tally, what, self._kept)
        if answer.finish_reason == "length":
            self._finish = "length"
            self._tally.note(CUT_OFF)
        return self._clean(answer.text.strip())

    def _clean(self, text: str) -> str:
        if not self._request.mask:
            return text
        from tools.private_text import mask_text

        return mask_text(text)[0]

    def _read(self) -> str:
        return "\n".join(line.text for fact in self._looking.facts for line in fact.lines)

    def _prompt(self, looked: Sequence[Looked], first: int = 1) -> list[BaseMessage]:
        """The prompt with the text read in the pictures, or without it where only that fits; ``first`` numbers them."""
        from tools.pictures import to_png

        request, names = self._request, [one.name for one in looked]
        pngs = [to_png(one.image) for one in looked]
        texts = ["\n".join(line.text for line in one.facts.lines if line.score >= LEAST_SCORE) for one in looked]

        def made(read: list[str]) -> list[BaseMessage]:
            return prompts.describe(
                names,
                pngs,
                read,
                request.question,
                form=request.form,
                language=request.language,
                masked=request.mask,
                first=first,
            )

        messages = made(texts)
        if self._budget.fits(messages):
            return messages
        bare = made([""] * len(pngs))
        self._budget.require(
            bare, "The prompt with its pictures", "Send fewer pictures, or choose a model with a longer context."
        )
        self._tally.note(
            "The text read in the pictures did not fit the model's prompt; the model was given the pictures only."
        )
        return bare


def by_rules(one: Looked, form: str) -> dict[str, str | None]:
    """The fields of a picture without a model."""
    if form == "receipt":
        from tools.receipt import receipt_fields

        return receipt_fields(one.facts.lines)
    from tools.screenshot import screenshot_fields

    return screenshot_fields(one.facts.lines)


def fields_text(values: dict[str, str | None], form: str) -> str:
    """Fields as text: JSON for programs, lines for people who support users."""
    import json

    if form == "receipt":
        return json.dumps(values, ensure_ascii=False)
    return "\n".join(f"{name.capitalize()}: {value or 'not found'}" for name, value in values.items())
