"""Results of a batch over documents, as rows: written as CSV, JSONL or Markdown."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any, Literal

from workers.batches.errors import BatchInvalid

Format = Literal["csv", "jsonl", "markdown"]
Row = dict[str, Any]
_SUFFIXES: dict[str, Format] = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".md": "markdown"}
_COLUMNS = ("name", "text", "error", "kind", "model", "prompt_tokens", "completion_tokens", "seconds", "notes")


def format_of(out: Path, given: str | None = None) -> Format:
    """The format of a file: the one that is given, or by its name's ending.

    Raises:
        BatchInvalid: neither says it.
    """
    found = {"csv": "csv", "jsonl": "jsonl", "markdown": "markdown", "md": "markdown"}.get(given or "")
    known = found or (None if given else _SUFFIXES.get(out.suffix.lower()))
    if known is None:
        raise BatchInvalid(
            f"It is not clear what {out.name} is to be.", hint="Name it .csv, .jsonl or .md, or give --format."
        )
    return known  # type: ignore[return-value]  # one of the three


def row_of(line: dict[str, Any]) -> Row:
    """A line of a batch's output or error file as a row."""
    result = line.get("result") or _openai(line.get("response") or {})
    usage = result.get("usage") or {}
    return {
        "name": line["custom_id"],
        "text": result.get("text", ""),
        "error": line.get("error"),
        "kind": line.get("kind", ""),
        "model": line.get("model", ""),
        "prompt_tokens": usage.get("prompt_tokens", 0),
        "completion_tokens": usage.get("completion_tokens", 0),
        "seconds": line.get("seconds", 0.0),
        "notes": result.get("notes", []),
        "result": result or None,
    }


def _openai(response: dict[str, Any]) -> dict[str, Any]:
    """What a row shows of an answer in OpenAI's form."""
    body = response.get("body") or {}
    usage = body.get("usage") or {}
    choice: dict[str, Any] = next(iter(body.get("choices") or []), {})
    parts = [part.get("text", "") for item in body.get("output", []) for part in item.get("content") or []]
    text = choice.get("text") or (choice.get("message") or {}).get("content") or "".join(parts)
    counts = {
        "prompt_tokens": usage.get("prompt_tokens", usage.get("input_tokens", 0)),
        "completion_tokens": usage.get("completion_tokens", usage.get("output_tokens", 0)),
    }
    return {**body, "text": text, "usage": counts} if body else {}


def write(rows: Iterable[Row], out: IO[str], form: Format) -> None:
    """Write rows in a format."""
    writers: dict[str, Callable[[Iterable[Row], IO[str]], None]] = {
        "csv": _csv,
        "jsonl": _jsonl,
        "markdown": _markdown,
    }
    writers[form](rows, out)


def _csv(rows: Iterable[Row], out: IO[str]) -> None:
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for row in rows:
        error = row["error"] or {}
        said = f"{error.get('code')}: {error.get('message')}" if error else ""
        cells = {**row, "error": said, "notes": " ".join(row["notes"])}
        writer.writerow(_tame(cells[name]) for name in _COLUMNS)


def _tame(cell: Any) -> Any:
    """Spreadsheets run a cell that begins like a formula: a document's words must not be one."""
    if isinstance(cell, str) and (cell[:1] in "=+@\t\r" or (cell[:1] == "-" and cell[1:2] not in "- \t")) and cell:
        return f"'{cell}"
    return cell


def _jsonl(rows: Iterable[Row], out: IO[str]) -> None:
    for row in rows:
        out.write(json.dumps(row, ensure_ascii=False) + "\n")


def _markdown(rows: Iterable[Row], out: IO[str]) -> None:
    for row in rows:
        out.write(f"## {_heading(row['name'])}\n\n")
        if row["error"]:
            out.write(f"*{row['error'].get('code')}: {row['error'].get('message')}*\n\n")
            continue
        text = row["text"] or json.dumps(row["result"], ensure_ascii=False)
        out.write(text.strip() + "\n\n")
        for note in row["notes"]:
            out.write(f"> {note}\n\n")


def _heading(name: str) -> str:
    return "".join(f"\\{char}" if char in r"\`*_{}[]<>#|" else char for char in name)
