"""Who uploaded what over HTTP: a job may refer to a file only where its tenant has put it there.

References are hashes of contents: without this, whoever knows a file's hash could have it described to him.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from workers.errors import ContentMissing
from workers.ledger.scripts import redis_errors
from workers.payloads import attachments
from workers.sweep import GRACE

if TYPE_CHECKING:
    from workers.ledger import Ledger

KEPT = round(GRACE)
"""Seconds that an upload may be used in new jobs, from the upload or its last use."""


class Uploads:
    """What tenants have uploaded. Kept in Redis: ``PREFIX:upload:TENANT:…``, each for its time.

    All methods raise `RedisUnavailable` when Redis does not answer.

    Args:
        ledger: Whose Redis.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._scripts = ledger.scripts

    def note(self, tenant: str, ref: str) -> None:
        """Remember that a tenant has put a file into the content store."""
        client: Any = self._scripts.client
        with redis_errors():
            client.set(self._key(tenant, ref), "1", ex=KEPT)

    def check(self, tenant: str, kind: str, job: Mapping[str, Any]) -> None:
        """Nothing where the tenant has uploaded all that a job refers to.

        Args:
            tenant: Whose.
            kind: Of the job.
            job: As JSON, with its ``input``.

        Raises:
            ContentMissing: it has not; in the words for what was never there.
        """
        for ref in sorted(self.foreign(tenant, attachments(kind, job))):
            raise ContentMissing(
                f"{ref[:19]}… is not in the content store.",
                hint="Upload the file first (POST /v1/attachments), and use it within a day.",
                subject=ref[:80],
            )

    def foreign(self, tenant: str, refs: Iterable[str]) -> set[str]:
        """Those of some references that the tenant has not uploaded; the others are kept for another while."""
        asked = list(refs)
        if not asked:
            return set()
        client: Any = self._scripts.client
        with redis_errors():
            pipe = client.pipeline(transaction=False)
            for ref in asked:
                pipe.expire(self._key(tenant, ref), KEPT)
            return {ref for ref, there in zip(asked, pipe.execute(), strict=True) if not there}

    def forget(self, tenant: str) -> None:
        """Forget all that is remembered of a tenant."""
        client: Any = self._scripts.client
        with redis_errors():
            for key in client.scan_iter(match=self._scripts.key("upload", tenant, "*"), count=1000):
                client.delete(key)

    def note_document(self, tenant: str, collection: str, source: str, job_id: str, seconds: float) -> None:
        """Remember which job takes a document in."""
        client: Any = self._scripts.client
        with redis_errors():
            client.set(self._document(tenant, collection, source), job_id, ex=max(1, round(seconds)))

    def document_job(self, tenant: str, collection: str, source: str) -> str | None:
        """The job that took a document in last, as far as that is remembered."""
        client: Any = self._scripts.client
        with redis_errors():
            found = client.get(self._document(tenant, collection, source))
        return None if found is None else str(found)

    def _key(self, tenant: str, ref: str) -> str:
        # Hashed: what people send as a reference may be anything.
        return self._scripts.key("upload", tenant, hashlib.sha256(ref.encode("utf-8", "replace")).hexdigest())

    def _document(self, tenant: str, collection: str, source: str) -> str:
        both = json.dumps([collection, source]).encode()
        return self._scripts.key("upload", tenant, f"document-{hashlib.sha256(both).hexdigest()}")
