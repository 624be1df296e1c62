"""A model's tool calls, told from its words while both stream by.

Phi-4-mini writes ``<|tool_call|>[{"name": …, "arguments": {…}}]<|/tool_call|>``, older builds of it ``functools[…]``;
others of its size ``<tool_call>{…}</tool_call>``. What stands there is a call, never text.
"""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.tool import ToolCallChunk, tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk

OPEN, CLOSE = "<|tool_call|>", "<|/tool_call|>"
"""Control tokens of Phi-4-mini's vocabulary, shown as text so that they can be found."""
_OPENERS = (OPEN, "<tool_call>", "functools[")
_BETWEEN = re.compile(r"(?:[\s,\[\]]|<\|/?tool_call\|>|</?tool_call>|functools(?=\[))*")


def split_calls(
    chunks: Iterator[ChatGenerationChunk], names: frozenset[str], *, inside: bool = False
) -> Iterator[ChatGenerationChunk]:
    """Turn what a stream says of calls into ``tool_call_chunks``, each whole; a call that can't be read has no name.

    Args:
        chunks: The stream; its last chunk is marked as the last.
        names: Of the tools that were offered.
        inside: It begins in the middle of a call: the model was made to.
    """
    held, opener = "", OPEN if inside else ""
    for chunk in chunks:
        held += chunk.text
        last = isinstance(chunk.message, AIMessageChunk) and chunk.message.chunk_position == "last"
        text = ""
        if not opener:
            place, opener = _opening(held)
            if opener:
                text, held = held[:place], held[place:]
            else:
                keep = 0 if last else _overlap(held)
                text, held = held[: len(held) - keep], held[len(held) - keep :]
        calls: list[ToolCallChunk] = []
        if opener and last:
            calls, rest = read_calls(held, names, sure=opener != "functools[")
            text += rest
        if calls and chunk.message.response_metadata.get("finish_reason") == "stop":
            chunk.message.response_metadata["finish_reason"] = "tool_calls"
        message = chunk.message.model_copy(update={"content": text})
        if calls:
            # Made anew: what a chunk's calls are is read from their pieces when it is made.
            message = AIMessageChunk(**{**message.model_dump(exclude={"type"}), "tool_call_chunks": calls})
        if text or calls or last or message.additional_kwargs:
            yield ChatGenerationChunk(message=message, generation_info=chunk.generation_info)


def read_calls(text: str, names: frozenset[str], *, sure: bool = True) -> tuple[list[ToolCallChunk], str]:
    """The calls that a text is, and words behind them.

    Args:
        text: From the marker on.
        names: Of the tools that were offered.
        sure: It can be nothing but calls: what can't be read then is a call without a name. Else it is text.
    """
    calls: list[ToolCallChunk] = []
    decoder, place = json.JSONDecoder(), _end(text, 0)
    # Each call is read by itself, so that one which was cut off costs none of those before it.
    while place < len(text) and text[place] == "{":
        try:
            value, place = decoder.raw_decode(text, place)
        except ValueError:
            break
        calls.append(_call(value, len(calls)))
        place = _end(text, place)
    rest = text[place:]
    if not sure and not any(call["name"] in names for call in calls):
        return [], text
    if rest.startswith("{") or not calls:  # cut off, or no JSON
        return [*calls, _unread(rest, len(calls))], ""
    return calls, rest


def _end(text: str, place: int) -> int:
    found = _BETWEEN.match(text, place)
    return found.end() if found else place


def _call(value: Any, place: int) -> ToolCallChunk:
    match value:
        case {"name": str(name), "arguments": given} | {"name": str(name), "parameters": given}:
            pass
        case {"name": str(name)}:
            given = {}
        case _:
            return _unread(json.dumps(value), place)
    if isinstance(given, str):  # JSON within JSON, as OpenAI's protocol has it
        return tool_call_chunk(name=name, args=given, id=_id(), index=place)
    return tool_call_chunk(name=name, args=json.dumps(given, ensure_ascii=False), id=_id(), index=place)


def _unread(text: str, place: int) -> ToolCallChunk:
    # As a JSON text: LangChain mends broken JSON, and what nobody said must not become a call.
    return tool_call_chunk(name="", args=json.dumps(text, ensure_ascii=False), id=_id(), index=place)


def _id() -> str:
    return f"call_{uuid.uuid4().hex[:24]}"


def _opening(text: str) -> tuple[int, str]:
    places = [(place, opener) for opener in _OPENERS if (place := text.find(opener)) >= 0]
    return min(places, default=(0, ""))


def _overlap(text: str) -> int:
    """How many characters at the end could begin an opening."""
    longest = min(len(text), max(map(len, _OPENERS)) - 1)
    ends = range(longest, 0, -1)
    return next((size for size in ends if any(opener.startswith(text[-size:]) for opener in _OPENERS)), 0)
