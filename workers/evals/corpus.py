"""The collection that a set's questions are asked of: its passages and documents, named after what they hold.

The same set finds what an earlier run has loaded, and a changed set never finds the old passages.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workers.evals.errors import SetInvalid
from workers.evals.load import EvalSet
from workers.evals.records import Asked, GivenPassage


@dataclass(frozen=True)
class CorpusFile:
    """A file to ingest; ``source`` is what ``relevant`` and citations call it."""

    source: str
    name: str
    data: bytes


@dataclass(frozen=True)
class Corpus:
    """The files of a set's own collection; without files there is none."""

    collection: str
    files: tuple[CorpusFile, ...]


def corpus_of(chosen: EvalSet) -> Corpus:
    """What a set's own collection holds.

    Raises:
        SetInvalid: when a document it names is not there, or two passages with one id differ.
    """
    files: dict[str, CorpusFile] = {}
    for file in (*_documents(chosen), *_passages(chosen)):
        known = files.setdefault(file.source, file)
        if known.data != file.data:
            raise SetInvalid(
                f"Two passages of the set are called {file.source} and differ.",
                hint="Give each text an id of its own.",
                subject=file.source,
            )
    whole = hashlib.sha256()
    for source in sorted(files):
        whole.update(f"{source}\n{files[source].name}\n".encode() + files[source].data)
    return Corpus(f"eval-{whole.hexdigest()[:16]}", tuple(files.values()))


def _documents(chosen: EvalSet) -> Iterator[CorpusFile]:
    from knowledge.load import SUFFIXES

    for name in chosen.about.documents:
        start = chosen.folder / name
        if not start.exists():
            raise SetInvalid(f"set.json names documents that are not there: {name}.", subject=str(start))
        paths = [start] if start.is_file() else sorted(p for p in start.rglob("*") if p.suffix.lower() in SUFFIXES)
        for path in paths:
            source = path.name if start.is_file() else path.relative_to(start).as_posix()
            yield CorpusFile(source, path.name, path.read_bytes())


def _passages(chosen: EvalSet) -> Iterator[CorpusFile]:
    for record in chosen.records:
        if isinstance(record, Asked):
            for passage in record.passages:
                yield CorpusFile(passage.id, f"{_title(passage)}.txt", passage.text.encode())


def _title(passage: GivenPassage) -> str:
    """The title as the name of a file, from which the loader takes it back."""
    return re.sub(r"[\x00-\x1f/\\]+", " ", passage.title or Path(passage.id).stem).strip()[:150] or "passage"
