"""/v1/chat/completions: its body as a chat job, a chat's result as its answer."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from agents.contract import Attachment, Message, ResponseFormat, Tool, ToolCall
from workers.errors import JobInvalid
from workers.jobs import ChatJob, JobRecord
from workers.openai import fields
from workers.openai.fields import Attach, Body, Metadata, Sampled, StreamOptions


class TextPart(Body):
    """A part of a turn that is text."""

    type: Literal["text"]
    text: str


class ImageURL(Body):
    """A picture's data URL."""

    url: str
    detail: Literal["auto"] | None = None


class ImagePart(Body):
    """A part of a turn that is a picture."""

    type: Literal["image_url"]
    image_url: ImageURL


Parts = Annotated[list[TextPart], Field(min_length=1)]
UserParts = Annotated[list[Annotated[TextPart | ImagePart, Field(discriminator="type")]], Field(min_length=1)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class FunctionCall(Body):
    """What a tool is called with."""

    name: str
    arguments: str


class Call(Body):
    """A call of a tool."""

    id: str
    type: Literal["function"]
    function: FunctionCall


class SystemTurn(Body):
    """What the caller tells the model."""

    role: Literal["system", "developer"]
    content: str | Parts
    name: Name | None = None


class UserTurn(Body):
    """What the user says."""

    role: Literal["user"]
    content: str | UserParts
    name: Name | None = None


class AssistantTurn(Body):
    """What the model said."""

    role: Literal["assistant"]
    content: str | Parts | None = None
    tool_calls: list[Call] | None = None
    name: Name | None = None
    refusal: None = None
    audio: None = None
    function_call: None = None
    annotations: list[Any] | None = Field(default=None, max_length=0)


class ToolTurn(Body):
    """What a tool said."""

    role: Literal["tool"]
    content: str | Parts
    tool_call_id: str


Turn = Annotated[SystemTurn | UserTurn | AssistantTurn | ToolTurn, Field(discriminator="role")]


class Function(Body):
    """A tool's function."""

    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class FunctionTool(Body):
    """A tool."""

    type: Literal["function"]
    function: Function


class FunctionName(Body):
    """A function, by its name."""

    name: str


class NamedChoice(Body):
    """The tool that must be called."""

    type: Literal["function"]
    function: FunctionName


class TextFormat(Body):
    """Any text."""

    type: Literal["text"]


class JsonFormat(Body):
    """A JSON object."""

    type: Literal["json_object"]


class Schema(Body):
    """A schema with its name."""

    name: str
    description: str | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class SchemaFormat(Body):
    """A JSON object that fits a schema."""

    type: Literal["json_schema"]
    json_schema: Schema


class ChatRequest(Sampled):
    """The body. What stands with one allowed value is taken at that value only."""

    messages: list[Turn] = Field(min_length=1)
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    n: Literal[1] | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    logit_bias: dict[str, float] | None = None
    tools: list[FunctionTool] | None = None
    tool_choice: Literal["auto", "none", "required"] | NamedChoice | None = None
    parallel_tool_calls: bool | None = None
    response_format: Annotated[TextFormat | JsonFormat | SchemaFormat, Field(discriminator="type")] | None = None
    metadata: Metadata | None = Field(default=None, max_length=16)
    frequency_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    presence_penalty: Annotated[float, Field(ge=0, le=0)] | None = None
    logprobs: Literal[False] | None = None
    top_logprobs: None = None
    modalities: list[Literal["text"]] | None = None
    store: Literal[False] | None = None
    service_tier: Literal["auto", "default"] | None = None


def to_job(asked: ChatRequest, attach: Attach) -> ChatJob:
    """The job that answers it.

    Raises:
        PhiqError: naming what can't be taken.
    """
    fields.check_stream(asked.stream, asked.stream_options)
    if asked.max_tokens is not None and asked.max_completion_tokens not in (None, asked.max_tokens):
        raise JobInvalid("max_tokens and max_completion_tokens differ.", hint="Send one.", param="max_tokens")
    if not asked.tools and asked.tool_choice not in (None, "none", "auto"):
        raise JobInvalid("tool_choice needs tools.", param="tool_choice")
    own = asked.phiq or fields.Phiq()
    messages = [_message(turn, place, attach) for place, turn in enumerate(asked.messages)]
    given: dict[str, Any] = {"messages": messages}
    if own.collection is not None:
        if asked.tools or asked.response_format not in (None, TextFormat(type="text")):
            raise JobInvalid(
                "Tools and response_format can't be had together with phiq.collection.", param="phiq.collection"
            )
        given |= {"collection": own.collection, "top_k": own.top_k}
    else:
        given |= {"collection": None, "verbatim": True, **_form(asked)}
        if asked.tools:
            given |= {"tools": [_tool(tool.function) for tool in asked.tools], "tool_choice": _choice(asked)}
            given["single_tool_call"] = asked.parallel_tool_calls is False
    how = fields.options(
        asked,
        max_tokens=asked.max_completion_tokens or asked.max_tokens,
        stop=asked.stop,
        seed=asked.seed,
        logit_bias=asked.logit_bias,
    )
    whole = {"input": {name: _plain(value) for name, value in given.items()}, "options": how.model_dump()}
    job = fields.build("chat", whole | fields.job_fields(asked, asked.metadata))
    assert isinstance(job, ChatJob)
    return job


def to_body(record: JobRecord) -> dict[str, Any]:
    """The answer for a job that has succeeded."""
    result = record.result or {}
    calls = [tool_call(one) for one in result.get("tool_calls") or []]
    message: dict[str, Any] = {"role": "assistant", "content": result.get("text") or (None if calls else "")}
    message |= {"refusal": None} | ({"tool_calls": calls} if calls else {})
    return {
        "id": f"chatcmpl-{record.id}",
        "object": "chat.completion",
        "created": int(record.submitted_at.timestamp()),
        "model": record.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": finish(result)}],
        "usage": usage(result),
        "phiq": fields.extension(record.id, result),
    }


def usage(result: dict[str, Any]) -> dict[str, Any]:
    """Tokens, as the engine counted them; 0 for the extractive one."""
    asked, made = fields.usage_of(result)
    counts: dict[str, Any] = {"prompt_tokens": asked, "completion_tokens": made, "total_tokens": asked + made}
    cached = fields.cached_of(result)
    return counts | ({"prompt_tokens_details": {"cached_tokens": cached}} if cached else {})


def finish(result: dict[str, Any]) -> str:
    """Why the answer ended, in OpenAI's words."""
    reason = str(result.get("finish_reason") or "stop")
    return "stop" if reason == "abstained" else reason


def tool_call(call: dict[str, Any]) -> dict[str, Any]:
    """A call of a tool in OpenAI's shape."""
    return {
        "id": call["id"],
        "type": "function",
        "function": {"name": call["name"], "arguments": call.get("arguments", "{}")},
    }


def _message(turn: SystemTurn | UserTurn | AssistantTurn | ToolTurn, place: int, attach: Attach) -> Message:
    images: list[Attachment] = []
    texts: list[str] = []
    content = turn.content if not isinstance(turn.content, str) else [TextPart(type="text", text=turn.content)]
    for number, part in enumerate(content or []):
        if isinstance(part, TextPart):
            texts.append(part.text)
        else:
            where = f"messages.{place}.content.{number}.image_url.url"
            images.append(fields.picture(part.image_url.url, where, len(images) + 1, attach))
    calls = turn.tool_calls or [] if isinstance(turn, AssistantTurn) else []
    try:
        return Message(
            role="system" if isinstance(turn, SystemTurn) else turn.role,
            content="\n".join(texts),
            images=images,
            tool_calls=[ToolCall(id=one.id, name=one.function.name, arguments=one.function.arguments) for one in calls],
            tool_call_id=turn.tool_call_id if isinstance(turn, ToolTurn) else None,
            name=None if isinstance(turn, ToolTurn) else turn.name,
        )
    except ValueError as error:
        raise unfit(error, f"messages.{place}") from error


def unfit(error: ValueError, place: str) -> JobInvalid:
    """The error for a value that phiq's own contract refuses."""
    details = getattr(error, "errors", lambda: [{"loc": (), "msg": str(error)}])()[0]
    param = ".".join([place, *(str(part) for part in details["loc"])])[:200]
    return JobInvalid(f"{param} can't be taken: {details['msg']}.", param=param)


def _tool(function: Function) -> Tool:
    try:
        return Tool(
            name=function.name,
            description=function.description or "",
            parameters=function.parameters or {},
            strict=bool(function.strict),
        )
    except ValueError as error:
        raise unfit(error, "tools") from error


def _choice(asked: ChatRequest) -> str:
    if isinstance(asked.tool_choice, NamedChoice):
        name = asked.tool_choice.function.name
        if name not in {tool.function.name for tool in asked.tools or []}:
            raise JobInvalid(f"tool_choice names no tool that is given: {name[:64]}.", param="tool_choice")
        return f"tool:{name}"
    return asked.tool_choice or ""


def _form(asked: ChatRequest) -> dict[str, Any]:
    match asked.response_format:
        case JsonFormat():
            return {"response_format": ResponseFormat(type="json_object")}
        case SchemaFormat(json_schema=schema):
            try:
                form = ResponseFormat(
                    type="json_schema",
                    name=schema.name,
                    description=schema.description or "",
                    json_schema=schema.schema_,
                    strict=bool(schema.strict),
                )
            except ValueError as error:
                raise unfit(error, "response_format.json_schema") from error
            return {"response_format": form}
    return {}


def _plain(value: Any) -> Any:
    if isinstance(value, list):
        return [_plain(one) for one in value]
    return value.model_dump() if hasattr(value, "model_dump") else value
