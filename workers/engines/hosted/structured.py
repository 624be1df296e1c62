"""Answers as objects of a JSON schema, held to it while they are written: structured output without tools."""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any

from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_json_schema
from langchain_core.utils.pydantic import is_basemodel_subclass

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel


def by_schema(
    model: BaseChatModel, schema: dict[str, Any] | type, *, free: bool, include_raw: bool
) -> Runnable[Any, Any]:
    """A model whose answers are objects of a schema.

    Args:
        model: Takes ``response_format``.
        schema: A JSON schema, a TypedDict or a pydantic class.
        free: Any JSON object may be written; the prompt says which. What comes is still read as the schema.
        include_raw: Give ``raw``, ``parsed`` and ``parsing_error`` instead of the object.
    """
    described = convert_to_json_schema(schema)
    form: dict[str, Any] = {"type": "json_object"}
    if not free:
        # Nothing but what the schema names: a small model would ramble.
        closed = convert_to_json_schema(schema, strict=True)
        form = {"type": "json_schema", "json_schema": {"name": described.get("title", "answer"), "schema": closed}}
    note = {"kwargs": {"method": "json_mode" if free else "json_schema"}, "schema": described}
    bound = model.bind(response_format=form, ls_structured_output_format=note)
    parser: Runnable[Any, Any] = JsonOutputParser()
    if isinstance(schema, type) and is_basemodel_subclass(schema):
        parser = PydanticOutputParser(pydantic_object=schema)
    if not include_raw:
        return bound | parser
    good = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
    bad = RunnablePassthrough.assign(parsed=lambda _: None)
    return RunnableMap(raw=bound) | good.with_fallbacks([bad], exception_key="parsing_error")
