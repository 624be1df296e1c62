"""/v1/responses, the part that needs no memory: its body as a chat job, a chat's result as its answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field
from pydantic import Tag as PydanticTag

from workers.errors import JobInvalid
from workers.jobs import ChatJob, JobRecord
from workers.openai import chat, fields
from workers.openai.fields import Attach, Body, Metadata, Sampled


class InputText(Body):
    """Text of a turn."""

    type: Literal["input_text", "output_text"]
    text: str
    annotations: list[Any] | None = Field(default=None, max_length=0)
    logprobs: list[Any] | None = Field(default=None, max_length=0)


class InputImage(Body):
    """A picture of a turn, as a data URL."""

    type: Literal["input_image"]
    image_url: str
    detail: Literal["auto"] | None = None


class MessageItem(Body):
    """A turn."""

    type: Literal["message"] = "message"
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[InputText | InputImage]
    id: str | None = None
    status: str | None = None
    phase: None = None


class CallItem(Body):
    """A tool that the model asked for."""

    type: Literal["function_call"]
    call_id: str
    name: str
    arguments: str
    id: str | None = None
    status: str | None = None


class OutputItem(Body):
    """What a tool said."""

    type: Literal["function_call_output"]
    call_id: str
    output: str
    id: str | None = None
    status: str | None = None


class FunctionTool(Body):
    """A tool, in this route's flat form."""

    type: Literal["function"]
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class NamedChoice(Body):
    """The tool that must be called."""

    type: Literal["function"]
    name: str


class SchemaFormat(Body):
    """A JSON object that fits a schema, in this route's flat form."""

    type: Literal["json_schema"]
    name: str
    description: str | None = None
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool | None = None


class TextOptions(Body):
    """The form of the answer."""

    format: Annotated[chat.TextFormat | chat.JsonFormat | SchemaFormat, Field(discriminator="type")] | None = None
    verbosity: None = None


def _kind(item: Any) -> str:
    kind = item.get("type", "message") if isinstance(item, dict) else getattr(item, "type", "message")
    return str(kind)


Item = Annotated[
    Annotated[MessageItem, PydanticTag("message")]
    | Annotated[CallItem, PydanticTag("function_call")]
    | Annotated[OutputItem, PydanticTag("function_call_output")],
    Discriminator(_kind),
]


class ResponseRequest(Sampled):
    """The body. What stands with one allowed value is taken at that value only; nothing is stored."""

    input: Annotated[str, Field(min_length=1)] | Annotated[list[Item], Field(min_length=1)]
    instructions: str | None = None
    max_output_tokens: int | None = Field(default=None, ge=1)
    tools: list[FunctionTool] | None = None
    tool_choice: Literal["auto", "none", "required"] | NamedChoice | None = None
    parallel_tool_calls: bool | None = None
    text: TextOptions | None = None
    metadata: Metadata | None = Field(default=None, max_length=16)
    store: Literal[False] | None = None
    stream_options: None = None
    truncation: Literal["disabled"] | None = None
    service_tier: Literal["auto", "default"] | None = None
    include: Annotated[list[str], Field(max_length=0)] | None = None


def to_job(asked: ResponseRequest, attach: Attach) -> ChatJob:
    """The job that answers it: what `chat.to_job` makes of the same request in the other route's words.

    Raises:
        PhiqError: naming what can't be taken.
    """
    turns: list[dict[str, Any]] = []
    if asked.instructions:
        turns.append({"role": "system", "content": asked.instructions})
    if isinstance(asked.input, str):
        turns.append({"role": "user", "content": asked.input})
    else:
        turns += _turns(asked.input)
    body: dict[str, Any] = {
        "messages": turns,
        "max_completion_tokens": asked.max_output_tokens,
        "parallel_tool_calls": asked.parallel_tool_calls,
        **asked.model_dump(include={"model", "temperature", "top_p", "user", "metadata", "phiq"}, exclude_none=True),
    }
    if asked.tools:
        body["tools"] = [
            {"type": "function", "function": tool.model_dump(exclude={"type"}, exclude_none=True)}
            for tool in asked.tools
        ]
    if isinstance(asked.tool_choice, NamedChoice):
        body["tool_choice"] = {"type": "function", "function": {"name": asked.tool_choice.name}}
    elif asked.tool_choice is not None:
        body["tool_choice"] = asked.tool_choice
    if asked.text is not None and asked.text.format is not None:
        form = asked.text.format.model_dump(by_alias=True, exclude_none=True)
        kind = form.pop("type")
        body["response_format"] = {"type": kind} | ({"json_schema": form} if kind == "json_schema" else {})
    try:
        return chat.to_job(fields.read(chat.ChatRequest, body), attach)
    except JobInvalid as error:
        error.details["param"] = _renamed(str(error.details.get("param") or ""))
        raise


def to_body(record: JobRecord, asked: ResponseRequest) -> dict[str, Any]:
    """The answer for a job that has succeeded."""
    result = record.result or {}
    made = begun(record, asked)
    cut = chat.finish(result) == "length"
    prompt, answer = fields.usage_of(result)
    made |= {
        "status": "incomplete" if cut else "completed",
        "incomplete_details": {"reason": "max_output_tokens"} if cut else None,
        "output": list(items(record.id, result)),
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": fields.cached_of(result), "cache_write_tokens": 0},
            "output_tokens": answer,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": prompt + answer,
        },
        "phiq": fields.extension(record.id, result),
    }
    return made


def begun(record: JobRecord, asked: ResponseRequest) -> dict[str, Any]:
    """The answer before there is anything in it."""
    plain = asked.model_dump(by_alias=True, exclude_none=True)
    return {
        "id": f"resp_{record.id}",
        "object": "response",
        "created_at": int(record.submitted_at.timestamp()),
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": asked.instructions,
        "max_output_tokens": asked.max_output_tokens,
        "model": record.model,
        "output": [],
        "parallel_tool_calls": asked.parallel_tool_calls is not False,
        "previous_response_id": None,
        "store": False,
        "temperature": asked.temperature,
        "text": plain.get("text") or {"format": {"type": "text"}},
        "tool_choice": plain.get("tool_choice", "auto"),
        "tools": plain.get("tools", []),
        "top_p": asked.top_p,
        "truncation": "disabled",
        "usage": None,
        "user": asked.user,
        "metadata": asked.metadata or {},
    }


def items(job_id: str, result: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What the model said, then the tools it asks for."""
    status = "incomplete" if chat.finish(result) == "length" else "completed"
    if result.get("text") or not result.get("tool_calls"):
        yield message(job_id, str(result.get("text", "")), status)
    for number, call in enumerate(result.get("tool_calls") or []):
        yield {
            "id": f"fc_{job_id}_{number}",
            "type": "function_call",
            "status": "completed",
            "call_id": call["id"],
            "name": call["name"],
            "arguments": call.get("arguments", "{}"),
        }


def message(job_id: str, text: str | None, status: str) -> dict[str, Any]:
    """The item with the text; without any while it has yet to come."""
    content = [] if text is None else [part(text)]
    return {"id": f"msg_{job_id}", "type": "message", "role": "assistant", "status": status, "content": content}


def part(text: str) -> dict[str, Any]:
    """Text as a part of an item."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _turns(given: list[MessageItem | CallItem | OutputItem]) -> Iterator[dict[str, Any]]:
    """The turns of the other route; calls join the turn in which the model asked for them."""
    open_turn: dict[str, Any] | None = None
    for item in given:
        if isinstance(item, CallItem):
            if open_turn is None:
                open_turn = {"role": "assistant", "content": None, "tool_calls": []}
            call = {"name": item.name, "arguments": item.arguments}
            open_turn["tool_calls"] = [
                *open_turn.get("tool_calls", []),
                {"id": item.call_id, "type": "function", "function": call},
            ]
            continue
        if open_turn is not None:
            yield open_turn
            open_turn = None
        if isinstance(item, OutputItem):
            yield {"role": "tool", "tool_call_id": item.call_id, "content": item.output}
        elif item.role == "assistant":
            open_turn = {"role": "assistant", "content": _content(item)}
        else:
            yield {"role": item.role, "content": _content(item)}
    if open_turn is not None:
        yield open_turn


def _content(item: MessageItem) -> str | list[dict[str, Any]]:
    if isinstance(item.content, str):
        return item.content
    return [
        {"type": "text", "text": one.text}
        if isinstance(one, InputText)
        else {"type": "image_url", "image_url": {"url": one.image_url}}
        for one in item.content
    ]


def _renamed(param: str) -> str | None:
    for theirs, ours in (("messages", "input"), ("response_format", "text.format"), ("max_completion", "max_output")):
        if param.startswith(theirs):
            return ours + param[len(theirs) :]
    return param or None
