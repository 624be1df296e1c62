"""How results look: the text, then a small tidy list of what it rests on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.io import Io

if TYPE_CHECKING:
    from agents.contract import ChatResult, Citation, IngestResult, Result, SearchResult, TranslationResult
    from knowledge.types import Passage
    from workers.jobs import JobRecord

_MOST_DOUBTS = 20


def finished(record: JobRecord) -> dict[str, Any]:
    """A finished job as one JSON document."""
    return {
        "id": record.id,
        "kind": record.kind,
        "state": str(record.state),
        "model": record.model,
        "submitted_at": record.submitted_at.isoformat(),
        "seconds": seconds(record),
        "result": record.result,
        "error": record.error,
    }


def seconds(record: JobRecord) -> float | None:
    """How long a finished job ran, None when it never did."""
    if record.started_at is None or record.finished_at is None:
        return None
    return round((record.finished_at - record.started_at).total_seconds(), 3)


def near(source: str) -> str:
    """A source as people would type it: relative when it lies below the current folder."""
    path = Path(source)
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        return str(path.relative_to(Path.cwd()))
    return source


def result(io: Io, made: Result, *, with_text: bool, told: set[str] | None = None) -> None:
    """A result for people; the text only when it has not streamed already, notes only when not yet ``told``."""
    from agents.contract import ChatResult, IngestResult, SearchResult, TranslationResult

    if isinstance(made, SearchResult):
        found(io, made)
    elif isinstance(made, IngestResult):
        ingested(io, made)
    elif with_text and made.text:
        io.prose(made.text)
    if isinstance(made, ChatResult):
        citations(io, made)
    elif isinstance(made, TranslationResult):
        doubts(io, made)
    notes(io, made, set() if told is None else told)


def citations(io: Io, made: ChatResult) -> None:
    """One line a cited passage: its number, title, place."""
    seen: set[int] = set()
    passages = {passage.id: passage for passage in made.passages}
    lines = []
    for citation in made.citations:
        if citation.marker not in seen:
            seen.add(citation.marker)
            passage = passages.get(citation.passage_id)
            heading = _inner(passage) if passage is not None else ""
            place = _place(passage or citation)
            lines.append(f"  [{citation.marker}] {citation.title}{heading}{place} - {near(citation.source)}")
    if lines:
        io.text("\n" + "\n".join(lines))


def doubts(io: Io, made: TranslationResult) -> None:
    """The segments of a translation that somebody should look at."""
    rows = [(issue.place or str(issue.segment), issue.problem, issue.detail) for issue in made.issues]
    if rows:
        io.table(("where", "problem", "what"), rows[:_MOST_DOUBTS])
    if len(rows) > _MOST_DOUBTS:
        io.note(f"{len(rows) - _MOST_DOUBTS} more are in the result: phiq jobs show ID --json")


def found(io: Io, made: SearchResult) -> None:
    """Found passages, best first."""
    if not made.passages:
        io.note("Nothing found.")
    for number, passage in enumerate(made.passages, 1):
        place = _place(passage)
        io.prose(
            f"{number}. {passage.title}{_inner(passage)}{place}  ({passage.score:.2f})  {near(passage.source)}", "   "
        )
        text = " ".join(passage.text.split())
        io.prose("   " + (text if len(text) <= 240 else text[:239].rsplit(" ", 1)[0] + " …"), "   ")


def _inner(passage: Passage) -> str:
    """The heading below the title; its path often begins with the title itself."""
    inner = passage.heading.removeprefix(passage.title).removeprefix(" > ")
    return f" > {inner}" if inner else ""


def _place(where: Passage | Citation) -> str:
    """The page, where there are pages; else the line, where lines are the place."""
    if where.page:
        return f", page {where.page}"
    line = getattr(where, "line", None)
    return f", line {line}" if line else ""


def ingested(io: Io, made: IngestResult) -> None:
    """What became of each file that was not simply unchanged, and the counts."""
    rows = [
        (report.status, near(report.source), str(report.passages) if report.passages else "", _reason(report.error))
        for report in made.files
        if report.status != "unchanged"
    ]
    if rows:
        io.table(("status", "file", "passages", "why"), rows)
    counts: dict[str, int] = {}
    for report in made.files:
        counts[report.status] = counts.get(report.status, 0) + 1
    summary = ", ".join(f"{count} {status}" for status, count in counts.items()) or "no files"
    io.note(f"Collection {made.collection}: {summary}.")


def _reason(error: dict[str, Any] | None) -> str:
    return "" if error is None else f"{error.get('code', '')}: {error.get('message', '')}"


def notes(io: Io, made: Result, told: set[str]) -> None:
    """What a reader must know about results, each note once a command."""
    for note in made.notes:
        if note not in told:
            told.add(note)
            io.note(f"note: {note}")
