"""A model's own chat template, rendered with placeholders where people's words will stand.

Contents never pass through the template: what is found between its markers afterwards can be told apart from them.
"""

from __future__ import annotations

import itertools
import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from workers.engines.host.process import broken
from workers.engines.hosted.calls import CLOSE, OPEN
from workers.engines.hosted.files import read_json
from workers.engines.hosted.tools import Offer, unmarked
from workers.errors import ChatTemplateFailed

_SYSTEM = "You are a helpful assistant with some tools."
"""What Phi-4-mini's makers put where nothing else is said: <https://huggingface.co/microsoft/Phi-4-mini-instruct>."""


@dataclass(frozen=True)
class Turn:
    """One message: ``role`` is system, user, assistant or tool.

    ``calls`` are the assistant's, each with id, name and args; ``about`` is what a tool's message says of its call.
    """

    role: str
    content: str
    calls: tuple[Mapping[str, Any], ...] = ()
    about: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Rendered:
    """The template's own text; ``slots`` maps each placeholder in it to the content that belongs there.

    ``owners`` are the places of the messages that the placeholders are of.
    """

    text: str
    slots: dict[str, str]
    owners: tuple[int, ...]


class ChatTemplate:
    """The chat template of a model folder.

    Args:
        folder: Its chat_template.jinja is used, else the template in its tokenizer_config.json.

    Raises:
        ModelBroken: when there is none.
        ChatTemplateFailed: when it is no Jinja template.
    """

    def __init__(self, folder: Path) -> None:
        from jinja2 import TemplateError
        from jinja2.ext import loopcontrols
        from jinja2.sandbox import ImmutableSandboxedEnvironment

        self._folder = folder
        config = read_json(folder / "tokenizer_config.json")
        # As transformers does it, for which templates are written. Sandboxed: a folder may come from anywhere.
        environment = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True, extensions=[loopcontrols])
        environment.globals["raise_exception"] = self._refused
        environment.filters["tojson"] = _to_json
        self._names = {name: _token(config.get(name)) for name in ("bos_token", "eos_token", "unk_token", "pad_token")}
        try:
            self._template = environment.from_string(_source(folder, config))
        except TemplateError as error:
            raise self._failed(str(error)) from error
        self.tools = self._way()

    def render(self, turns: list[Turn], offer: Offer | None = None, *, marked: bool = False) -> Rendered:
        """Render a conversation, ready for the assistant's next turn.

        A template that knows no system role gets the system's words at the head of the first user turn.

        Args:
            turns: What was said.
            offer: The tools that the model may call; only for a template that has a place for them (``tools``).
            marked: Whether the model's vocabulary has the markers of calls.

        Raises:
            ChatTemplateFailed: when it fails, or drops or repeats a message: then the model would be asked something
                else than what people said.
        """
        turns = [turn for turn in turns if turn.content or turn.role != "system"]
        if offer is not None and self.tools == "system" and (not turns or turns[0].role != "system"):
            turns = [Turn("system", _SYSTEM), *turns]
        rendered = self._render(turns, offer, marked)
        lost = _lost(rendered)
        if lost and all(turns[index].role == "system" for index in lost) and offer is None:
            turns = _fold_system(turns)
            rendered = self._render(turns, None, marked)
            lost = _lost(rendered)
        if lost:
            raise self._failed(f"it leaves out or repeats the {turns[lost[0]].role} message at place {lost[0] + 1}")
        return rendered

    def _way(self) -> Literal["", "variable", "system"]:
        """How the template is told of tools: as transformers does, in the system's message as Phi-4-mini, or not."""
        name = f"probe{secrets.token_hex(12)}"
        offer = Offer(({"name": name},))
        for way in ("variable", "system"):
            self.tools = way
            try:
                if name in self._render([Turn("system", "s"), Turn("user", "u")], offer, probe=True).text:
                    return way
            except ChatTemplateFailed:
                continue
        return ""

    def _render(
        self, turns: Sequence[Turn], offer: Offer | None = None, marked: bool = False, *, probe: bool = False
    ) -> Rendered:
        from jinja2 import TemplateError

        nonce = secrets.token_hex(12)
        slots: dict[str, str] = {}
        owners: list[int] = []

        def slot(index: int, text: str) -> str:
            slots[name := f"slot{nonce}n{len(slots)}e"] = text
            owners.append(index)
            return name

        messages = [self._message(turn, partial(slot, index), marked) for index, turn in enumerate(turns)]
        given: dict[str, Any] = dict(self._names)
        if offer is not None and self.tools == "variable":
            given["tools"] = offer.listed()
        elif offer is not None:
            messages[0]["tools"] = offer.told() if probe else slot(0, offer.told())
        try:
            text = self._template.render(messages=messages, add_generation_prompt=True, **given)
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise self._failed(re.sub(rf"slot{nonce}n\d+e", "…", str(error))) from error
        return Rendered(text, slots, tuple(owners))

    def _message(self, turn: Turn, slot: Callable[[str], str], marked: bool) -> dict[str, Any]:
        # Of an answer that is only calls there is no text that could get lost.
        content = slot(turn.content) if turn.content or not turn.calls else ""
        message = {"role": turn.role, "content": content, **unmarked(turn.about)}
        if turn.calls and self.tools == "variable":
            message["tool_calls"] = [
                {
                    "id": call["id"],
                    "type": "function",
                    "function": unmarked({"name": call["name"], "arguments": call["args"]}),
                }
                for call in turn.calls
            ]
        elif turn.calls:
            said = [{"name": call["name"], "arguments": call["args"]} for call in turn.calls]
            start, end = (OPEN, CLOSE) if marked else ("functools", "")
            message["content"] += start + slot(json.dumps(said, ensure_ascii=False)) + end
        return message

    def _refused(self, message: str) -> None:
        raise self._failed(str(message)[:200])

    def _failed(self, why: str) -> ChatTemplateFailed:
        return ChatTemplateFailed(
            f"The model's chat template can't be used for this conversation: {why}.",
            hint="Check the order and roles of the messages, or fetch the model again (phiq models pull NAME).",
            subject=str(self._folder),
        )


def _source(folder: Path, config: dict[str, Any]) -> str:
    file = folder / "chat_template.jinja"
    if file.is_file():
        try:
            return file.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise broken(str(folder), f"chat_template.jinja can't be read ({error})") from error
    found = config.get("chat_template")
    if isinstance(found, list):
        named = {item.get("name"): item.get("template") for item in found if isinstance(item, dict)}
        found = named.get("default")
    if not isinstance(found, str) or not found:
        raise broken(str(folder), "it has no chat template")
    return found


def _token(value: object) -> str:
    if isinstance(value, dict):
        value = value.get("content")
    return value if isinstance(value, str) else ""


def _lost(rendered: Rendered) -> list[int]:
    """Places of the messages with a placeholder that is not there exactly once, or not in order."""
    found = list(zip(rendered.slots, rendered.owners, strict=True))
    wrong = [index for slot, index in found if rendered.text.count(slot) != 1]
    # The tools stand in the first message, wherever it puts them.
    places = [(rendered.text.find(slot), index) for slot, index in found]
    return wrong or [
        index for (before, one), (place, index) in itertools.pairwise(places) if place < before and index >= one
    ]


def _fold_system(turns: list[Turn]) -> list[Turn]:
    system = "\n\n".join(turn.content for turn in turns if turn.role == "system")
    rest = [turn for turn in turns if turn.role != "system"]
    for index, turn in enumerate(rest):
        if turn.role == "user":
            rest[index] = Turn("user", f"{system}\n\n{turn.content}")
            return rest
    return [Turn("user", system), *rest]


def _to_json(value: Any, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=False, **options)
