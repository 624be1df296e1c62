"""Forms of answers that a library would stumble over, refused before it sees them.

OpenVINO GenAI compiles a form in the first step of its run, where an error ends all runs of the step. This looks for
what its compiler (xgrammar) is known not to take; what it lets through and the compiler refuses is survived, dearly.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any

from workers.engines.host.protocol import Guide

_TYPES = {"object", "array", "string", "number", "integer", "boolean", "null"}
_INSIDE = ("items", "additionalProperties", "unevaluatedProperties", "unevaluatedItems", "not", "contains")
_LISTS = ("anyOf", "oneOf", "allOf", "prefixItems")
_MAPS = ("properties", "patternProperties", "$defs", "definitions")
_DEEP = 64
_LOOKING = re.compile(r"\(\?(?!:)|\\[1-9]")
"""Looking around, flags, names and going back: no regular language."""


def check_form(guide: Guide) -> None:
    """Look at a form.

    Raises:
        ValueError: saying what can't be used.
    """
    if guide.kind == "regex":
        _check_expression(guide.text)
        return
    try:
        value = json.loads(guide.text)
    except ValueError as error:
        raise ValueError(f"the {guide.kind} is no JSON ({error})") from error
    if guide.kind == "choice":
        if not isinstance(value, list) or not value or not all(isinstance(one, str) and one for one in value):
            raise ValueError("a choice is a list of texts")
        return
    _check_schema(value, value, 0)


def _check_expression(text: str) -> None:
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"the regular expression can't be compiled ({error})") from error
    if _LOOKING.search(text.replace("\\\\", "")):
        raise ValueError("the regular expression looks around, names a group or goes back to one")


def _check_schema(schema: Any, root: Any, depth: int) -> None:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict) or depth > _DEEP:
        raise ValueError("the JSON schema has a part that is none, or too many within each other")
    kinds = schema.get("type", [])
    if unknown := {str(kind) for kind in ([kinds] if isinstance(kinds, str) else kinds)} - _TYPES:
        raise ValueError(f"the JSON schema has a type '{min(unknown)}'")
    if "enum" in schema and (not isinstance(schema["enum"], list) or not schema["enum"]):
        raise ValueError("the JSON schema has an empty enum")
    if isinstance(schema.get("pattern"), str):
        _check_expression(schema["pattern"])
    if "$ref" in schema:
        _check_reference(schema["$ref"], root)
    for least, most in (("minimum", "maximum"), ("minLength", "maxLength"), ("minItems", "maxItems")):
        if schema.get(least, 0) > schema.get(most, math.inf):
            raise ValueError(f"the JSON schema has a {least} above its {most}")
    for part in _parts(schema):
        _check_schema(part, root, depth + 1)


def _parts(schema: dict[str, Any]) -> Iterator[Any]:
    yield from (schema[name] for name in _INSIDE if name in schema)
    for name in _LISTS:
        yield from schema.get(name, ())
    for name in _MAPS:
        yield from schema.get(name, {}).values()


def _check_reference(reference: Any, root: Any) -> None:
    place = root
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise ValueError("the JSON schema refers to another document")
    for step in reference.lstrip("#/").split("/") if reference != "#" else ():
        if not isinstance(place, dict) or step not in place:
            raise ValueError(f"the JSON schema refers to {reference}, which is not there")
        place = place[step]
