"""What agents take and give: typed inputs, results, and the chunks that stream in between.

Every agent is a LangChain runnable from an input to a stream of :class:`Chunk`. ``invoke`` adds the chunks up;
the sum carries the whole text and the result.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from knowledge.types import Frozen, Passage
from tools.types import PictureFacts

Text = Annotated[str, Field(min_length=1)]


class Input(BaseModel):
    """Base of what people send: unknown fields are refused, never ignored."""

    model_config = ConfigDict(extra="forbid")


class Message(Input):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: Text


class ChatInput(Input):
    """Answer the last user turn, from a collection's passages when one is named."""

    messages: list[Message] = Field(min_length=1)
    collection: str | None = Field(default="default", description="None: answer without documents")
    top_k: int = Field(default=5, ge=1, le=50)

    @model_validator(mode="after")
    def _ends_with_a_question(self) -> ChatInput:
        if self.messages[-1].role != "user":
            raise ValueError("the last message must be the user's")
        return self


class SourceText(Input):
    """A named text to work on."""

    text: Text
    name: str = "text"


class SummarizeInput(Input):
    """Summarise one or several texts into one summary."""

    texts: list[SourceText] = Field(min_length=1)
    focus: str | None = Field(default=None, description="a question the summary should answer")
    sentences: int = Field(default=5, ge=1, le=50, description="about how long the summary is")
    language: str | None = Field(default=None, description="output language (BCP 47); None: that of the text")


class TranslateInput(Input):
    """Translate a text, keeping its structure."""

    text: Text
    target: Text = Field(description="BCP 47 code or English name")
    source: str | None = None


class Attachment(Input):
    """A file that lies in the content store; jobs carry the reference, not the bytes."""

    ref: str = Field(description="sha256:<hex> in the content store")
    name: str
    size: int = Field(ge=0, description="bytes")


class DescribeInput(Input):
    """Describe one or several pictures."""

    images: list[Attachment] = Field(min_length=1, max_length=20)
    question: str | None = None


class Picture(Frozen):
    """A picture's bytes, as fetched from the content store."""

    name: str
    data: bytes = Field(repr=False)


class DescribeRequest(Frozen):
    """A describe job whose pictures have been fetched: what the agents take."""

    pictures: tuple[Picture, ...]
    question: str | None = None


class CompleteInput(Input):
    """Continue a prompt with the model, no documents and no checks."""

    prompt: Text


class EmbedInput(Input):
    """Sentence embeddings of texts."""

    texts: list[Text] = Field(min_length=1, max_length=2048)


class SearchInput(Input):
    """Find passages."""

    query: Text
    collection: str = "default"
    top_k: int = Field(default=5, ge=1, le=100)


class IngestFile(Attachment):
    """A file to ingest; ``source`` is its identity in the collection (its path or address)."""

    source: Text


class IngestInput(Input):
    """Load files into a collection; with ``prune_under`` delete what is gone.

    ``keep`` lists every source that still exists under ``prune_under`` (those in ``files`` need not be repeated).
    """

    files: list[IngestFile] = Field(default_factory=list)
    collection: str = "default"
    prune_under: str | None = Field(default=None, description="source prefix: stored sources below it not kept go")
    keep: list[str] = Field(default_factory=list)


class Usage(Frozen):
    """Tokens as the engine counted them; zero for the extractive engine."""

    prompt_tokens: int = 0
    completion_tokens: int = 0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            completion_tokens=self.completion_tokens + other.completion_tokens,
        )


class Result(BaseModel):
    """What every result says: who made it, at what cost, and what a reader must know.

    ``engine`` is the scheme (``extractive``, ``onnx``, ``ollama``…), ``model`` the name behind it.
    ``notes`` are sentences for people: what was left out, broken or could not be checked.
    """

    model_config = ConfigDict(extra="forbid")
    text: str = ""
    engine: str = "extractive"
    model: str = ""
    usage: Usage = Usage()
    finish_reason: Literal["stop", "length", "abstained"] = "stop"
    notes: list[str] = Field(default_factory=list)


class Citation(Frozen):
    """Where a sentence of the answer stands: ``passage.text[start:end]`` is ``quote``.

    ``answer_start`` and ``answer_end`` are the sentence's place in the result's text; ``marker`` is the number
    shown to people, counted from 1, one a passage.
    """

    marker: int
    passage_id: str
    source: str
    title: str
    page: int | None = None
    quote: str
    start: int
    end: int
    answer_start: int
    answer_end: int


class ChatResult(Result):
    """An answer with its evidence. ``band``: answered; passages (shown, nothing claimed); abstained."""

    band: Literal["answered", "passages", "abstained", "ungrounded"] = "answered"
    citations: list[Citation] = Field(default_factory=list)
    passages: list[Passage] = Field(default_factory=list)


class Coverage(Frozen):
    """How much of the input the result rests on: ``parts_read`` of ``parts``, ``rounds`` of merging."""

    parts: int
    parts_read: int
    rounds: int = 1
    sentences: int = 0


class SummaryResult(Result):
    """A summary. ``style`` is honest about what it is: abstractive, key_sentences or key_turns."""

    style: Literal["abstractive", "key_sentences", "key_turns"] = "key_sentences"
    coverage: Coverage


class SegmentIssue(Frozen):
    """A segment whose translation failed a check and was kept with a warning."""

    segment: int
    problem: Literal["placeholder", "number", "url", "code", "markup", "length", "empty", "cut_off"]
    detail: str


class TranslationResult(Result):
    """A translation with what its checks found."""

    target: str
    segments: int = 0
    issues: list[SegmentIssue] = Field(default_factory=list)


class DescriptionResult(Result):
    """A description, with the measured facts of each picture."""

    facts: list[PictureFacts] = Field(default_factory=list)


class CompletionResult(Result):
    """The model's own words."""


class EmbedResult(Result):
    """``vectors[i]`` is the unit-length embedding of ``texts[i]``; ``dimensions`` floats each."""

    vectors: list[list[float]] = Field(default_factory=list)
    dimensions: int = 0


class SearchResult(Result):
    """Passages, best first."""

    passages: list[Passage] = Field(default_factory=list)


class FileReport(Frozen):
    """What became of one file."""

    source: str
    status: Literal["added", "replaced", "unchanged", "deleted", "failed"]
    passages: int = 0
    error: dict[str, Any] | None = None


class IngestResult(Result):
    """What became of each file."""

    collection: str = "default"
    files: list[FileReport] = Field(default_factory=list)


class Progress(Frozen):
    """How far a job is; ``total`` 0 means unknown. ``note`` is for people."""

    done: int
    total: int = 0
    note: str = ""


class Chunk(BaseModel):
    """One step of an agent's stream; chunks add up (text joins, the later progress and result win)."""

    model_config = ConfigDict(extra="forbid")
    delta: str = ""
    progress: Progress | None = None
    result: Result | None = None

    def __add__(self, other: Chunk) -> Chunk:
        return Chunk.model_construct(
            delta=self.delta + other.delta,
            progress=other.progress or self.progress,
            result=other.result or self.result,
        )
