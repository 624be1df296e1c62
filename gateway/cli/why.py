"""Why a job waits, and spans of time, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from workers.jobs import Waiting


def span(seconds: float) -> str:
    """A span of time as people say it: ``45 s``, ``3 min``, ``2 h``, ``5 d``."""
    for size, unit in ((2 * 86400, "d"), (2 * 3600, "h"), (120, "min")):
        if seconds >= size:
            return f"{seconds / {'d': 86400, 'h': 3600, 'min': 60}[unit]:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"


def since(instant: datetime) -> str:
    """How long ago an instant was."""
    from datetime import UTC, datetime

    return span((datetime.now(UTC) - instant).total_seconds())


def why(waiting: Waiting) -> str:
    """The reason, and when the job may start where that can be told."""
    start = waiting.expected_start
    if start is None or waiting.reason in ("not_waiting", "delayed", "retry"):
        return waiting.message
    return f"{waiting.message} It may start {'in about ' + span(start) if start >= 1 else 'any moment'}."


def rows(waiting: Waiting) -> list[tuple[str, str]]:
    """The lines of ``phiq jobs show`` about a job that waits; none for one that does not."""
    if waiting.reason == "not_waiting":
        return []
    lines = [("waiting", f"{waiting.message} ({waiting.reason})")]
    if waiting.position:
        place = f"{waiting.position}; the oldest here has waited {span(waiting.oldest_age)}"
        lines.append(("place", place))
        start = waiting.expected_start
        lines.append(("start", "can't be told yet" if start is None else f"in about {span(start)}"))
    return lines
