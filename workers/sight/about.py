"""What the lines of a log are about: the job, its tenant, the attempt, the trace. Follows the thread or task."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_ABOUT: ContextVar[dict[str, Any] | None] = ContextVar("phiq_about", default=None)


@contextmanager
def about(**facts: Any) -> Iterator[dict[str, Any]]:
    """Let lines inside carry these facts too; yields them, and what is put there counts as well."""
    given = {**(_ABOUT.get() or {}), **{name: value for name, value in facts.items() if value is not None}}
    token = _ABOUT.set(given)
    try:
        yield given
    finally:
        _ABOUT.reset(token)


def note(**facts: Any) -> None:
    """Add facts to the block around this, wherever in it; nothing outside of one."""
    given = _ABOUT.get()
    if given is not None:
        given.update((name, value) for name, value in facts.items() if value is not None)


def current() -> dict[str, Any]:
    """The facts here."""
    return _ABOUT.get() or {}
