"""What became of each file of an ingest, as a file."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agents.contract import IngestResult

_COLUMNS = ("source", "status", "passages", "code", "message", "hint")


def check_report(path: Path) -> None:
    """Make sure, before the work, that a report can be written.

    Raises:
        typer.BadParameter: another ending, or no such folder.
    """
    import typer

    if path.suffix.lower() not in (".json", ".csv"):
        raise typer.BadParameter(f"{path} must end in .json or .csv", param_hint="--report")
    if not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder {path.absolute().parent}", param_hint="--report")


def write_report(path: Path, made: IngestResult) -> None:
    """Write one line a file: what became of it, and why it failed."""
    rows = [_row(report.model_dump(mode="json")) for report in made.files]
    if path.suffix.lower() == ".json":
        path.write_text(json.dumps(rows, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        return
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, _COLUMNS)
        writer.writeheader()
        writer.writerows(rows)


def _row(report: dict[str, Any]) -> dict[str, Any]:
    error = report.pop("error", None) or {}
    return {**report, **{name: error.get(name, "") for name in ("code", "message", "hint")}}
