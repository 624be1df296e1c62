"""Batches in Redis: `phiq:batch:ID` and what stands beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from agents.contract import Usage
from workers.batches import scripts
from workers.batches.errors import BatchEnded, BatchInvalid, BatchNotFound
from workers.batches.files import Files
from workers.batches.records import BatchRecord, BatchState, LineProblem, is_batch_id, new_batch_id
from workers.ledger.scripts import redis_errors

if TYPE_CHECKING:
    from workers.ledger import Ledger
    from workers.settings import Settings

_Records = list[BatchRecord]  # inside the class `list` is the method
_TEXTS = ("name", "endpoint", "model", "output_file", "error_file", "origin", "key", "webhook")
_AT_ONCE = 100


class Batches:
    """Batches of all tenants; each method takes whose. Safe between threads.

    Every method raises `RedisUnavailable` when Redis does not answer.
    """

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self.ledger = ledger
        self.settings = settings
        self._client: Any = ledger.scripts.client
        self._prefix = ledger.scripts.prefix

    @cached_property
    def files(self) -> Files:
        """The tenants' files."""
        return Files(self.ledger, self.settings)

    def create(
        self,
        tenant: str,
        input_file: str,
        *,
        expires_in: float = 86400.0,
        batch_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
        task: Mapping[str, Any] | None = None,
        **texts: str | None,
    ) -> BatchRecord:
        """Start a batch over a file of lines.

        Args:
            tenant: Whose.
            input_file: The id of a file of theirs.
            expires_in: Seconds until it ends with what it has.
            batch_id: An id of the caller's own making, with which asking twice is one batch.
            metadata: The caller's own.
            task: Of a batch over documents: what goes where.
            **texts: ``name``, ``endpoint``, ``model``, ``origin``, ``key``, ``webhook``.

        Raises:
            FileNotFound: no file of the tenant has the id.
            BatchInvalid: ``batch_id`` is none, or another tenant's.
            StorageFull: Redis takes no more; nothing was accepted.
        """
        batch_id = batch_id or new_batch_id()
        if not is_batch_id(batch_id):
            raise BatchInvalid(f"'{batch_id[:48]}' is no id for a batch.", hint="Use batch_ and 32 hex digits.")
        read = self.files.get(input_file, tenant)
        fields = {"input_file": input_file, "input_ref": read.ref, "metadata": json.dumps(dict(metadata or {}))}
        fields |= {name: text for name, text in texts.items() if text}
        if task is not None:
            fields["task"] = json.dumps(task)
        flat = [part for pair in fields.items() for part in pair]
        self.run(scripts.CREATE, batch_id, tenant, round(expires_in * 1000), *flat)
        return self.get(batch_id, tenant)

    def get(self, batch_id: str, tenant: str) -> BatchRecord:
        """A batch as it is now.

        Raises:
            BatchNotFound: no batch of this tenant has the id.
        """
        fields: Any = {}
        if is_batch_id(batch_id):
            with redis_errors():
                fields = self._client.hgetall(self.key(batch_id))
        if fields.get("tenant") != tenant or "id" not in fields:
            raise not_found(batch_id)
        return to_record(fields)

    def list(self, tenant: str, limit: int = 20, after: str | None = None) -> _Records:
        """The batches of a tenant, the latest first; ``after`` pages on from a batch's id.

        Raises:
            BatchNotFound: ``after`` is no batch of this tenant.
        """
        index, start = self.key("of", tenant), 0
        found: _Records = []
        with redis_errors():
            if after is not None:
                place: Any = self._client.zrevrank(index, after)
                if place is None:
                    raise not_found(after)
                start = int(place) + 1
            while len(found) < limit:
                ids: Any = self._client.zrevrange(index, start, start + _AT_ONCE - 1)
                if not ids:
                    break
                pipe = self._client.pipeline(transaction=False)
                for batch_id in ids:
                    pipe.hgetall(self.key(batch_id))
                read = pipe.execute()
                gone = [batch_id for batch_id, fields in zip(ids, read, strict=True) if not fields]
                if gone:
                    self._client.zrem(index, *gone)
                start += len(ids) - len(gone)
                found += [to_record(fields) for fields in read if fields]
        return found[:limit]

    def cancel(self, batch_id: str, tenant: str) -> BatchRecord:
        """Let no more lines start and end those that run; what is done is kept.

        Raises:
            BatchNotFound: no batch of this tenant has the id.
            BatchEnded: it has ended, or is about to.
        """
        state = self.run(scripts.CANCEL, batch_id, tenant) if is_batch_id(batch_id) else None
        if state is None:
            raise not_found(batch_id)
        if state not in (BatchState.VALIDATING, BatchState.IN_PROGRESS, BatchState.CANCELLING):
            raise BatchEnded(
                f"{batch_id} is {state}; there is nothing to cancel.",
                hint=f"phiq batch show {batch_id}",
                subject=batch_id,
            )
        return self.get(batch_id, tenant)

    def forget(self, batch_id: str, tenant: str) -> bool:
        """Delete a batch and all that stands beside it, whatever its state; returns whether there was one.

        Its files and jobs are others' to delete.
        """
        return bool(is_batch_id(batch_id) and self.run(scripts.FORGET, batch_id, tenant))

    def blocks(self, batch: BatchRecord, kind: Literal["output", "errors"]) -> Iterator[bytes]:
        """What was written of a batch so far, in blocks: its file when it has ended, else its parts in their order."""
        if batch.state.final:
            file_id = batch.output_file if kind == "output" else batch.error_file
            if file_id is not None:
                yield from self.files.blocks(file_id, batch.tenant)
            return
        with redis_errors():
            parts: dict[str, str] = self._client.hgetall(self.key("parts", batch.id))
        for number in sorted(parts, key=int):
            if ref := json.loads(parts[number])[kind]:
                yield from self.files.store.blocks(ref)

    def open_ids(self) -> _Ids:
        """The batches that have not ended, of all tenants."""
        with redis_errors():
            return sorted(self._client.smembers(self.key("open")))

    def key(self, *parts: str) -> str:
        """A key of ours."""
        return self._prefix + "batch:" + ":".join(parts)

    def run(self, script: str, *args: str | float) -> Any:
        """Run one of `workers.batches.scripts`."""
        return scripts.run(self._client, self._prefix, script, *args)

    def now(self) -> float:
        """Redis' time, in seconds since 1970."""
        with redis_errors():
            seconds, micros = self._client.time()
        return float(seconds) + float(micros) / 1e6


_Ids = list[str]


def to_record(fields: Mapping[str, str]) -> BatchRecord:
    """The record in a batch's hash."""
    return BatchRecord(
        id=fields["id"],
        tenant=fields["tenant"],
        state=BatchState(fields["state"]),
        input_file=fields["input_file"],
        created_at=_when(fields, "created") or datetime.now(UTC),
        started_at=_when(fields, "started"),
        finalizing_at=_when(fields, "finalizing"),
        cancelling_at=_when(fields, "cancelling"),
        finished_at=_when(fields, "finished"),
        expires_at=_when(fields, "expires") or datetime.now(UTC),
        total=int(fields.get("total", 0)),
        completed=int(fields.get("completed", 0)) + int(fields.get("live_completed", 0)),
        failed=int(fields.get("failed", 0)) + int(fields.get("live_failed", 0)),
        usage=Usage(
            prompt_tokens=int(fields.get("prompt_tokens", 0)), completion_tokens=int(fields.get("completion_tokens", 0))
        ),
        seconds=int(fields.get("milliseconds", 0)) / 1000,
        errors=[LineProblem.model_validate(one) for one in json.loads(fields.get("errors") or "[]")],
        metadata=json.loads(fields.get("metadata") or "{}"),
        task=json.loads(fields["task"]) if "task" in fields else None,
        **{name: fields[name] for name in _TEXTS if fields.get(name)},
    )


def not_found(batch_id: str) -> BatchNotFound:
    """The error for an id that is no batch of the tenant's."""
    return BatchNotFound(
        f"There is no batch {batch_id[:64]}, or it has expired.", hint="phiq batch list", subject=batch_id[:64]
    )


def _when(fields: Mapping[str, str], name: str) -> datetime | None:
    value = fields.get(name)
    return None if not value else datetime.fromtimestamp(float(value) / 1000, UTC)
