"""What is checked and changed in a prompt before a server gets it: its length, its markers, its pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage

from agents.errors import ContextOverflow, ModelCannotSee
from knowledge.errors import UserError
from workers.engines.estimate import estimate, images_of, tokens_of
from workers.engines.markers import break_markers

ROOM = 1024
"""Tokens kept for an answer when nobody says how long it may be; at most a quarter of the context."""


@dataclass(frozen=True)
class Budget:
    """Tokens of a model: ``context`` for prompt and answer, ``room`` of them kept for the answer."""

    context: int
    room: int

    @classmethod
    def of(cls, context: int, max_tokens: int | None, uri: str) -> Budget:
        """Share out a context.

        Raises:
            ContextOverflow: when the answer asked for leaves no place for a prompt.
        """
        room = max_tokens if max_tokens is not None else max(1, min(ROOM, context // 4))
        if room >= context:
            raise ContextOverflow(
                f"max_tokens {room} leaves no place for a prompt in a context of {context} tokens.",
                hint="Ask for a shorter answer, or raise PHIQ_OLLAMA_CONTEXT or PHIQ_OPENAI_CONTEXT.",
                subject=uri,
                tokens=room,
                limit=context,
            )
        return cls(context, room)

    def check(self, messages: Sequence[BaseMessage], tools: Sequence[Any] | None, uri: str) -> int:
        """Count a prompt and refuse one that does not fit.

        Returns:
            Its estimated tokens.

        Raises:
            ContextOverflow: before anything is sent.
        """
        tokens = count(messages, tools)
        if tokens > self.context - self.room:
            raise ContextOverflow(
                f"The prompt has about {tokens} tokens, {self.context - self.room} fit.",
                hint="Send less, ask for a shorter answer, or use a longer context (docs/engines.md).",
                subject=uri,
                tokens=tokens,
                limit=self.context - self.room,
            )
        return tokens


def count(messages: Sequence[BaseMessage], tools: Sequence[Any] | None = None) -> int:
    """Tokens of a prompt, rounded up, tools included."""
    return estimate(messages) + sum(tokens_of(str(tool)) for tool in tools or ())


def disarm(messages: Sequence[BaseMessage]) -> tuple[list[BaseMessage], list[str]]:
    """Break the control markers in every message; the originals stay as they are.

    Returns:
        The messages to send, and the markers found.
    """
    found: list[str] = []
    result = []
    for message in messages:
        content, markers = _disarm(message.content)
        found += markers
        result.append(message.model_copy(update={"content": content}) if markers else message)
    return result, list(dict.fromkeys(found))


def _disarm(content: Any) -> tuple[Any, list[str]]:
    if isinstance(content, str):
        return break_markers(content)
    found: list[str] = []
    parts = []
    for part in content:
        new = part
        if isinstance(part, str):
            new, markers = break_markers(part)
        elif isinstance(part.get("text"), str):
            text, markers = break_markers(part["text"])
            new = {**part, "text": text}
        else:
            markers = []
        found += markers
        parts.append(new)
    return parts, found


def check_images(messages: Sequence[BaseMessage], *, sees: bool, uri: str) -> None:
    """Refuse pictures a model can't see, and those that are not in the message itself.

    Raises:
        ModelCannotSee: the model has no vision.
        UserError: a picture is an address; a server that fetched it would leave this machine.
    """
    if not any(images_of(message) for message in messages):
        return
    if not sees:
        raise ModelCannotSee(
            f"The model {uri} can't see pictures.",
            hint="Use a model with vision, such as onnx:phi-3.5-vision or ollama:llava (phiq models list shows which), "
            "or --model extractive, which reads text.",
            subject=uri,
        )
    for message in messages:
        for part in message.content if isinstance(message.content, list) else ():
            if isinstance(part, dict) and part.get("type") in ("image", "image_url"):
                address = part.get("url") or part.get("image_url") or ""
                address = address.get("url", "") if isinstance(address, dict) else address
                if str(address).startswith(("http:", "https:", "file:")):
                    raise UserError("A picture must be sent as base64, not as an address.", subject=uri)
