"""LangChain messages as plain turns; what this engine can't pass on is refused by name, never dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage, HumanMessage, SystemMessage

from workers.engines.hosted.pictures import Album
from workers.engines.hosted.template import Turn
from workers.errors import OptionUnsupported

_ROLES = {"system": "system", "user": "user", "human": "user", "assistant": "assistant", "ai": "assistant"}


def to_turns(messages: Sequence[BaseMessage], model: str, album: Album | None = None) -> list[Turn]:
    """The turns of a conversation; what stands for its pictures in them is said by the album, which takes them.

    Raises:
        ModelCannotSee: for a picture, when the model reads text only.
        OptionUnsupported: for tool calls, tool messages, sound, files, or no message at all.
    """
    if not messages:
        raise OptionUnsupported("There is no message to answer.", hint="Send at least one user message.", subject=model)
    album = album if album is not None else Album(model, None)
    return [Turn(_role(message, model), _text(message.content, model, album)) for message in messages]


def _role(message: BaseMessage, model: str) -> str:
    if isinstance(message, SystemMessage):
        return "system"
    if isinstance(message, HumanMessage):
        return "user"
    if isinstance(message, AIMessage):
        if message.tool_calls:
            raise _unsupported("tool calls", model)
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
