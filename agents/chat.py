"""Chat with a generative model: from passages with checked citations, or plainly without documents."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, cast

from agents.budget import Budget
from agents.calibration import Calibration
from agents.checkpoints import Checkpoints, FrozenRetriever, NoCheckpoints
from agents.checks.across import LineStream, QuotedGrounding, without_quotes
from agents.checks.grounded import Grounding
from agents.checks.markers import Sentence, SentenceStream, without_markers
from agents.checks.support import SupportConfig
from agents.checks.whole import stops_short
from agents.complete import CUT_OFF
from agents.contract import ChatInput, ChatResult, Chunk
from agents.followup import standalone
from agents.generate import Answer, Tally
from agents.grounding import find_more, find_passages, plan_grounded, plan_plain
from agents.language import LanguageWatch, asked_language, passages_language, translated_question
from agents.prompts.chat import NO_ANSWER, Tongue
from agents.prompts.languages import language_name
from agents.runnable import as_runnable
from knowledge.types import Passage, Retriever
from tools.detect_language import alike

if TYPE_CHECKING:
    from collections.abc import Generator

    from langchain_core.language_models import BaseChatModel
    from langchain_core.runnables import Runnable

LEAST_SCORE = 0.35
"""Lower than the extractive chat's: the model reads the passages, and says itself when they hold no answer."""
_HELP = (
    "It would help to ingest a document that covers it (phiq ingest PATH), "
    "or to ask again in the words that the documents use."
)
NOT_FOUND = f"The documents do not answer this question. {_HELP}"
NOTHING_SUPPORTED = f"The documents found do not bear out an answer to this question. {_HELP}"
EMPTY = "There are no documents to answer from yet. Ingest some first: phiq ingest PATH."
ACROSS_NOTE = (
    "The answer is in another language than its passages: each sentence was held against the words it quotes, by "
    "numbers, codes and negation. Whether its wording says the same was not checked."
)
_AGAIN = "chat:language"


@dataclass(frozen=True)
class ChatConfig:
    """When to answer.

    Attributes:
        calibration: The collection's; below its ``near`` the model is not even asked.
        support: How much of a sentence its passages must hold.
        find_markers: Look for the passage of a sentence that came without a marker, with the same check; small
            models often mark only the last sentence of several.
    """

    calibration: Calibration = field(default_factory=lambda: Calibration(near=LEAST_SCORE))
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
    asked, tally = asked_language(request.messages), Tally()
    question = request.messages[-1].content
    passages = find_passages(retriever, request.messages, request.top_k)
    alone = standalone(model, request.messages, tally, kept) if passages else ""
    if alone:
        passages = find_more(retriever, passages, alone, request.top_k)
    query = alone if alone != question else ""
    written = passages_language(passages)
    if asked and written and not alike(asked, written):
        if text := translated_question(model, alone or question, written, tally, kept):
            passages, query = _also_translated(retriever, request, passages, text), text
            tally.note(f"The documents are in {language_name(written)}: the question was looked up as: {text}")
        else:
            tally.note("The question could not be translated into the documents' language to look it up.")
        written = passages_language(passages)
    if not passages or max(passage.score for passage in passages) < config.calibration.near:
        what = "Nothing was found in the collection." if not passages else "No passage found is near the question."
        found = ChatResult(usage=tally.usage, notes=[*tally.notes, what], query=query)
        yield from _abstain(EMPTY if not passages else NOT_FOUND, passages, found)
        return
    foreign = bool(asked and written and not alike(asked, written))
    tongue = Tongue(asked, written if foreign else "", again=kept.get(_AGAIN) is not None)
    spoken = _Spoken(model, request, config, passages, kept)
    yield from spoken.say(tongue)
    if spoken.watch.wrong and not tongue.again:
        # Nothing of it was shown. A later attempt of the job goes on with the second call, not with the first.
        tally.add(spoken.answer)
        kept.put(_AGAIN, asked)
        tongue = replace(tongue, again=True)
        spoken = _Spoken(model, request, config, passages, kept)
        yield from spoken.say(tongue)
    yield from spoken.end(tongue, tally, query)


def _also_translated(retriever: Retriever, request: ChatInput, found: list[Passage], text: str) -> list[Passage]:
    """The passages found by the question in their own language, then those found by it as it was asked."""
    other = [*request.messages[:-1], request.messages[-1].model_copy(update={"content": text})]
    better = find_passages(retriever, other, request.top_k)
    known = {passage.id for passage in better}
    return [*better, *(passage for passage in found if passage.id not in known)][: request.top_k]


class _Spoken:
    """One answer of the model to the prompt with the passages: shown as far as it is borne out."""

    def __init__(
        self,
        model: BaseChatModel,
        request: ChatInput,
        config: ChatConfig,
        passages: list[Passage],
        kept: Checkpoints,
    ) -> None:
        self._model, self._request, self._config, self._found, self._kept = model, request, config, passages, kept

    def say(self, tongue: Tongue) -> Iterator[Chunk]:
        """Stream the sentences that stood their checks; none where the language is wrong and may be asked for again."""
        self.prompt = plan_grounded(Budget(self._model), self._found, self._request.messages, tongue)
        self.answer = Answer(self._model, self.prompt.messages, self._kept)
        self.watch = LanguageWatch(tongue.target)
        self.grounding = self._checks(tongue)
        stream = LineStream() if tongue.source else SentenceStream()
        held: list[Sentence] = []
        with closing(cast("Generator[str]", iter(self.answer))) as pieces:
            for piece in pieces:
                held += self._seen(stream.feed(piece))
                if self.watch.wrong and not tongue.again:
                    return
                if self.watch.known:
                    yield from self._admitted(held)
        rest = [] if self.declined else self._seen(stream.finish())
        if self.watch.wrong and not tongue.again and not self.declined:
            return
        if self.watch.wrong and tongue.source:
            # Again in the passages' own language: then their words can be compared after all.
            self.grounding = self._checks(replace(tongue, source=""))
            plain = SentenceStream()
            held, rest = plain.feed(self.answer.text), plain.finish()
        yield from self._admitted([*held, *rest[:-1]])
        for last in rest[-1:]:
            if delta := self.grounding.admit(last, cut=self.answer.finish_reason == "length" or stops_short(last.text)):
                yield Chunk(delta=delta)

    @property
    def declined(self) -> bool:
        """Whether the model says that the passages hold no answer."""
        return self.answer.text.strip(" .`*\"'\n[]") == NO_ANSWER

    def end(self, tongue: Tongue, tally: Tally, query: str) -> Iterator[Chunk]:
        """The result."""
        tally.add(self.answer)
        tally.note(*self.prompt.notes, *self.grounding.notes())
        reason = self.answer.finish_reason
        result = ChatResult(usage=tally.usage, finish_reason=reason, notes=tally.notes, query=query)
        if self.watch.wrong:
            names = language_name(self.watch.found), language_name(tongue.target)
            result.notes.append(f"The model answered in {names[0]}, not in {names[1]}, though it was asked twice.")
        if not self.grounding.text:
            yield from _abstain(NOT_FOUND if self.declined else NOTHING_SUPPORTED, self.prompt.passages, result)
            return
        if tongue.source and not self.watch.wrong:
            result.notes.append(ACROSS_NOTE)
        if self.answer.finish_reason == "length":
            result.notes.append(CUT_OFF)
        update = {
            "text": self.grounding.text,
            "citations": self.grounding.citations,
            "passages": self.prompt.passages,
        }
        yield Chunk(result=result.model_copy(update=update))

    def _checks(self, tongue: Tongue) -> Grounding | QuotedGrounding:
        if tongue.source:
            return QuotedGrounding(self.prompt.passages)
        return Grounding(self.prompt.passages, self._config.support, find_markers=self._config.find_markers)

    def _seen(self, sentences: list[Sentence]) -> list[Sentence]:
        for sentence in sentences:
            # What is quoted stands in the passage's language, and the sign for "no answer" in none.
            claim = without_quotes(without_markers(sentence.text))
            if claim.strip(" .`*\"'") != NO_ANSWER:
                self.watch.see(claim)
        return sentences

    def _admitted(self, held: list[Sentence]) -> Iterator[Chunk]:
        while held:
            if delta := self.grounding.admit(held.pop(0)):
                yield Chunk(delta=delta)


def _abstain(text: str, passages: list[Passage], result: ChatResult) -> Iterator[Chunk]:
    yield Chunk(delta=text)
    update = {"text": text, "finish_reason": "abstained", "band": "abstained", "passages": passages}
    yield Chunk(result=result.model_copy(update=update))
