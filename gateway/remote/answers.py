"""Answers of the HTTP API: values, or the errors they were, as the classes they are here."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from pydantic import ValidationError

from gateway.errors import error_from
from gateway.remote.errors import GatewayUnreachable, NotPhiq
from knowledge.errors import PhiqError

T = TypeVar("T")

_PROBLEM = "application/problem+json"
_MEMBERS = {"type", "title", "status", "code", "detail", "hint", "subject"}
_AWAY = {502, 503, 504}
"""What a proxy answers while nothing stands behind it."""


def value(status: int, headers: Mapping[str, str], body: bytes, base: str, read: Callable[[Any], T]) -> T:
    """What an answer says.

    Raises:
        PhiqError: the error it says.
        NotPhiq: it is none of phiq's.
        GatewayUnreachable: it is a proxy's, which finds no gateway.
    """
    if not 200 <= status < 300:
        raise error(status, headers, body, base)
    try:
        return read(json.loads(body) if body else None)
    except (ValueError, ValidationError, KeyError, TypeError) as wrong:
        raise not_phiq(base, "its answer is not one of phiq's") from wrong


def error(status: int, headers: Mapping[str, str], body: bytes, base: str) -> PhiqError:
    """The error that an answer says."""
    if headers.get("content-type", "").partition(";")[0].strip().lower() == _PROBLEM:
        try:
            problem = json.loads(body)
        except ValueError:
            problem = None
        if isinstance(problem, dict) and isinstance(problem.get("code"), str):
            found = from_problem(problem)
            after = headers.get("retry-after", "")
            if after.isdecimal():
                found.details.setdefault("retry_after", int(after))
            return found
    if status in _AWAY:
        return away(base, f"HTTP {status}", sent=True)
    if 300 <= status < 400:
        return not_phiq(base, f"it leads on to {headers.get('location', 'elsewhere')[:200]}")
    return not_phiq(base, f"it answers with HTTP {status}")


def from_problem(problem: Mapping[str, Any]) -> PhiqError:
    """The error that a problem document says."""
    details = {name: content for name, content in problem.items() if name not in _MEMBERS}
    status = problem.get("status", 500)
    found = error_from(
        {
            "code": problem["code"],
            "fault": "user" if isinstance(status, int) and status < 500 else "service",
            "message": problem.get("detail", ""),
            "hint": problem.get("hint", ""),
            "subject": problem.get("subject") or "",
            "details": {**details, "http_status": status},
        }
    )
    if found.code in ("key_missing", "key_invalid"):
        found.hint = "Set PHIQ_API_KEY to a valid key; who runs the service makes one with: phiq key create --name NAME"
    return found


def away(base: str, why: str, *, sent: bool) -> GatewayUnreachable:
    """The error of a gateway that does not answer.

    Args:
        base: Its address.
        why: In a few words.
        sent: Whether the request may have arrived.
    """
    return GatewayUnreachable(
        f"phiq's HTTP API at {base} does not answer: {why}.",
        hint=f"Check PHIQ_URL and that it runs there (phiq up, or phiq serve): curl {base}/healthz",
        subject=base,
        sent=sent,
    )


def not_phiq(base: str, why: str) -> NotPhiq:
    """The error of a server that is none of phiq's."""
    return NotPhiq(
        f"What answers at {base} is not phiq's HTTP API: {why}.",
        hint=f"Check PHIQ_URL, its port too; phiq answers here: curl {base}/healthz",
        subject=base,
    )
