"""Starting a batch over documents, and bringing its results to their file."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from knowledge.errors import PhiqError
from workers.batches import documents
from workers.batches.errors import BatchInvalid, BatchNotFound
from workers.batches.manifest import Manifest, replace
from workers.batches.records import BatchRecord, is_batch_id, new_batch_id
from workers.batches.rows import Row, format_of, row_of, write
from workers.batches.spec import BatchSpec
from workers.batches.store import Batches
from workers.batches.stream import as_stream

if TYPE_CHECKING:
    from workers.service import Service
    from workers.settings import Settings

T = TypeVar("T")


def start(
    service: Service,
    spec: BatchSpec,
    *,
    batch_id: str | None = None,
    deliver: bool = True,
    settings: Settings | None = None,
) -> BatchRecord:
    """Start a batch over documents; workers do the rest.

    Where a batch for the same file of results is under way already, that one is returned. One with nothing new to do
    ends at once, with no lines.

    Args:
        service: Where.
        spec: What.
        batch_id: An id of the caller's own making (``batch_`` and 32 hex digits), with which asking twice is one batch.
        deliver: Whether a worker writes ``spec.to`` when the batch ends; it must see this machine's files. Else the
            caller does, with `collect`.
        settings: For what is read here; None: the service's.

    Raises:
        BatchInvalid: nothing to work on, or the file of results can't be written.
        JobInvalid: the task can't be done to documents.
        DocumentUnreadable: a path stands for nothing.
        WebhookNotFound: the tenant has no endpoint of that name.
        RedisUnavailable, StorageFull, ContentUnavailable: nothing was accepted.
    """
    settings = settings or service.settings
    if batch_id is not None:
        if not is_batch_id(batch_id):
            raise BatchInvalid(f"'{batch_id[:48]}' is no id for a batch.", hint="Use batch_ and 32 hex digits.")
        try:
            return service.batches.get(batch_id, spec.tenant)
        except BatchNotFound:
            pass
    documents.check(spec.task)
    if spec.webhook is not None:
        service.webhooks.get(spec.tenant, spec.webhook)
    out = None if spec.to is None else Path(spec.to).absolute()
    form = None if out is None else format_of(out, spec.format)
    found = documents.gather(spec.paths, spec.task)
    mark = documents.fingerprint(spec.task)
    fresh, manifest = found, None
    if out is not None:
        manifest = Manifest.load(out)
        if manifest.batch is not None and (under_way := _earlier(service, manifest, spec)):
            return under_way
        fresh = manifest.fresh(found, mark)
    if len(fresh) > settings.batch_lines:
        raise BatchInvalid(
            f"There are {len(fresh):,} documents; a batch has {settings.batch_lines:,} at most.",
            hint="Split them, or raise PHIQ_BATCH_LINES.",
        )
    pieces = documents.lines(fresh, spec.task, service.attach, settings.max_file_bytes)
    files = service.batches.files
    file = files.put(as_stream(pieces), "documents.jsonl", spec.tenant, limit=1 << 62)
    batch_id = batch_id or new_batch_id()
    if manifest is not None:
        manifest.begin(found, fresh, mark, batch_id)
    task: dict[str, Any] = {"kind": spec.task.kind, "paths": spec.paths, "documents": len(found)}
    if out is not None:
        task |= {"to": str(out), "format": form, "deliver": deliver}
    made = service.batches.create(
        spec.tenant,
        file.id,
        expires_in=spec.expires_in,
        batch_id=batch_id,
        metadata=spec.metadata,
        task=task,
        name=spec.name,
        origin=spec.origin,
        key=spec.key,
        webhook=spec.webhook,
    )
    if manifest is not None and made.id != batch_id:  # over HTTP the other side has the say
        manifest.begin(found, fresh, mark, made.id)
    return made


def collect(batches: Batches, batch: BatchRecord, out: Path | None = None, given: str | None = None) -> int:
    """Bring the results of a batch to its file; returns how many rows that has. Doing it twice is harmless.

    Args:
        batches: Where it is.
        batch: Which; it has ended.
        out: The file; None: the one it was started with.
        given: The format; None: as it was started with, or by the file's ending.

    Raises:
        BatchInvalid: the file can't be written.
        FileNotFound: the results were deleted.
    """
    task = batch.task or {}
    out = Path(str(task["to"])) if out is None else out
    manifest = Manifest.load(out)
    if manifest.batch != batch.id:
        return len(manifest.done)  # collected already, or another batch is at it
    return manifest.end(rows(batches, batch), format_of(out, given or task.get("format")))


def export(batches: Batches, batch: BatchRecord, out: Path, given: str | None = None) -> int:
    """Write the results of a batch to a file of their own, without a manifest; returns how many lines it has.

    JSON lines are written as they are, those without an answer to a file of their own beside it; tables and pages
    have a row for each.

    Raises:
        BatchInvalid: the file can't be written.
    """
    form, count = format_of(out, given), 0
    if form != "jsonl":
        some = list[int]()
        replace(out, lambda stream: write(_counted(rows(batches, batch), some), stream, form))
        return len(some)
    for kind, path in (("output", out), ("errors", out.with_name(f"{out.stem}.errors{out.suffix}"))):
        with as_stream(batches.blocks(batch, "output" if kind == "output" else "errors")) as lines:
            first = lines.readline()
            if first or kind == "output":
                found = list[int]()
                whole = _counted(itertools.chain([first] if first else [], lines), found)
                replace(path, partial(_fill, whole))
                count += len(found)
    return count


def _fill(lines: Iterable[bytes], stream: IO[str]) -> None:
    stream.writelines(line.decode() for line in lines)


def _counted(items: Iterable[T], into: list[int]) -> Iterator[T]:
    for item in items:
        into.append(1)
        yield item


def rows(batches: Batches, batch: BatchRecord) -> Iterator[Row]:
    """The results of a batch as rows: those with an answer first."""
    for kind in ("output", "errors"):
        with as_stream(batches.blocks(batch, kind)) as stream:
            for line in stream:
                yield row_of(json.loads(line))


def _earlier(service: Service, manifest: Manifest, spec: BatchSpec) -> BatchRecord | None:
    """The batch that the manifest waits for, if it still runs; what it has done is collected."""
    assert manifest.batch is not None
    try:
        batch = service.batches.get(manifest.batch, spec.tenant)
        if not batch.state.final:
            return batch
        collect(service.batches, batch, manifest.out)
        again = Manifest.load(manifest.out)
        manifest.task, manifest.batch, manifest.done, manifest.due = again.task, again.batch, again.done, again.due
    except PhiqError as error:
        if error.fault != "user":
            raise
    return None
