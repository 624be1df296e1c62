"""Whose words are to go."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Any

from knowledge.errors import UserError


class ScopeInvalid(UserError):
    """Raised when it is not clear what is to be erased."""

    code = "scope_invalid"


@dataclass(frozen=True)
class Scope:
    """Exactly one of subject, job, source or collection, or none of them: then all of the tenant.

    Attributes:
        tenant: Whose jobs and documents are meant; nobody else's are touched.
        subject: The person, as named when the jobs were submitted.
        job: One job's id.
        source: A document, as named when it was ingested; with ``collection`` only the one there.
        collection: Alone: a whole collection.
    """

    tenant: str
    subject: str | None = None
    job: str | None = None
    source: str | None = None
    collection: str | None = None

    def __post_init__(self) -> None:
        named = [self.subject, self.job, self.source or self.collection]
        if sum(one is not None for one in named) > 1:
            raise ScopeInvalid(
                "It is not clear what is to be erased.",
                hint="Name one: --subject, --job, --source (with or without --collection), or --collection.",
            )

    @property
    def whole(self) -> bool:
        """Whether all of the tenant is meant."""
        return self.subject is self.job is self.source is self.collection is None

    @property
    def kind(self) -> str:
        """What is meant, without its name."""
        names = ("subject", "job", "source", "collection")
        return next((name for name in names if getattr(self, name) is not None), "tenant")

    @property
    def key(self) -> str:
        """A name for it that holds none of its words."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:32]

    def __str__(self) -> str:
        where = f" of tenant {self.tenant}"
        if self.whole:
            return f"everything{where}"
        if self.subject is not None:
            return f"everything of subject {self.subject}{where}"
        if self.job is not None:
            return f"job {self.job}{where}"
        if self.source is not None:
            inside = f" in collection {self.collection}" if self.collection else ""
            return f"the document {self.source}{inside}{where}"
        return f"collection {self.collection}{where}"

    def submits(self, job: dict[str, Any], job_id: str, default_tenant: str) -> bool:
        """Whether a job that was sent and not taken yet is meant, given as JSON."""
        if str(job.get("tenant", default_tenant)) != self.tenant:
            return False
        if self.whole:
            return True
        if self.subject is not None:
            return job.get("subject") == self.subject
        if self.job is not None:
            return job_id == self.job
        given = job.get("input")
        return isinstance(given, dict) and self.feeds(str(job.get("kind")), given)

    def feeds(self, kind: str, given: dict[str, Any]) -> bool:
        """Whether a job with this input works on the document or collection that is meant."""
        collection = given.get("collection", "default")
        if self.collection is not None and collection != self.collection:
            return False
        if self.source is None:
            return self.collection is not None and kind in ("chat", "search", "ingest")
        files = given.get("files") or []
        return kind == "ingest" and any(isinstance(one, dict) and one.get("source") == self.source for one in files)
