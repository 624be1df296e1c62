"""Forms of answers that every library can be told."""

from __future__ import annotations

import json
import re

from workers.engines.host.failures import Unusable


def choice(text: str) -> str:
    """A JSON list of choices as a regular expression."""
    return "|".join(re.escape(str(one)) for one in json.loads(text))


def compact(schema: str) -> str:
    """A JSON schema that llguidance fills without white space: some models would write nothing else.

    Raises:
        Unusable: it is no JSON object.
    """
    try:
        given = json.loads(schema)
    except ValueError as error:
        raise Unusable(f"the JSON schema of the answer is no JSON: {error}") from error
    if not isinstance(given, dict):
        raise Unusable("the JSON schema of the answer is no object")
    return json.dumps({**given, "x-guidance": {"whitespace_flexible": False}})
