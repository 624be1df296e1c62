"""One call of a chat model: its text as it comes, then what it cost, how it ended and what must be said."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal, cast

from agents.checkpoints import Checkpoints, NoCheckpoints, TokenLog, step_key
from agents.contract import ToolCall, Usage
from agents.errors import ModelMisbehaved
from agents.think import ThinkFilter

if TYPE_CHECKING:
    from collections.abc import Generator

    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessageChunk, BaseMessage

FinishReason = Literal["stop", "length"]
STOPPED = "A call that went on far too long was stopped; the tokens it took are not counted."
_CUT = {"length", "max_tokens", "max_output_tokens"}


class Answer:
    """A model's answer to one prompt. Iterate for its text, once; then read the rest.

    Where the engine can, it goes on from the tokens that an earlier attempt made of the same prompt, and gives their
    text again first.

    Args:
        model: The chat model.
        messages: The prompt.
        kept: Where token ids are kept while they are made, and the answers of calls that are `read`.
        call: More for the model's ``stream``: ``tools``, ``tool_choice`` and ``response_format`` in OpenAI's forms.

    Attributes:
        text: The answer so far, thinking left out.
        thinking: What stood in a leading ``<think>`` block, or came apart from the text by the engine.
        usage: Tokens as the engine counted them.
        finish_reason: ``length`` when the answer was cut off at its limit.
        notes: Sentences of the engine that people must know.
        key: Of the prompt, among the checkpoints.
        recalled: Whether the answer was taken from there.
        tool_calls: The tools it asks for.
    """

    def __init__(
        self, model: BaseChatModel, messages: Sequence[BaseMessage], kept: Checkpoints | None = None, **call: Any
    ) -> None:
        self._model = model
        self._call = call
        self._messages = list(messages)
        # A store that is still empty may well be falsy.
        self._kept = NoCheckpoints() if kept is None else kept
        self.key = step_key("call", self._messages)
        self.recalled = False
        self.text = ""
        self.thinking = ""
        self._thought = ""
        self.usage = Usage()
        self.finish_reason: FinishReason = "stop"
        self.notes: list[str] = []
        self._asked: AIMessageChunk | None = None

    def __iter__(self) -> Iterator[str]:
        """The answer's text, piece by piece; closing the iterator ends the run in the engine."""
        think = ThinkFilter()
        more: dict[str, Any] = dict(self._call)
        # What a tool is called with is no text: its ids can't be told from those of text, so such a call starts over.
        if getattr(self._model, "resumes", False) and not more:
            more["resume"] = TokenLog(self._kept, self.key)
        else:
            self._kept.start_over()
        stream = cast("Generator[AIMessageChunk]", self._model.stream(self._messages, **more))
        with closing(stream):
            for chunk in stream:
                self._account(chunk)
                if piece := think.feed(str(chunk.text)):
                    self.text += piece
                    yield piece
        if piece := think.finish():
            self.text += piece
            yield piece
        self.thinking = (self._thought + think.thinking).strip()
        if self.thinking and not self.text.strip():
            self.notes.append("The model used up its answer for thinking: allow it more tokens (max_tokens).")

    @property
    def tool_calls(self) -> list[ToolCall]:
        """The tools that the answer asks for, in order; one that came without an id gets its place as one."""
        chunks = self._asked.tool_call_chunks if self._asked is not None else []
        return [
            ToolCall(id=chunk["id"] or f"call_{place}", name=chunk["name"] or "", arguments=chunk["args"] or "{}")
            for place, chunk in enumerate(chunks)
        ]

    def read(self, most: int | None = None) -> Answer:
        """Run to the end, or take the answer that an earlier attempt has kept; returns itself.

        Args:
            most: Characters after which the run is stopped as one that will not end (``finish_reason`` is then
                ``length``); an engine tells no counts of a run that was stopped.
        """
        if (text := self._kept.get(self.key)) is not None:
            self._recall(text)
            return self
        with closing(cast("Generator[str]", iter(self))) as pieces:
            for _ in pieces:
                if most is not None and len(self.text) > most:
                    self.finish_reason = "length"
                    self.notes.append(STOPPED)
                    break
        if self.text.strip():
            self._keep()
        return self

    def _keep(self) -> None:
        usage = [self.usage.prompt_tokens, self.usage.completion_tokens]
        self._kept.put(self.key, json.dumps([self.text, self.thinking, usage, self.finish_reason, self.notes]))

    def _recall(self, text: str) -> None:
        self.text, self.thinking, (asked, made), self.finish_reason, self.notes = json.loads(text)
        self.usage = Usage(prompt_tokens=asked, completion_tokens=made)
        self.recalled = True

    def _account(self, chunk: AIMessageChunk) -> None:
        if counts := chunk.usage_metadata:
            self.usage += Usage(
                prompt_tokens=counts["input_tokens"],
                completion_tokens=counts["output_tokens"],
                cached_tokens=counts.get("input_token_details", {}).get("cache_read") or 0,
            )
        if chunk.tool_call_chunks:
            self._asked = chunk if self._asked is None else self._asked + chunk
        self._thought += chunk.additional_kwargs.get("reasoning_content") or ""
        metadata: dict[str, Any] = chunk.response_metadata
        if metadata.get("finish_reason") in _CUT:
            self.finish_reason = "length"
        self.notes.extend(note for note in metadata.get("notes", []) if note not in self.notes)


def trimmed(pieces: Iterable[str]) -> Iterator[str]:
    """The same text without white space around it, as it streams."""
    held, begun = "", False
    for piece in pieces:
        text = held + piece if begun else piece.lstrip()
        solid = text.rstrip()
        held = text[len(solid) :]
        if solid:
            begun = True
            yield solid


class Tally:
    """What the calls of one job cost together, and their notes, each once and in order."""

    def __init__(self) -> None:
        self.usage = Usage()
        self.notes: list[str] = []
        self._counted: set[str] = set()

    def add(self, answer: Answer) -> None:
        """Count a finished call, also one that an earlier attempt finished; what was asked once counts once."""
        if not (answer.recalled and answer.key in self._counted):
            self.usage += answer.usage
        self._counted.add(answer.key)
        self.note(*answer.notes)

    def note(self, *sentences: str) -> None:
        """Remember sentences for people, each once."""
        self.notes.extend(sentence for sentence in dict.fromkeys(sentences) if sentence not in self.notes)


def read_filled(
    model: BaseChatModel, messages: Sequence[BaseMessage], tally: Tally, what: str, kept: Checkpoints | None = None
) -> Answer:
    """Run a call that must bring text; an empty answer is asked for once more.

    Args:
        model: The chat model.
        messages: The prompt.
        tally: Takes the cost of both calls.
        what: What was asked, for the error: "the summary of part 2".
        kept: Where the answer is kept for later attempts.

    Raises:
        ModelMisbehaved: when the second answer is empty too.
    """
    for _ in range(2):
        answer = Answer(model, messages, kept).read()
        tally.add(answer)
        if answer.text.strip():
            return answer
    raise empty_answer(what)


def empty_answer(what: str, times: int = 2) -> ModelMisbehaved:
    """The error for a model that answered with nothing, asked once or twice."""
    return ModelMisbehaved(
        f"The model answered {'twice with' if times == 2 else 'with'} nothing for {what}.",
        hint="Allow it more tokens (max_tokens), or choose another model: phiq models list",
    )
