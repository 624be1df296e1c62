"""What a file of results was made of, kept beside it, so that only new and changed documents are worked on again.

`.OUT.phiq.jsonl`: a first line with the task and the batch that is under way, then a line for each document with the
hash of its bytes and its row once there is one. It is written whole and moved into its place, as OUT is.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from workers.batches.documents import Document
from workers.batches.errors import BatchInvalid
from workers.batches.rows import Format, Row, write

_VERSION = 1


@dataclass
class Manifest:
    """One file of results.

    Attributes:
        out: The file.
        task: The fingerprint of the task it was made with; empty: nothing was made yet.
        batch: The batch whose results are still to come; None: none.
        done: The hashes of the documents that have a row without an error, by name.
        due: The hashes of the documents the batch works on, by name.
    """

    out: Path
    task: str = ""
    batch: str | None = None
    done: dict[str, str] = field(default_factory=dict)
    due: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Where it lies."""
        return self.out.with_name(f".{self.out.name}.phiq.jsonl")

    @classmethod
    def load(cls, out: Path) -> Manifest:
        """What is beside ``out``; an empty one when there is nothing that can be read."""
        made = cls(out)
        with contextlib.suppress(FileNotFoundError, ValueError, LookupError, TypeError), made.path.open("rb") as stream:
            head = json.loads(stream.readline())
            if head["version"] != _VERSION:
                return made
            made.task, made.batch = str(head["task"]), head["batch"]
            for line in stream:
                entry = json.loads(line)
                row = entry.get("row")
                if row is None:
                    made.due[entry["name"]] = entry["sha256"]
                elif not row.get("error"):
                    made.done[entry["name"]] = entry["sha256"]
        return made

    def fresh(self, documents: Iterable[Document], task: str) -> list[Document]:
        """The documents that have no result of this task yet, or changed since."""
        if task != self.task:
            return list(documents)
        return [one for one in documents if not one.sha256 or self.done.get(one.name) != one.sha256]

    def begin(self, documents: Iterable[Document], fresh: Iterable[Document], task: str, batch: str) -> None:
        """Note that a batch works on the fresh ones; the rows of the others that are still there stay.

        Raises:
            BatchInvalid: it can't be written there.
        """
        due = {one.name: one.sha256 for one in fresh}
        kept = {one.name for one in documents} - due.keys()
        head = {"version": _VERSION, "task": task, "batch": batch}
        entries = [{"name": name, "sha256": sha256} for name, sha256 in due.items()]
        rows = (entry for entry in self._rows() if entry["name"] in kept) if task == self.task else iter(())
        replace(self.path, lambda out: _dump(out, head, rows, entries))
        self.task, self.batch, self.due = task, batch, due

    def end(self, found: Iterable[Row], form: Format) -> int:
        """Take over the rows of the batch and write the file of results anew; returns how many rows it has.

        Args:
            found: The rows of the batch, in any order.
            form: The format.

        Raises:
            BatchInvalid: it can't be written there.
        """
        head = {"version": _VERSION, "task": self.task, "batch": None}
        entries = ({"name": r["name"], "sha256": self.due[r["name"]], "row": r} for r in found if r["name"] in self.due)
        replace(self.path, lambda out: _dump(out, head, self._rows(), entries))
        places: dict[str, int] = {}
        with self.path.open("rb") as stream:
            at = len(stream.readline())
            for line in stream:
                places[json.loads(line)["name"]] = at
                at += len(line)

            def rows() -> Iterator[Row]:
                for name in sorted(places):
                    stream.seek(places[name])
                    yield json.loads(stream.readline())["row"]

            replace(self.out, lambda out: write(rows(), out, form))
        self.batch, self.due = None, {}
        return len(places)

    def _rows(self) -> Iterator[dict[str, Any]]:
        with contextlib.suppress(FileNotFoundError), self.path.open("rb") as stream:
            stream.readline()
            for line in stream:
                entry = json.loads(line)
                if entry.get("row") is not None:
                    yield entry


def replace(path: Path, fill: Callable[[IO[str]], object]) -> None:
    """Write a file whole and move it into its place.

    Raises:
        BatchInvalid: it can't be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            "w",
            encoding="utf-8",
            errors="backslashreplace",
            newline="",
            dir=path.parent,
            prefix=".phiq-",
            delete=False,
        ) as out:
            try:
                fill(out)
                out.flush()
                os.fsync(out.fileno())
                Path(out.name).chmod(0o666 & ~_umask())
                Path(out.name).replace(path)
            finally:
                Path(out.name).unlink(missing_ok=True)
    except OSError as error:
        raise BatchInvalid(
            f"{path} can't be written: {error.strerror or error}.",
            hint="Name a file in a folder that you may write to.",
            subject=str(path),
        ) from error


def _dump(out: IO[str], *parts: Any) -> None:
    head, *entries = parts
    out.write(json.dumps(head) + "\n")
    for some in entries:
        for entry in some:
            out.write(json.dumps(entry, ensure_ascii=False) + "\n")


def _umask() -> int:
    """The process's; it can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
