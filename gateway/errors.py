"""Errors of the front doors: a job's recorded error as an exception again, and the exit codes of the command line."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

from knowledge.errors import PhiqError, ServiceError, UserError

OK, SERVICE, USAGE, USER, UNAVAILABLE, ENDED, INTERRUPTED = 0, 1, 2, 3, 4, 5, 130

_UNAVAILABLE = frozenset(
    {
        "not_running",
        "redis_unavailable",
        "store_unavailable",
        "engine_down",
        "engine_not_shared",
        "engine_timeout",
        "hub_unavailable",
        "gateway_unreachable",
    }
)
_FAMILIES = ("tools.errors", "agents.errors", "workers.errors", "workers.access.principal", "workers.batches.errors")
"""Modules whose classes a recorded error may be; one in a module that nobody imported is not a subclass yet."""
_ENDED = frozenset({"job_cancelled", "job_expired"})


class InputMissing(UserError):
    """Raised when a command was given nothing to work on."""

    code = "input_missing"


class UsageInvalid(UserError):
    """Raised when a command line can't be understood."""

    code = "usage"


def exit_code(error: PhiqError) -> int:
    """The command line's exit code for an error; docs/cli.md lists them."""
    if error.code in _UNAVAILABLE:
        return UNAVAILABLE
    if error.code in _ENDED:
        return ENDED
    if error.code == UsageInvalid.code:
        return USAGE
    return USER if error.fault == "user" else SERVICE


def error_from(record: dict[str, Any]) -> PhiqError:
    """The exception a recorded error (``PhiqError.to_dict``) was, so that callers can catch it by class.

    A code that no class of this version has (a newer worker wrote it) keeps its code on a plain
    ``UserError`` or ``ServiceError``.
    """
    code = str(record.get("code", "internal"))
    fault = UserError if record.get("fault") == "user" else ServiceError
    for module in _FAMILIES:
        import_module(module)
    known = {kind.code: kind for kind in _family(PhiqError)}
    kind: type[PhiqError] = known.get(code) or type(fault.__name__, (fault,), {"code": code})
    details = record.get("details") or {}
    error = kind(
        str(record.get("message", "")), hint=str(record.get("hint", "")), subject=str(record.get("subject", ""))
    )
    error.details = dict(details)
    return error


def _family(root: type[PhiqError]) -> Iterator[type[PhiqError]]:
    yield root
    for child in root.__subclasses__():
        yield from _family(child)
