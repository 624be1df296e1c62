"""The tenants' files: what batches read and what they write. Records in Redis, bytes in the content store."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import IO, TYPE_CHECKING, Any, Literal

from workers.batches import scripts
from workers.batches.errors import FileInUse, FileInvalid, FileNotFound, FileTooLarge
from workers.batches.records import FileRecord, is_file_id, new_file_id
from workers.errors import JobTooLarge
from workers.ledger.scripts import redis_errors

if TYPE_CHECKING:
    from workers.content import ContentStore
    from workers.ledger import Ledger
    from workers.settings import Settings

_Records = list[FileRecord]
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_AT_ONCE = 100


class Files:
    """Files of all tenants; each method takes whose. Safe between threads."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._client: Any = ledger.scripts.client
        self._prefix = ledger.scripts.prefix
        self._settings = settings
        self._payloads = ledger.payloads

    @property
    def store(self) -> ContentStore:
        """Where the bytes are."""
        from workers.payloads import Payloads

        return (self._payloads or Payloads.of(self._settings)).store

    def put(
        self,
        stream: bytes | IO[bytes],
        name: str,
        tenant: str,
        *,
        purpose: Literal["batch", "batch_output"] = "batch",
        file_id: str | None = None,
        keep: float | None = None,
        limit: int | None = None,
    ) -> FileRecord:
        """Take a file, reading it to its end or to the limit.

        Args:
            stream: Its bytes.
            name: What its owner calls it; only the last part of a path is kept.
            tenant: Whose.
            purpose: What it is for.
            file_id: An id of the caller's own making, with which asking twice is one file.
            keep: Seconds it is kept; None: as the settings say.
            limit: Bytes taken; None: as the settings say for the input of a batch, else any number.

        Raises:
            FileTooLarge: above the limit; nothing was kept.
            StorageFull, ContentUnavailable: there is no room, or the store does not answer.
        """
        name = plain_name(name)
        if limit is None:
            limit = self._settings.batch_bytes if purpose == "batch" else 1 << 62
        try:
            attached = self.store.put(stream, name, limit=limit)
        except JobTooLarge as error:
            raise FileTooLarge(
                f"{name} is larger than {limit:,} bytes.",
                hint="Split it into several batches, or raise PHIQ_BATCH_BYTES.",
                subject=name,
                limit=limit,
            ) from error
        file_id = file_id or new_file_id()
        seconds = self._settings.batch_ttl if keep is None else keep
        fields = ("name", name, "size", attached.size, "ref", attached.ref, "purpose", purpose)
        self._run(scripts.KEEP_FILE, file_id, tenant, round(seconds * 1000), *fields)
        return self.get(file_id, tenant)

    def get(self, file_id: str, tenant: str) -> FileRecord:
        """A file's record.

        Raises:
            FileNotFound: no file of this tenant has the id.
        """
        fields: Any = {}
        if is_file_id(file_id):
            with redis_errors():
                fields = self._client.hgetall(self._key("file", file_id))
        if fields.get("tenant") != tenant:
            raise not_found(file_id)
        return _to_record(fields)

    def list(
        self,
        tenant: str,
        limit: int = 100,
        after: str | None = None,
        purpose: str | None = None,
        oldest_first: bool = False,
    ) -> _Records:
        """The files of a tenant, the latest first; ``after`` pages on from a file's id.

        Raises:
            FileNotFound: ``after`` is no file of this tenant.
        """
        index, start = self._key("files", tenant), 0
        found: _Records = []
        rank, page = (
            (self._client.zrank, self._client.zrange)
            if oldest_first
            else (self._client.zrevrank, self._client.zrevrange)
        )
        with redis_errors():
            if after is not None:
                place: Any = rank(index, after)
                if place is None:
                    raise not_found(after)
                start = int(place) + 1
            while len(found) < limit:
                ids: Any = page(index, start, start + _AT_ONCE - 1)
                if not ids:
                    break
                pipe = self._client.pipeline(transaction=False)
                for file_id in ids:
                    pipe.hgetall(self._key("file", file_id))
                read = pipe.execute()
                gone = [file_id for file_id, fields in zip(ids, read, strict=True) if not fields]
                if gone:
                    self._client.zrem(index, *gone)
                start += len(ids) - len(gone)
                some = [_to_record(fields) for fields in read if fields]
                found += [one for one in some if purpose in (None, one.purpose)]
        return found[:limit]

    def blocks(self, file_id: str, tenant: str) -> Iterator[bytes]:
        """A file's bytes, in blocks.

        Raises:
            FileNotFound: no file of this tenant has the id.
            ContentMissing: its bytes are gone or damaged.
        """
        return self.store.blocks(self.get(file_id, tenant).ref)

    def delete(self, file_id: str, tenant: str) -> None:
        """Delete a file; its bytes go when nothing else refers to them.

        Raises:
            FileNotFound: no file of this tenant has the id.
            FileInUse: a batch that has not ended reads it.
        """
        self.get(file_id, tenant)
        with redis_errors():
            for batch_id in self._client.smembers(self._key("open")):
                if self._client.hget(self._key(batch_id), "input_file") == file_id:
                    raise FileInUse(
                        f"{file_id} is read by {batch_id}, which has not ended.",
                        hint=f"phiq batch cancel {batch_id}",
                        subject=file_id,
                    )
        self.forget(file_id, tenant)

    def forget(self, file_id: str, tenant: str) -> bool:
        """Delete a file's record, whoever reads it; returns whether there was one."""
        return bool(is_file_id(file_id) and self._run(scripts.DROP_FILE, file_id, tenant))

    def _key(self, *parts: str) -> str:
        return self._prefix + "batch:" + ":".join(parts)

    def _run(self, script: str, *args: str | float) -> Any:
        return scripts.run(self._client, self._prefix, script, *args)


def plain_name(name: str) -> str:
    """The last part of a file's name, without what could be a path or rewrite a terminal.

    Raises:
        FileInvalid: nothing is left of it.
    """
    last = _CONTROL.sub("", name.replace("\\", "/").rstrip("/").rpartition("/")[2]).strip()
    if last in ("", ".", ".."):
        raise FileInvalid("The file has no name.", hint="Give it one, such as requests.jsonl.")
    return last[:255]


def not_found(file_id: str) -> FileNotFound:
    """The error for an id that is no file of the tenant's."""
    return FileNotFound(
        f"There is no file {file_id[:64]}, or it has expired.", hint="phiq batch list", subject=file_id[:64]
    )


def _to_record(fields: Mapping[str, str]) -> FileRecord:
    def when(name: str) -> datetime | None:
        return datetime.fromtimestamp(float(fields[name]) / 1000, UTC) if fields.get(name) else None

    return FileRecord(
        id=fields["id"],
        tenant=fields["tenant"],
        name=fields["name"],
        size=int(fields["size"]),
        ref=fields["ref"],
        purpose="batch" if fields["purpose"] == "batch" else "batch_output",
        created_at=when("created") or datetime.now(UTC),
        expires_at=when("expires"),
    )
