"""A model's own chat template, rendered with placeholders where people's words will stand.

Contents never pass through the template: what is found between its markers afterwards can be told apart from them.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.engines.host.process import broken
from workers.engines.hosted.files import read_json
from workers.errors import ChatTemplateFailed


@dataclass(frozen=True)
class Turn:
    """One message: ``role`` is system, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True)
class Rendered:
    """The template's own text; ``slots`` maps each placeholder in it to the content that belongs there."""

    text: str
    slots: dict[str, str]


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

    def render(self, turns: list[Turn]) -> Rendered:
        """Render a conversation, ready for the assistant's next turn.

        A template that knows no system role gets the system's words at the head of the first user turn.

        Raises:
            ChatTemplateFailed: when it fails, or drops or repeats a message: then the model would be asked something
                else than what people said.
        """
        turns = [turn for turn in turns if turn.content or turn.role != "system"]
        rendered = self._render(turns)
        lost = _lost(rendered)
        if lost and all(turns[index].role == "system" for index in lost):
            turns = _fold_system(turns)
            rendered = self._render(turns)
            lost = _lost(rendered)
        if lost:
            raise self._failed(f"it leaves out or repeats the {turns[lost[0]].role} message at place {lost[0] + 1}")
        return rendered

    def _render(self, turns: list[Turn]) -> Rendered:
        from jinja2 import TemplateError

        nonce = secrets.token_hex(12)
        slots = {f"slot{nonce}n{index}e": turn.content for index, turn in enumerate(turns)}
        messages = [{"role": turn.role, "content": slot} for turn, slot in zip(turns, slots, strict=True)]
        try:
            text = self._template.render(messages=messages, add_generation_prompt=True, **self._names)
        except (TemplateError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError) as error:
            raise self._failed(re.sub(rf"slot{nonce}n\d+e", "…", str(error))) from error
        return Rendered(text, slots)

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
    """Places of the messages whose placeholder is not there exactly once, or not in order."""
    places = [rendered.text.find(slot) for slot in rendered.slots]
    wrong = [index for index, slot in enumerate(rendered.slots) if rendered.text.count(slot) != 1]
    return wrong or [index for index in range(1, len(places)) if places[index] < places[index - 1]]


def _fold_system(turns: list[Turn]) -> list[Turn]:
    system = "\n\n".join(turn.content for turn in turns if turn.role == "system")
    rest = [turn for turn in turns if turn.role != "system"]
    for index, turn in enumerate(rest):
        if turn.role == "user":
            rest[index] = Turn("user", f"{system}\n\n{turn.content}")
            return rest
    return [Turn("user", system), *rest]


def _to_json(value: Any, **options: Any) -> str:
    import json

    return json.dumps(value, ensure_ascii=False, **options)
