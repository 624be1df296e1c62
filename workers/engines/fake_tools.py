"""How the fake engine calls tools and fills forms: by the schema, with what it finds quoted or counted in the prompt.

For tests only. It understands nothing: it takes the first tool, and puts quoted words, numbers and words of the last
user turn where the schema asks for text and numbers.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage, ToolMessage

_QUOTED = re.compile(r"'([^']+)'|\"([^\"]+)\"")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def chosen(
    messages: Sequence[BaseMessage], tools: Sequence[Mapping[str, Any]], choice: Any
) -> Mapping[str, Any] | None:
    """The tool to call: the one that was named, else the first, unless a tool has just answered."""
    functions: list[Mapping[str, Any]] = [tool["function"] for tool in tools]
    if isinstance(choice, Mapping):
        return next(one for one in functions if one["name"] == choice["function"]["name"])
    if choice == "required":
        return functions[0]
    return None if not functions or isinstance(messages[-1], ToolMessage) else functions[0]


def arguments(messages: Sequence[BaseMessage], schema: Mapping[str, Any]) -> str:
    """JSON that fits a schema."""
    words = next((message.text for message in reversed(messages) if isinstance(message, HumanMessage)), "")
    return json.dumps(_Filler(words, schema).value(schema), ensure_ascii=False)


def any_object(messages: Sequence[BaseMessage]) -> str:
    """A JSON object with the quoted words as its keys."""
    words = next((message.text for message in reversed(messages) if isinstance(message, HumanMessage)), "")
    return json.dumps(dict.fromkeys(_quoted(words), "text"), ensure_ascii=False)


def _quoted(text: str) -> list[str]:
    return [one or other for one, other in _QUOTED.findall(text)]


class _Filler:
    def __init__(self, text: str, root: Mapping[str, Any]) -> None:
        self._root = root
        self._quoted: Iterator[str] = iter(_quoted(text))
        self._numbers: Iterator[str] = iter(_NUMBER.findall(text))
        self._text = text

    def value(self, schema: Mapping[str, Any]) -> Any:
        """A value for a schema."""
        if "$ref" in schema:
            found: Any = self._root
            for part in str(schema["$ref"]).removeprefix("#/").split("/"):
                found = found[part]
            return self.value(found)
        for name in ("anyOf", "oneOf", "allOf"):
            if name in schema:
                return self.value(schema[name][0])
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return schema["enum"][0]
        kind = schema.get("type", "object")
        if kind == "object":
            return {name: self.value(one) for name, one in schema.get("properties", {}).items()}
        if kind == "array":
            return [self.value(schema.get("items", {"type": "string"})) for _ in range(schema.get("minItems", 1))]
        if kind in ("integer", "number"):
            number = float(next(self._numbers, "0"))
            return int(number) if kind == "integer" else number
        return next(self._quoted, self._text) if kind == "string" else kind == "boolean" or None
