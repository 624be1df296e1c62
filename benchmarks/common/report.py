"""How a measurement ends: a table for people, a JSON file for comparing."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path("bench-results")
"""Where the JSON files go when no other place is named; git ignores it."""


def quantile(values: Sequence[float], share: float) -> float:
    """The smallest value that so much of all values lies at or below."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, round(share * len(ordered) + 0.5) - 1))]


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Median, p50 to p99 and the number of values, in milliseconds."""
    return {
        "n": len(seconds),
        "median_ms": 1000 * statistics.median(seconds),
        "p90_ms": 1000 * quantile(seconds, 0.9),
        "p99_ms": 1000 * quantile(seconds, 0.99),
        "worst_ms": 1000 * max(seconds),
    }


def table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Columns under their heads; numbers to the right."""
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(len(line[at]) for line in (list(head), *texts)) for at in range(len(head))]
    lines = ["  ".join(word.ljust(width) for word, width in zip(head, widths, strict=True)).rstrip()]
    for row, cells in zip(rows, texts, strict=True):
        padded = [
            text.rjust(width) if isinstance(cell, int | float) else text.ljust(width)
            for cell, text, width in zip(row, cells, widths, strict=True)
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def save(name: str, figures: dict[str, Any], path: Path | None) -> Path:
    """Write the figures with when and on what they were taken; returns where."""
    target = path or FOLDER / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    about = {
        "name": name,
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
    }
    target.write_text(json.dumps({**about, **figures}, indent=1) + "\n", "utf-8")
    return target


def _text(cell: Any) -> str:
    if isinstance(cell, float):
        return f"{cell:,.0f}" if abs(cell) >= 1000 else f"{cell:.2f}" if abs(cell) < 100 else f"{cell:.1f}"
    return f"{cell:,}" if isinstance(cell, int) else str(cell)
