"""Reading a batch's input once from end to end: every line checked, and the file cut into chunks.

A chunk is some lines in a row: what is in flight, and what is written at once. Where each begins is kept, so that
whoever goes on with the batch reads only the chunks that are left.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field

from knowledge.errors import PhiqError
from workers.batches.errors import BatchLineInvalid
from workers.batches.lines import Raw, invalid, raw_lines, read_line
from workers.batches.records import BatchRecord, LineProblem
from workers.content import ContentStore
from workers.content_errors import storage_errors
from workers.payloads import attachments

LINES, BYTES = 100, 4_000_000
"""Of a chunk, at most; a chunk has one line at least."""
MAX_PROBLEMS = 100
"""Lines named in the record of a batch that fails."""
_PAUSE = 200


@dataclass(frozen=True)
class Place:
    """Where a chunk lies in the input: its first byte, the number of the line there, and how many lines it has."""

    offset: int
    number: int
    lines: int

    def dump(self) -> str:
        """As it is kept."""
        return f"{self.offset} {self.number} {self.lines}"

    @classmethod
    def load(cls, text: str) -> Place:
        """From how it is kept."""
        offset, number, lines = text.split(" ")
        return cls(int(offset), int(number), int(lines))


@dataclass
class Plan:
    """What was found in the input. ``refs``: what its lines refer to in the content store."""

    total: int = 0
    places: list[Place] = field(default_factory=list)
    problems: list[LineProblem] = field(default_factory=list)
    refs: set[str] = field(default_factory=set)


def make_plan(
    store: ContentStore, ref: str, batch: BatchRecord, *, max_lines: int, max_line: int
) -> Iterator[Plan | None]:
    """Read the input; yields None between some lines, and the plan at the end.

    Args:
        store: Where the input is.
        ref: Which it is.
        batch: What its lines must be.
        max_lines: Lines a batch may have.
        max_line: Bytes a line may have.
    """
    plan, seen = Plan(), _Names()
    try:
        # First that it is whole: chunks are later read from its middle, where its hash says nothing.
        for _ in store.blocks(ref):
            yield None
        with store.open(ref) as stream, storage_errors(batch.input_file):
            chunk: list[Raw] = []
            size = 0
            for raw in raw_lines(stream, max_line):
                plan.total += 1
                if plan.total > max_lines:
                    plan.problems.append(_too_many(max_lines))
                    break
                _check(raw, batch, seen, plan, max_line)
                if chunk and (len(chunk) >= LINES or size + len(raw.data) > BYTES):
                    plan.places.append(Place(chunk[0].offset, chunk[0].number, len(chunk)))
                    chunk, size = [], 0
                chunk.append(Raw(raw.offset, raw.number, b""))
                size += len(raw.data)
                if len(plan.problems) >= MAX_PROBLEMS:
                    break
                if plan.total % _PAUSE == 0:
                    yield None
            if chunk:
                plan.places.append(Place(chunk[0].offset, chunk[0].number, len(chunk)))
    except PhiqError as error:
        if error.fault != "user":
            raise
        plan.problems.append(LineProblem(code=error.code, message=error.message))
    if not plan.total and not plan.problems and batch.task is None:
        plan.problems.append(LineProblem(code="empty_file", message="The input file has no lines."))
    yield plan


class _Names:
    """The custom_ids that were seen, by their hashes: fifty thousand long names need not be held."""

    def __init__(self) -> None:
        self._seen: dict[bytes, int] = {}

    def earlier(self, name: str, number: int) -> int | None:
        """The line that had this name before; else it has it now."""
        key = hashlib.blake2b(name.encode(), digest_size=16).digest()
        return None if (had := self._seen.setdefault(key, number)) == number else had


def _check(raw: Raw, batch: BatchRecord, seen: _Names, plan: Plan, max_line: int) -> None:
    try:
        line = read_line(raw, batch.endpoint, documents=batch.task is not None, limit=max_line)
        had = seen.earlier(line.custom_id, line.number)
        if had is not None:
            raise invalid("duplicate_custom_id", f"line {had} has the same custom_id", line.number, "custom_id")
    except BatchLineInvalid as error:
        plan.problems.append(
            LineProblem(
                code=str(error.details["reason"]), message=error.message, line=raw.number, param=error.details["param"]
            )
        )
        return
    if line.url is None and not line.error:
        plan.refs.update(_refs(line.body))


def _refs(job: dict[str, object]) -> list[str]:
    """What a job that nobody has checked yet refers to."""
    kind, given = job.get("kind"), job.get("input")
    if not isinstance(kind, str) or not isinstance(given, dict):
        return []
    try:
        return [ref for ref in attachments(kind, {"input": given}) if isinstance(ref, str) and len(ref) < 100]
    except TypeError:
        return []  # not a list of attachments: refused when it is submitted


def _too_many(limit: int) -> LineProblem:
    return LineProblem(
        code="too_many_lines", message=f"The input file has more than {limit:,} lines; split it into several batches."
    )


def dump_problems(problems: list[LineProblem]) -> str:
    """As they are kept."""
    return json.dumps([one.model_dump(exclude_none=True) for one in problems[:MAX_PROBLEMS]])
