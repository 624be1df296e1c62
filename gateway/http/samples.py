"""Examples for the OpenAPI page, made from the schemas of what has none of its own.

A model's own example is better: it tells a story. This keeps every other route from having nothing to show.
"""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

_INSTANT = "2026-11-24T06:00:00Z"
_WORDS: dict[str, Any] = {
    "id": "019aaf3c5e6b7c0d8e9fa0b1c2d3e4f5",
    "job_id": "019aaf3c5e6b7c0d8e9fa0b1c2d3e4f5",
    "name": "handbook",
    "tenant": "default",
    "model": "extractive",
    "collection": "handbook",
    "source": "handbook/reset.md",
    "text": "Hold the button for ten seconds.",
    "query": "reset",
    "ref": "sha256:2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "filename": "requests.jsonl",
    "purpose": "batch",
    "url": "https://shop.example/hooks/phiq",
    "cron": "0 6 * * 1-5",
    "tz": "Europe/Zagreb",
    "timezone": "Europe/Zagreb",
    "machine": "host-1",
    "version": "0.1.0",
    "message": "2 jobs ahead of it; 4 of 4 slots are busy.",
    "endpoint": "/v1/chat/completions",
    "key": "phiq_sk_0123456789_…",
    "secret": "whsec_…",
    "prefix": "phiq_sk_0123456789",
}
"""Typical values by a field's name."""
_DEEP = 6


def add(schemas: dict[str, Schema]) -> None:
    """Give each object among the page's schemas an example, where it has none."""
    for schema in schemas.values():
        if schema.get("type") == "object" and "examples" not in schema:
            schema["examples"] = [sample(schema, schemas)]


def sample(schema: Schema, schemas: dict[str, Schema], name: str = "", depth: int = 0) -> Any:
    """A value that fits a schema.

    Args:
        schema: Of the value.
        schemas: By name, for references.
        name: The field's.
        depth: Of the value within the example; what is deep down is left empty where it may.
    """
    if "$ref" in schema:
        return sample(schemas[schema["$ref"].rpartition("/")[2]], schemas, name, depth)
    if schema.get("examples"):
        return schema["examples"][0]
    for known in ("const", "default"):
        if known in schema:
            return schema[known]
    if "enum" in schema:
        return schema["enum"][0]
    for several in ("anyOf", "oneOf"):
        if several in schema:
            return sample(_choice(schema[several], name), schemas, name, depth)
    if "allOf" in schema:
        return sample(schema["allOf"][0], schemas, name, depth)
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, schemas, depth)
    if kind == "array":
        few = depth >= _DEEP and not schema.get("minItems")
        return [] if few else [sample(schema.get("items", {}), schemas, name.rstrip("s"), depth + 1)]
    if kind == "string":
        return _text(schema, name)
    return _number(schema) if kind in ("integer", "number") else kind == "boolean" or None


def _object(schema: Schema, schemas: dict[str, Schema], depth: int) -> dict[str, Any]:
    required = set(schema.get("required", ()))
    shown = {
        field: about
        for field, about in schema.get("properties", {}).items()
        if field in required or ("default" not in about and not _nullable(about) and depth < _DEEP)
    }
    return {field: sample(about, schemas, field, depth + 1) for field, about in shown.items()}


def _nullable(schema: Schema) -> bool:
    return any(one.get("type") == "null" for one in schema.get("anyOf", ()))


def _choice(kinds: list[Schema], name: str) -> Schema:
    """Nothing, where that is one of them, unless a word is there for it."""
    known = (one for one in kinds if one.get("type") == "string" and name in _WORDS and "pattern" not in one)
    nothing = (one for one in kinds if one.get("type") == "null")
    return next(known, None) or next(nothing, None) or kinds[0]


def _text(schema: Schema, name: str) -> str:
    if schema.get("format") == "date-time":
        return _INSTANT
    if schema.get("format") == "binary":
        return ""
    return str(_WORDS.get(name, name or "text"))[: schema.get("maxLength")]


def _number(schema: Schema) -> int:
    least: Any = schema.get("minimum", schema.get("exclusiveMinimum", 0))
    return int(max(1, least + ("exclusiveMinimum" in schema)))
