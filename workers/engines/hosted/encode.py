"""From a conversation to token ids: the template's markers become control tokens, people's words never do."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from workers.engines.host.process import broken
from workers.engines.hosted.calls import CLOSE, OPEN
from workers.engines.hosted.files import read_json
from workers.engines.hosted.template import ChatTemplate, Rendered, Turn
from workers.engines.hosted.tools import Offer

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_NO_MARKS: Mapping[str, int] = MappingProxyType({})
_MARKER = re.compile(r"^<.*>$|^\[/?[A-Z_]+\]$", re.DOTALL)


class PromptEncoder:
    """Encodes conversations for one model. Safe for several threads.

    The rendered template is cut at its control markers. What lies between two of them, people's words put in, is
    encoded in one piece with every marker read as plain text, which for harmless text gives the ids that encoding the
    whole prompt would give.

    Args:
        folder: Holds tokenizer.json, tokenizer_config.json and the chat template.

    Raises:
        ModelBroken: when one of them is missing or can't be used.
        ChatTemplateFailed: when the template is no Jinja template.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._template = ChatTemplate(folder)
        data = read_json(folder / "tokenizer.json")
        added = [token for token in data.get("added_tokens", ()) if isinstance(token, dict)]
        try:
            self._controls: dict[str, dict[str, Any]] = {
                token["content"]: token for token in added if token["special"] or _MARKER.match(token["content"])
            }
            self._tokenizer = _load(data, self._controls)
            unknown = data.get("model", {}).get("unk_token")
        except Exception as error:  # tokenizers raises bare Exception
            raise broken(str(folder), f"tokenizer.json can't be used ({error})") from error
        self.control_ids = frozenset(int(token["id"]) for text, token in self._controls.items() if text != unknown)
        texts = sorted(self._controls, key=len, reverse=True)
        self._cut = re.compile("(" + "|".join(map(re.escape, texts)) + ")") if texts else re.compile(r"(?!)")

    @property
    def takes_tools(self) -> bool:
        """Whether the template has a place for tools."""
        return bool(self._template.tools)

    @property
    def call_marks(self) -> dict[str, int]:
        """The ids of the control tokens between which the model writes its calls; empty where it has none."""
        found = {text: int(self._controls[text]["id"]) for text in (OPEN, CLOSE) if text in self._controls}
        return found if len(found) == 2 else {}

    def encode(
        self, turns: list[Turn], marks: Mapping[str, int] = _NO_MARKS, offer: Offer | None = None
    ) -> tuple[int, ...]:
        """The ids of a conversation, ready for the assistant's next turn.

        Args:
            turns: What was said.
            marks: Words in it that become one id each, whatever the tokenizer would make of them.
            offer: Tools that the model may call. One that must call begins its call at once.

        Raises:
            ChatTemplateFailed: when the template can't render it.
        """
        call = self.call_marks
        ids = self._join(self._template.render(turns, offer, marked=bool(call)), marks)
        return (*ids, call[OPEN]) if call and offer is not None and offer.must else ids

    def encode_text(self, text: str) -> list[int]:
        """The ids of plain text, no template and no control tokens."""
        ids: list[int] = self._tokenizer.encode(text, add_special_tokens=False).ids
        if not self.control_ids.isdisjoint(ids):
            raise broken(str(self._folder), "its tokenizer makes control tokens of plain text")
        return ids

    def _join(self, rendered: Rendered, marks: Mapping[str, int]) -> tuple[int, ...]:
        places = re.compile("(" + "|".join(map(re.escape, marks)) + ")") if marks else re.compile(r"(?!)")
        fill = re.compile("|".join(map(re.escape, rendered.slots))) if rendered.slots else re.compile(r"(?!)")
        # Markers and text take turns: text, marker, text, … text.
        parts = self._cut.split(rendered.text)
        ids: list[int] = []
        for index, part in enumerate(parts):
            if index % 2:
                ids.append(int(self._controls[part]["id"]))
                continue
            text = fill.sub(lambda match: rendered.slots[match[0]], part)
            # Some markers swallow the white space beside them, as in the tokenizer they come from.
            if index > 0 and self._controls[parts[index - 1]].get("rstrip"):
                text = text.lstrip()
            if index + 1 < len(parts) and self._controls[parts[index + 1]].get("lstrip"):
                text = text.rstrip()
            for piece in places.split(text):
                if piece in marks:
                    ids.append(marks[piece])
                elif piece:
                    ids.extend(self.encode_text(piece))
        return tuple(ids)


def _load(data: dict[str, Any], controls: dict[str, dict[str, Any]]) -> Tokenizer:
    from tokenizers import Tokenizer

    # Some markers (Phi-3's "</s>") are not declared special, and only special ones can be read as text.
    tokens = [{**token, "special": token["content"] in controls} for token in data.get("added_tokens", ())]
    tokenizer: Tokenizer = Tokenizer.from_str(json.dumps({**data, "added_tokens": tokens}))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    tokenizer.encode_special_tokens = True
    return tokenizer
