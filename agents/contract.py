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


class Attachment(Input):
    """A file that lies in the content store; jobs carry the reference, not the bytes."""

    ref: str = Field(description="sha256:<hex> in the content store")
    name: str
    size: int = Field(ge=0, description="bytes")


def _unused(value: object) -> bool:
    """For fields that came later: left out of JSON while unused, so that older versions can read the rest."""
    return not value


ToolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]


class ToolCall(Input):
    """A call of a tool that a model asks for; whoever runs the conversation makes it, or does not."""

    id: str = Field(min_length=1, max_length=128)
    name: ToolName
    arguments: str = Field(default="{}", max_length=1_000_000, description="JSON, as the model wrote it")


class Tool(Input):
    """A tool that a model may ask for."""

    name: ToolName
    description: str = Field(default="", max_length=100_000)
    parameters: dict[str, Any] = Field(default_factory=dict, description="JSON schema of its arguments")
    strict: bool = Field(default=False, description="ask the engine to keep to the schema")


class ResponseFormat(Input):
    """The form an answer must have: any JSON object, or one that fits a schema."""

    type: Literal["json_object", "json_schema"]
    name: str = Field(default="answer", pattern=r"^[A-Za-z0-9_-]{1,64}$")
    description: str = Field(default="", max_length=10_000)
    json_schema: dict[str, Any] | None = None
    strict: bool = False

    @model_validator(mode="after")
    def _has_its_schema(self) -> ResponseFormat:
        if (self.type == "json_schema") != (self.json_schema is not None):
            raise ValueError("json_schema belongs to the type json_schema, and only there")
        return self


class Message(Input):
    """One turn of a conversation.

    A model's turn may ask for tools (``tool_calls``); the turns after it with the role ``tool`` hold what they said.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str = ""
    images: list[Attachment] = Field(default_factory=list, max_length=20, exclude_if=_unused)
    tool_calls: list[ToolCall] = Field(default_factory=list, max_length=128, exclude_if=_unused)
    tool_call_id: str | None = Field(default=None, max_length=128, exclude_if=_unused)
    name: str | None = Field(default=None, max_length=64, exclude_if=_unused)

    @model_validator(mode="after")
    def _says_something(self) -> Message:
        if not self.content and not (self.images or self.tool_calls or self.role == "tool"):
            raise ValueError("content must have at least 1 character")
        if self.images and self.role != "user":
            raise ValueError("only the user's turns may have images")
        if self.tool_calls and self.role != "assistant":
            raise ValueError("only the assistant's turns may have tool_calls")
        if (self.tool_call_id is not None) != (self.role == "tool"):
            raise ValueError("tool_call_id belongs to the role tool, and only there")
        return self


class ChatInput(Input):
    """Answer the last user turn, from a collection's passages when one is named.

    With ``verbatim`` the model gets the turns as they are, without words of phiq's and whole or not at all; tools,
    pictures and a form of the answer need it.
    """

    messages: list[Message] = Field(min_length=1)
    collection: str | None = Field(default="default", description="None: answer without documents")
    top_k: int = Field(default=5, ge=1, le=50)
    verbatim: bool = Field(default=False, exclude_if=_unused)
    tools: list[Tool] = Field(default_factory=list, max_length=128, exclude_if=_unused)
    tool_choice: str = Field(
        default="", max_length=80, exclude_if=_unused, description="auto, none, required, or tool:NAME; empty: auto"
    )
    single_tool_call: bool = Field(default=False, exclude_if=_unused, description="at most one call an answer")
    response_format: ResponseFormat | None = Field(default=None, exclude_if=_unused)

    @model_validator(mode="after")
    def _fits_together(self) -> ChatInput:
        last = self.messages[-1].role
        if last != "user" and not (self.verbatim and last == "tool"):
            raise ValueError("the last message must be the user's")
        needs = bool(self.tools or self.response_format or self.tool_choice) or any(
            turn.images or turn.tool_calls or turn.role == "tool" for turn in self.messages
        )
        if needs and not self.verbatim:
            raise ValueError("tools, images and response_format need verbatim")
        if self.verbatim and self.collection is not None:
            raise ValueError("verbatim needs collection to be null: nothing may be added to the conversation")
        names = [tool.name for tool in self.tools]
        if len(set(names)) < len(names):
            raise ValueError("two tools have the same name")
        free = ("", "auto", "none", *(["required"] if names else []))
        if self.tool_choice not in (*free, *(f"tool:{name}" for name in names)):
            raise ValueError("tool_choice must be auto, none, required, or tool:NAME of a tool that is given")
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
    finish_reason: Literal["stop", "length", "abstained", "tool_calls"] = "stop"
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
    tool_calls: list[ToolCall] = Field(default_factory=list, exclude_if=_unused)


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
