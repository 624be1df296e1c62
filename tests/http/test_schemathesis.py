"""schemathesis, over every route of a live gateway: what it sends, right and wrong, is answered as OpenAPI promises."""

from __future__ import annotations

import logging

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import load_all_checks, not_a_server_error, positive_data_acceptance
from schemathesis.generation import GenerationMode

EXAMPLES = 5
"""Generated calls of each route in each mode; more find more: raise it when you look for trouble."""
load_all_checks()
EXCLUDED = [
    # OpenAPI can't say all that must be so ("the last message is the user's"): such refusals are described as 400.
    positive_data_acceptance,
    # A 503 that is described is an answer (no workers, no Redis); what is not described is found by another check.
    not_a_server_error,
]


@pytest.fixture(scope="module")
def api(gateway, worker):
    """The gateway's own description, over the wire."""
    logging.getLogger("uvicorn.access").setLevel(logging.WARNING)
    return schemathesis.openapi.from_url(f"{gateway.url}/openapi.json")


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_every_answer_is_as_described(api, mode):
    found = []
    for operation in (result.ok() for result in api.get_all_operations()):
        if mode is GenerationMode.NEGATIVE and not _can_be_wrong(operation):
            continue
        try:
            _probe(operation, mode)
        except KeyboardInterrupt:
            raise
        except Unsatisfiable:
            assert mode is GenerationMode.NEGATIVE, operation.label  # it takes anything: nothing can be wrong
        except BaseException as error:  # noqa: BLE001 - groups of them too: all are wanted at once
            found.append(f"== {operation.label} ({mode}): {_told(error)}")
    assert not found, "\n\n".join(found)


def _can_be_wrong(operation):
    """Whether there is anything it refuses; schemathesis would look for that for long."""
    raw = operation.definition.raw
    plain = {"type", "title", "description"}
    asked = [one for one in raw.get("parameters", []) if one["in"] in ("path", "query")]
    return "requestBody" in raw or any(set(one["schema"]) - plain for one in asked)


def _told(error):
    inner = getattr(error, "exceptions", [])
    return " / ".join(f"{one}" for one in inner)[:3000] + f"\n{error}"[:3000] if inner else f"{error!r}"[:3000]


def _probe(operation, mode):
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,  # a finding in CI is one here too
        deadline=None,
        database=None,
        phases=(Phase.explicit, Phase.generate),
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def call(case):
        answer = case.call_and_validate(timeout=30, excluded_checks=EXCLUDED)
        assert answer.status_code != 500, answer.text

    call()
