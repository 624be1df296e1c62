"""From what a job asks, what a call adds and what the profile says, to the one way a run is sampled."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from workers.engines.host.protocol import Guide, Request
from workers.errors import OptionUnsupported
from workers.jobs import GenerationOptions
from workers.models.profiles import Sampling

_SEEDS = 2**31 - 1
OPTIONS = tuple(name for name in GenerationOptions.model_fields if name != "logit_bias")
"""Options of a job that this engine has; GenAI's search takes no bias of tokens."""


def merge(options: GenerationOptions, model: str, **call: Any) -> GenerationOptions:
    """A call's own options over the job's; None leaves the job's. Stop strings add up: a job's are never lost.

    Raises:
        OptionUnsupported: naming an option that does not exist here, or whose value can't be used.
    """
    given = {name: value for name, value in call.items() if value is not None}
    unknown = sorted(set(given) - set(OPTIONS))
    if unknown:
        raise OptionUnsupported(
            f"{model} has no option '{unknown[0]}'.",
            hint=f"Options are {', '.join(OPTIONS)}.",
            subject=model,
            option=unknown[0],
        )
    if isinstance(given.get("stop"), list):
        given["stop"] = list(dict.fromkeys([*options.stop, *given["stop"]]))
    try:
        return GenerationOptions.model_validate({**options.model_dump(), **given})
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        raise OptionUnsupported(
            f"The option {name} can't be used: {first['msg']}.", hint="See docs/jobs.md.", subject=model, option=name
        ) from error


def guide_of(form: Any, model: str) -> Guide | None:
    """What an answer is held to, from OpenAI's ``response_format``; None for plain text.

    Raises:
        OptionUnsupported: it is none of that protocol's forms.
    """
    match form:
        case None | {"type": "text"}:
            return None
        case {"type": "json_object"}:
            return Guide("json_schema", '{"type": "object"}')
        case {"type": "json_schema", "json_schema": {"schema": Mapping() as schema}}:
            return Guide("json_schema", json.dumps(schema))
    raise OptionUnsupported(
        f"{model} takes no response_format like {str(form)[:80]}.",
        hint='Give {"type": "json_object"}, or {"type": "json_schema", "json_schema": {"schema": …}}.',
        subject=model,
        option="response_format",
    )


def make_request(
    tokens: tuple[int, ...], max_tokens: int, options: GenerationOptions, default: Sampling, vocabulary: int
) -> Request:
    """The run for a prompt.

    Greedy when the temperature is 0. With no temperature but top-p, top-k or min-p, it is the profile's, or 1.
    """
    temperature = options.temperature
    if temperature is None:
        temperature = default.temperature or 0.0
        if temperature == 0 and (options.top_p is not None or options.top_k is not None or options.min_p > 0):
            temperature = 1.0
    top_p = options.top_p if options.top_p is not None else default.top_p
    top_k = options.top_k if options.top_k is not None else default.top_k
    seed = options.seed if options.seed is not None else secrets.randbelow(_SEEDS)
    return Request(
        tokens=tokens,
        max_tokens=max_tokens,
        stop=tuple(options.stop),
        temperature=temperature,
        top_p=top_p if top_p is not None else 1.0,
        # More than the vocabulary means all of it, and the library refuses it.
        top_k=min(top_k or 0, vocabulary),
        min_p=options.min_p,
        adapter=options.adapter,
        repetition_penalty=options.repetition_penalty,
        # The library takes 31 bits; folding keeps equal seeds equal.
        seed=seed % _SEEDS,
    )
