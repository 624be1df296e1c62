"""Tools that a call offers to a model: how they are told to it, and the form of an answer that must call one."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from workers.engines.host.protocol import Guide
from workers.engines.markers import break_markers
from workers.errors import OptionUnsupported


@dataclass(frozen=True)
class Offer:
    """Functions as OpenAI's protocol describes them, and whether one must be called.

    ``must`` is the name of the one that has to be, ``any``, or empty where the model decides. With ``single`` an answer
    that must call holds one call.
    """

    functions: tuple[Mapping[str, Any], ...]
    must: str = ""
    single: bool = False

    @property
    def names(self) -> frozenset[str]:
        """What they are called."""
        return frozenset(str(one["name"]) for one in self.functions)

    def told(self) -> str:
        """The list as JSON, the way Phi-4-mini was taught: bare functions, one array."""
        return json.dumps([_about(one) for one in self.functions], ensure_ascii=False)

    def listed(self) -> list[dict[str, Any]]:
        """As templates that write the list themselves take it; control markers in people's words are broken."""
        return [{"type": "function", "function": unmarked(_about(one))} for one in self.functions]

    def guide(self) -> Guide:
        """What an answer that must call is held to: an array of calls.

        Raises:
            OptionUnsupported: parameters refer to what can't be moved.
        """
        wanted = [one for one in self.functions if self.must in ("any", one["name"])]
        definitions: dict[str, Any] = {}
        calls = [_call(number, one, definitions) for number, one in enumerate(wanted)]
        # As many as there are tools: without a bound a tired model would never end its list.
        schema = {
            "type": "array",
            "minItems": 1,
            "maxItems": 1 if self.single else len(calls),
            "items": {"anyOf": calls},
        }
        return Guide("json_schema", json.dumps(schema | ({"$defs": definitions} if definitions else {})))


def offer_of(tools: Sequence[Mapping[str, Any]] | None, choice: Any, model: str) -> Offer | None:
    """Read what a call offers; None where the model is offered nothing.

    Args:
        tools: In OpenAI's form.
        choice: OpenAI's ``tool_choice``, or LangChain's ``any`` or a tool's name.
        model: Its name, for messages.

    Raises:
        OptionUnsupported: for what is none of these.
    """
    if not tools or choice == "none":
        return None
    functions = []
    for tool in tools:
        match tool:
            case {"type": "function", "function": {"name": str(), **_rest} as function}:
                functions.append(function)
            case _:
                raise _unsupported("tools", f"take a tool like {str(tool)[:80]}", model)
    match choice:
        case None | False | "" | "auto":
            must = ""
        case True | "any" | "required":
            must = "any"
        case {"type": "function", "function": {"name": str(name)}} | str(name):
            must = name
        case _:
            raise _unsupported("tool_choice", f"take the tool_choice {str(choice)[:80]}", model)
    offer = Offer(tuple(functions), must)
    if must not in ("", "any", *offer.names):
        raise _unsupported("tool_choice", f"be told to call {must[:80]}, which is not offered", model)
    return offer


def unmarked(value: Any) -> Any:
    """A value of JSON whose texts, keys too, hold no control marker any more."""
    if isinstance(value, str):
        return break_markers(value)[0]
    if isinstance(value, Mapping):
        return {unmarked(key): unmarked(one) for key, one in value.items()}
    return [unmarked(one) for one in value] if isinstance(value, list | tuple) else value


def _about(function: Mapping[str, Any]) -> dict[str, Any]:
    about = {name: function[name] for name in ("name", "description") if function.get(name)}
    return {**about, "parameters": function.get("parameters") or {"type": "object", "properties": {}}}


def _call(number: int, function: Mapping[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    parameters = dict(_about(function)["parameters"])
    for keyword in ("$defs", "definitions"):
        for name, one in (parameters.pop(keyword, None) or {}).items():
            definitions[f"{number}_{name}"] = _moved(one, number)
    return {
        "type": "object",
        "properties": {"name": {"const": function["name"]}, "arguments": _moved(parameters, number)},
        "required": ["name", "arguments"],
        "additionalProperties": False,
    }


def _moved(part: Any, number: int) -> Any:
    """Let a schema's references follow its definitions, which now lie beside those of other tools.

    Objects are held to the properties they name: a function gets no arguments that it does not know.
    """
    if isinstance(part, list):
        return [_moved(one, number) for one in part]
    if not isinstance(part, dict):
        return part
    moved = {name: _moved(one, number) for name, one in part.items()}
    if moved.get("type") == "object" and isinstance(moved.get("properties"), dict):
        moved.setdefault("additionalProperties", False)
    if isinstance(reference := moved.get("$ref"), str):
        for start in ("#/$defs/", "#/definitions/"):
            if reference.startswith(start):
                return moved | {"$ref": f"#/$defs/{number}_{reference.removeprefix(start)}"}
        raise OptionUnsupported(
            f"A tool's parameters refer to {reference[:80]}, which can't be followed.",
            hint="Refer to #/$defs/NAME, or write the part out where it is used.",
            option="tools",
            param="tools",
        )
    return moved


def _unsupported(option: str, what: str, model: str) -> OptionUnsupported:
    return OptionUnsupported(
        f"{model} can't {what}.",
        hint='Tools are {"type": "function", "function": {"name": …, "parameters": …}}; tool_choice is auto, none, '
        "required, or one of them.",
        subject=model,
        option=option,
        param=option,
    )
