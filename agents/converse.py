"""A conversation as it is: the caller's turns, tools and form of the answer, and nothing of phiq's own."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from agents.budget import Budget
from agents.checkpoints import Checkpoints
from agents.complete import CUT_OFF
from agents.contract import Attachment, ChatInput, ChatResult, Chunk, Message, ResponseFormat, Tool
from agents.errors import ContextOverflow, ModelCannotSee, ModelMisbehaved
from agents.generate import Answer
from agents.runnable import as_runnable

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.runnables import Runnable

    from tools.pictures import PictureLimits


def build_converse(
    model: BaseChatModel,
    fetch: Callable[[Attachment], bytes],
    limits: PictureLimits | None = None,
    checkpoints: Checkpoints | None = None,
) -> Runnable[ChatInput, Chunk]:
    """A runnable that gives a model a conversation as it is and streams its answer.

    Args:
        model: The chat model; with tools or a form of the answer, one whose profile offers ``tool_calling`` or
            ``structured_output``.
        fetch: Gives a picture's bytes.
        limits: Of pictures.
        checkpoints: Where tokens are kept, so that a next attempt goes on from them.

    The stream raises:
        ContextOverflow: when the conversation does not fit; nothing is left out of it.
        ModelCannotSee: when there are pictures and the model takes none.
        ImageUnreadable, ImageTooLarge: naming the picture.
        ModelMisbehaved: when the model asks for a tool that was not offered, or its JSON is none.
    """

    def steps(request: ChatInput) -> Iterator[Chunk]:
        if any(turn.images for turn in request.messages) and not (model.profile or {}).get("image_inputs"):
            raise ModelCannotSee(
                "This model takes no pictures.",
                hint="Choose one that does, such as onnx:phi-3.5-vision or ollama:llava; phiq models list shows which.",
            )
        messages = [_message(turn, fetch, limits) for turn in request.messages]
        call = _call(request)
        _require(model, messages, call.get("tools"))
        answer = Answer(model, messages, checkpoints, **call)
        for piece in answer:
            yield Chunk(delta=piece)
        yield Chunk(result=_result(answer, request))

    return as_runnable(steps, "converse")


def _require(model: BaseChatModel, messages: list[BaseMessage], tools: Sequence[Any] | None) -> None:
    limit = Budget(model).prompt
    tokens = model.get_num_tokens_from_messages(messages, tools=tools)
    if tokens > limit:
        raise ContextOverflow(
            f"The conversation takes {tokens} tokens; this model takes prompts of {limit}.",
            hint="Leave out its oldest turns, or choose a model with a longer context.",
            tokens=tokens,
            limit=limit,
        )


def _call(request: ChatInput) -> dict[str, Any]:
    """Tools and form, as OpenAI's protocol writes them: the one that all engines with tools can read."""
    call: dict[str, Any] = {}
    if request.tools and request.tool_choice != "none":
        call["tools"] = [_tool(tool) for tool in request.tools]
        if request.tool_choice == "required":
            call["tool_choice"] = "required"
        elif request.tool_choice.startswith("tool:"):
            name = request.tool_choice.removeprefix("tool:")
            call["tool_choice"] = {"type": "function", "function": {"name": name}}
    if request.response_format is not None:
        call["response_format"] = _format(request.response_format)
    return call


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "description": tool.description}
    function["parameters"] = tool.parameters or {"type": "object", "properties": {}}
    return {"type": "function", "function": function | ({"strict": True} if tool.strict else {})}


def _format(form: ResponseFormat) -> dict[str, Any]:
    if form.json_schema is None:
        return {"type": "json_object"}
    about: dict[str, Any] = {"name": form.name, "schema": form.json_schema}
    if form.description:
        about["description"] = form.description
    return {"type": "json_schema", "json_schema": about | ({"strict": True} if form.strict else {})}


def _message(turn: Message, fetch: Callable[[Attachment], bytes], limits: PictureLimits | None) -> BaseMessage:
    from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

    match turn.role:
        case "system":
            return SystemMessage(turn.content, name=turn.name)
        case "tool":
            return ToolMessage(turn.content, tool_call_id=turn.tool_call_id or "", name=turn.name)
        case "assistant":
            calls = [
                {"id": call.id, "name": call.name, "args": _arguments(call.arguments), "type": "tool_call"}
                for call in turn.tool_calls
            ]
            return AIMessage(turn.content, name=turn.name, tool_calls=calls)
        case "user":
            if not turn.images:
                return HumanMessage(turn.content, name=turn.name)
            parts: list[Any] = [_picture(image, fetch(image), limits) for image in turn.images]
            if turn.content:
                parts.append({"type": "text", "text": turn.content})
            return HumanMessage(parts, name=turn.name)


def _picture(image: Attachment, data: bytes, limits: PictureLimits | None) -> dict[str, Any]:
    """Decoded and written anew: engines' own decoders may end the process."""
    from tools.pictures import PictureLimits as Limits
    from tools.pictures import open_picture, to_png

    png = to_png(open_picture(data, image.name, limits or Limits()))
    return {"type": "image", "base64": base64.b64encode(png).decode("ascii"), "mime_type": "image/png"}


def _arguments(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    # An earlier answer's; one that is no object is told as it was said.
    return found if isinstance(found, dict) else {"arguments": text}


def _result(answer: Answer, request: ChatInput) -> ChatResult:
    offered = {tool.name for tool in request.tools}
    try:
        calls = answer.tool_calls
    except ValidationError as error:
        raise ModelMisbehaved("The model asked for a tool in a form that can't be read.", hint="Try again.") from error
    for call in calls:
        if call.name not in offered:
            raise ModelMisbehaved(
                f"The model asked for a tool that was not offered: {call.name}.",
                hint="Try again, or choose a model that is better at tools.",
            )
    form = request.response_format
    if form is not None and not calls and answer.finish_reason != "length" and not _is_object(answer.text):
        raise ModelMisbehaved(
            "The model's answer is no JSON object, as response_format asks.",
            hint="Try again, or choose a model or engine that keeps to a form.",
        )
    notes = [*answer.notes, *([CUT_OFF] if answer.finish_reason == "length" else [])]
    if request.single_tool_call and len(calls) > 1:
        notes.append(f"The model asked for {len(calls)} tools at once; only the first call is given, as was asked.")
        calls = calls[:1]
    reason = "tool_calls" if calls and answer.finish_reason == "stop" else answer.finish_reason
    return ChatResult(
        text=answer.text,
        reasoning=answer.thinking,
        usage=answer.usage,
        finish_reason=reason,
        notes=notes,
        band="ungrounded",
        tool_calls=calls,
    )


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
