"""Forms of answers that a library would stumble over."""

from __future__ import annotations

import json

import pytest

from workers.engines.host.backends.forms import check_form
from workers.engines.host.protocol import Guide


@pytest.mark.parametrize(
    "schema",
    [
        True,
        {"type": "object", "properties": {"a": {"type": ["string", "null"], "pattern": "^[a-z]+$"}}, "required": ["a"]},
        {"$defs": {"one": {"enum": [1, "two"]}}, "type": "array", "items": {"$ref": "#/$defs/one"}, "minItems": 1},
        {"anyOf": [{"type": "integer", "minimum": 1, "maximum": 2}, {"const": None}]},
    ],
)
def test_ordinary_schemas_pass(schema):
    check_form(Guide("json_schema", json.dumps(schema)))


@pytest.mark.parametrize(
    ("schema", "why"),
    [
        ({"type": "nonsense"}, "nonsense"),
        ({"properties": {"a": {"items": {"type": "x"}}}}, "type 'x'"),
        ({"enum": []}, "empty enum"),
        ({"$ref": "https://example.org/schema"}, "another document"),
        ({"$ref": "#/$defs/none"}, "not there"),
        ({"minItems": 3, "maxItems": 2}, "minItems"),
        ({"pattern": "(?=a)"}, "looks around"),
        ([1], "a part that is none"),
    ],
)
def test_what_a_compiler_stumbles_over_is_named(schema, why):
    with pytest.raises(ValueError, match=why):
        check_form(Guide("json_schema", json.dumps(schema)))


def test_a_schema_without_end_is_refused():
    schema: dict[str, object] = {}
    for _ in range(100):
        schema = {"items": schema}
    with pytest.raises(ValueError, match="too many"):
        check_form(Guide("json_schema", json.dumps(schema)))


@pytest.mark.parametrize("text", ["(ab", r"(a)\1", "(?P<name>a)", "(?i)a", "a(?!b)"])
def test_expressions_that_are_none(text):
    with pytest.raises(ValueError, match="regular expression"):
        check_form(Guide("regex", text))


def test_choices():
    check_form(Guide("choice", '["yes", "no"]'))
    for text in ("[]", '"yes"', "[1]", "yes"):
        with pytest.raises(ValueError, match=r"choice|JSON"):
            check_form(Guide("choice", text))
