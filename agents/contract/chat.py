"""Chat: conversations, tools, and answers with their evidence."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from agents.contract.base import Attachment, Input, Result, Since, unused
from knowledge.types import Filters, Frozen, Passage

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
    images: list[Attachment] = Field(default_factory=list, max_length=20, exclude_if=unused)
    tool_calls: list[ToolCall] = Field(default_factory=list, max_length=128, exclude_if=unused)
    tool_call_id: str | None = Field(default=None, max_length=128, exclude_if=unused)
    name: str | None = Field(default=None, max_length=64, exclude_if=unused)

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
    verbatim: bool = Field(default=False, exclude_if=unused)
    tools: list[Tool] = Field(default_factory=list, max_length=128, exclude_if=unused)
    tool_choice: str = Field(
        default="", max_length=80, exclude_if=unused, description="auto, none, required, or tool:NAME; empty: auto"
    )
    single_tool_call: bool = Field(default=False, exclude_if=unused, description="at most one call an answer")
    response_format: ResponseFormat | None = Field(default=None, exclude_if=unused)
    filters: Annotated[Filters | None, Since(4)] = Field(
        default=None, exclude_if=unused, description="which passages may be found"
    )

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
    tool_calls: list[ToolCall] = Field(default_factory=list, exclude_if=unused)
    reasoning: str = Field(default="", exclude_if=unused, description="the model's thoughts, of an answer as it is")
    query: str = Field(
        default="", exclude_if=unused, description="what was looked up, where it is not the last turn as it stands"
    )
