"""LangChain messages as plain turns; what this engine can't pass on is refused by name, never dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage

from workers.engines.hosted.pictures import Album
from workers.engines.hosted.template import Turn
from workers.errors import OptionUnsupported

_ROLES = {"system": "system", "user": "user", "human": "user", "assistant": "assistant", "ai": "assistant"}

_CALLS = ("tool_use", "tool_call", "function_call")


def to_turns(
    messages: Sequence[BaseMessage], model: str, album: Album | None = None, *, tools: bool = False
) -> list[Turn]:
    """The turns of a conversation; what stands for its pictures in them is said by the album, which takes them.

    Args:
        messages: The conversation.
        model: Its name, for messages.
        album: Takes the pictures.
        tools: Whether the model knows calls of tools and what they said.

    Raises:
        ModelCannotSee: for a picture, when the model reads text only.
        OptionUnsupported: for sound, files, no message at all, and tools where it does not know them.
    """
    if not messages:
        raise OptionUnsupported("There is no message to answer.", hint="Send at least one user message.", subject=model)
    album = album if album is not None else Album(model, None)
    return [_turn(message, model, album, tools) for message in messages]


def _turn(message: BaseMessage, model: str, album: Album, tools: bool) -> Turn:
    calls = message.tool_calls if isinstance(message, AIMessage) else []
    said = message.content
    if calls and isinstance(said, list):  # some makers' messages have their calls among the text as well
        said = [block for block in said if isinstance(block, str) or block.get("type") not in _CALLS]
    content = _text(said, model, album)
    if isinstance(message, ToolMessage) and tools:
        return Turn("tool", content, about={"tool_call_id": message.tool_call_id, "name": message.name or ""})
    if calls:
        if not tools:
            raise _unsupported("tool calls", model)
        return Turn("assistant", content, tuple(dict(call) for call in calls))
    return Turn(_role(message, model), content)


def _role(message: BaseMessage, model: str) -> str:
    if isinstance(message, SystemMessage):
        return "system"
    if isinstance(message, HumanMessage):
        return "user"
    if isinstance(message, AIMessage):
        return "assistant"
    if isinstance(message, ChatMessage) and message.role in _ROLES:
        return _ROLES[message.role]
    raise _unsupported(f"{message.type} messages", model)


def _text(content: str | list[Any], model: str, album: Album) -> str:
    if isinstance(content, str):
        return content
    before = len(album)
    parts = [_block(block, model, album) for block in content]
    # A picture stands on a line of its own, as the models were taught.
    return ("\n" if len(album) > before else "").join(parts)


def _block(block: str | Mapping[str, Any], model: str, album: Album) -> str:
    if isinstance(block, str):
        return block
    kind = str(block.get("type"))
    if kind == "text":
        return str(block.get("text", ""))
    if kind in ("image", "image_url"):
        return album.add(block)
    raise _unsupported(f"'{kind}' blocks", model)


def _unsupported(what: str, model: str) -> OptionUnsupported:
    return OptionUnsupported(
        f"{what.capitalize()} can't be passed to {model}.", hint="Send text, or use another engine.", subject=model
    )
