"""Batches and files that hold the words that are to go.

A file of lines can't lose one of them: the batch goes whole, with what it reads and what it has written. Files of
results that were written for people (`phiq batch run -o OUT`) are theirs to delete.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from knowledge.errors import PhiqError
from workers.batches.records import BatchRecord, FileRecord
from workers.batches.refs import refs_of
from workers.batches.store import Batches
from workers.batches.stream import as_stream
from workers.erase.find import Sources, named
from workers.erase.scope import Scope
from workers.ledger.scripts import redis_errors

_PAGE = 100


@dataclass(frozen=True)
class Held:
    """What goes: batches, and files of theirs or of nobody's."""

    batches: list[BatchRecord]
    files: list[FileRecord]


def find_batches(batches: Batches, scope: Scope, sources: Sources) -> Held:
    """What is meant.

    Args:
        batches: Where they are.
        scope: What is meant.
        sources: Documents that go.
    """
    all_batches, all_files = list(_batches(batches, scope.tenant)), list(_files(batches, scope.tenant))
    if scope.whole:
        return Held(all_batches, all_files)
    meant = {one.id for one in all_files if _holds(batches.files.blocks(one.id, scope.tenant), scope, sources)}
    made_by = _made_by(batches, scope)
    found = [
        one
        for one in all_batches
        if one.id == made_by
        or meant & {one.input_file, one.output_file, one.error_file}
        or (not one.state.final and any(_parts(batches, one, scope, sources)))
    ]
    meant |= {name for one in found for name in (one.input_file, one.output_file, one.error_file) if name}
    return Held(found, [one for one in all_files if one.id in meant])


def refs(batches: Batches, held: Held) -> set[str]:
    """What they refer to in the content store."""
    found = {one.ref for one in held.files}
    for one in held.batches:
        found |= refs_of(batches, one.id)
    return found


def job_ids(batches: Batches, held: Held, tenant: str) -> list[str]:
    """The jobs of lines that were not written yet."""
    ours = {one.id for one in held.batches if not one.state.final}
    if not ours:
        return []
    client: Any = batches.ledger.scripts.client
    found = []
    for job_id in batches.ledger.ids(tenant):
        with redis_errors():
            origin = str(client.hget(batches.ledger.scripts.key("job", job_id), "origin") or "")
        if origin.startswith("batch/") and origin.split("/")[1] in ours:
            found.append(job_id)
    return found


def _made_by(batches: Batches, scope: Scope) -> str:
    """The batch of the job that is meant; empty when it is of none."""
    if scope.job is None:
        return ""
    client: Any = batches.ledger.scripts.client
    with redis_errors():
        origin = str(client.hget(batches.ledger.scripts.key("job", scope.job), "origin") or "")
    return origin.split("/")[1] if origin.startswith("batch/") else ""


def _parts(batches: Batches, batch: BatchRecord, scope: Scope, sources: Sources) -> Iterator[bool]:
    yield _holds(batches.blocks(batch, "output"), scope, sources)
    yield _holds(batches.blocks(batch, "errors"), scope, sources)


def _holds(blocks: Iterator[bytes], scope: Scope, sources: Sources) -> bool:
    """Whether a file of lines holds what is meant; one that is gone or damaged holds nothing."""
    try:
        with as_stream(blocks) as stream:
            return any(_meant(line.decode(errors="replace"), scope, sources) for line in stream)
    except PhiqError as error:
        if error.transient:
            raise
        return False


def _meant(line: str, scope: Scope, sources: Sources) -> bool:
    if scope.job is not None:
        return f"batch_req_{scope.job}" in line
    if scope.subject is not None:
        return named(scope.subject, "subject", line)
    if scope.collection is not None and scope.source is None:
        return named(scope.collection, "collection", line)
    names = {name for _, name in sources} | ({scope.source} if scope.source else set())
    return any(named(name, "source", line) for name in names)


def _batches(batches: Batches, tenant: str) -> Iterator[BatchRecord]:
    after: str | None = None
    while page := batches.list(tenant, _PAGE, after):
        yield from page
        after = page[-1].id


def _files(batches: Batches, tenant: str) -> Iterator[FileRecord]:
    after: str | None = None
    while page := batches.files.list(tenant, _PAGE, after):
        yield from page
        after = page[-1].id
