from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from pydantic import Field

from agents.contract import Chunk, Result
from agents.errors import Interrupted
from knowledge.types import Passage

FRAME = 4
"""Tokens the double's chat template adds to each message."""


def words(messages: Sequence[BaseMessage]) -> int:
    return sum(FRAME + len(str(message.text).split()) for message in messages)


class Cut(str):
    """An answer that ends at its limit."""

    __slots__ = ()


class ScriptedModel(BaseChatModel):
    """A chat model whose answers the test writes: a token is a word, prompts are kept.

    ``answers`` are given in turn, then ``reply`` is asked, which sees the prompt.
    """

    answers: list[Any] = Field(default_factory=list)
    reply: Callable[[list[BaseMessage]], str] | None = None
    prompts: list[list[BaseMessage]] = Field(default_factory=list)
    engine_notes: list[str] = Field(default_factory=list)
    stop_event: threading.Event = Field(default_factory=threading.Event)
    interrupt_after: int | None = None
    closed: list[str] = Field(default_factory=list)
    piece: int = 3

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def get_num_tokens_from_messages(self, messages: list[BaseMessage], tools: Any = None) -> int:
        return words(messages)

    def _generate(self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any) -> ChatResult:
        text = "".join(str(chunk.message.text) for chunk in self._stream(messages))
        return ChatResult(generations=[ChatGeneration(message=AIMessage(text))])

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **_: Any
    ) -> Iterator[ChatGenerationChunk]:
        limit = (self.profile or {}).get("max_input_tokens", 10**9)
        assert words(messages) <= limit, "a prompt that does not fit was sent"
        self.prompts.append(list(messages))
        text = self.answers.pop(0) if self.answers else self.reply(messages) if self.reply else ""
        try:
            for number, begin in enumerate(range(0, len(text), self.piece)):
                if self.stop_event.is_set() or number == self.interrupt_after:
                    raise Interrupted
                yield ChatGenerationChunk(message=AIMessageChunk(text[begin : begin + self.piece]))
            sent, made = words(messages), len(text.split())
            yield ChatGenerationChunk(
                message=AIMessageChunk(
                    "",
                    usage_metadata=UsageMetadata(input_tokens=sent, output_tokens=made, total_tokens=sent + made),
                    response_metadata={
                        "finish_reason": "length" if isinstance(text, Cut) else "stop",
                        "notes": list(self.engine_notes),
                    },
                )
            )
        finally:
            self.closed.append(text)


class Kept(dict[str, str]):
    """Checkpoints in memory. ``attempt`` begins the next attempt: ids left behind are given once in each."""

    def __init__(self) -> None:
        super().__init__()
        self.left: dict[str, list[int]] = {}
        self.logs: dict[str, list[int]] = {}
        self.anew = 0

    def attempt(self) -> Kept:
        self.left, self.logs = self.logs, {}
        return self

    def put(self, key: str, value: str) -> None:
        self[key] = value
        self.logs.clear()

    def tokens(self, key: str) -> list[int]:
        left, self.left = self.left, {}
        self.logs = {key: list(left.get(key, ()))}
        return list(self.logs[key])

    def extend(self, key: str, ids: Sequence[int]) -> None:
        self.logs[key].extend(ids)

    def start_over(self) -> None:
        self.anew += 1
        self.logs, self.left = {}, {}


class TokenModel(ScriptedModel):
    """One that goes on from tokens: an id is the place of a piece. It is interrupted after ``interrupt_after``."""

    made: list[int] = Field(default_factory=list)
    """How many pieces each call made, those taken over left out."""

    resumes: bool = True

    def _stream(
        self, messages: list[BaseMessage], stop: Any = None, run_manager: Any = None, **kwargs: Any
    ) -> Iterator[ChatGenerationChunk]:
        log = kwargs.pop("resume")
        before = len(log.ids)
        assert log.ids == tuple(range(before))
        self.made.append(0)
        for number, chunk in enumerate(super()._stream(messages, stop, run_manager)):
            if chunk.text and number >= before:
                if sum(self.made) == self.stop_at:
                    raise Interrupted
                self.made[-1] += 1
                log.add([number])
            yield chunk

    stop_at: int | None = None


class Shelf:
    """A retriever with the passages a test gives it."""

    def __init__(self, *passages: Passage) -> None:
        self.passages = list(passages)
        self.queries: list[str] = []
        self.before: list[str] = []

    def retrieve(self, query: str, top_k: int = 5, before: Sequence[str] = ()) -> list[Passage]:
        self.queries.append(query)
        self.before = list(before)
        return self.passages[:top_k]


def make_model(*answers: str, reply: Any = None, limit: int = 4000, room: int = 1000, **fields: Any) -> ScriptedModel:
    profile = {"max_input_tokens": limit, "max_output_tokens": room, **fields.pop("profile", {})}
    return ScriptedModel(answers=list(answers), reply=reply, profile=profile, **fields)


def run_chain(chain: Any, value: Any) -> tuple[Any, list[Chunk]]:
    """The result and all chunks; the deltas must add up to the result's text."""
    chunks = list(chain.stream(value))
    result = chunks[-1].result
    assert isinstance(result, Result)
    assert "".join(chunk.delta for chunk in chunks) == result.text
    return result, chunks


def make_passage(text: str, number: int = 1, score: float = 0.8) -> Passage:
    return Passage(id=f"p{number}", text=text, source=f"doc{number}.md", title=f"Title {number}", score=score)


@pytest.fixture(scope="session")
def model() -> Callable[..., ScriptedModel]:
    return make_model


@pytest.fixture(scope="session")
def tokens() -> Callable[..., TokenModel]:
    """Makes a model like ``model``'s that goes on from tokens."""

    def make(reply: Any, limit: int = 4000, room: int = 1000, **fields: Any) -> TokenModel:
        profile = {"max_input_tokens": limit, "max_output_tokens": room, **fields.pop("profile", {})}
        return TokenModel(reply=reply, profile=profile, **fields)

    return make


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture(scope="session")
def run() -> Callable[..., tuple[Any, list[Chunk]]]:
    return run_chain


@pytest.fixture(scope="session")
def passage() -> Callable[..., Passage]:
    return make_passage


@pytest.fixture(scope="session")
def shelf() -> type[Shelf]:
    return Shelf


@pytest.fixture(scope="session")
def cut() -> type[Cut]:
    return Cut
