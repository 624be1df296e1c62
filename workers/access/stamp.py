"""What a job takes from who submits it: tenant and key; and which jobs a key may submit at all.

`asking` is set by the front door for the length of a request, and every job submitted within it is looked at here:
no route can forget to. Workers, the command line on Redis and Celery users submit for nobody, and are not limited.
"""

from __future__ import annotations

from contextvars import ContextVar

from knowledge.errors import CollectionNotFound
from workers.access.principal import Principal, ScopeMissing
from workers.jobs import Job

asking: ContextVar[Principal | None] = ContextVar("phiq_asking", default=None)
PUBLISHABLE_KINDS = ("chat", "search")
_PUBLISHABLE_FIELDS = frozenset(
    {"kind", "input", "options", "tenant", "expires_in", "deadline", "idempotency_key", "metadata"}
)
"""No model of the page's choice, no webhook, nothing that waits for days."""


def stamped(job: Job) -> Job:
    """The job with the tenant and the key of who asks; as it is when nobody does.

    Raises:
        ScopeMissing: the key may not submit such a job.
        CollectionNotFound: it names a collection that this key may not use.
    """
    who = asking.get()
    if who is None:
        return job
    if job.tenant != who.tenant and "tenant" in job.model_fields_set and not who.may("admin"):
        raise ScopeMissing(
            "This key may not submit jobs for another tenant.", hint="Leave the field tenant out.", subject=job.tenant
        )
    if job.kind == "ingest" and not who.may("documents:write"):
        raise ScopeMissing(
            "This key may not put documents into collections: it lacks the scope documents:write.",
            hint="Ask for a key with the scope documents:write.",
            subject=who.key_id or "",
            scope="documents:write",
        )
    if who.origin_limited:
        _for_pages(job)
    if who.collections is not None:
        _in_collections(job, who)
    changes = {"tenant": job.tenant if "tenant" in job.model_fields_set else who.tenant, "key": who.key_id}
    if who.origin_limited and job.idempotency_key:
        # Or a page could ask which keys the tenant's own programs have used.
        changes["idempotency_key"] = f"{who.key_id}:{job.idempotency_key}"[:255]
    return job.model_copy(update=changes)


def collection_allowed(who: Principal, collection: str) -> None:
    """Nothing when the key may use the collection.

    Raises:
        CollectionNotFound: as for one that does not exist.
    """
    if who.collections is not None and collection not in who.collections:
        raise CollectionNotFound(
            f"There is no collection '{collection[:200]}'.", hint="GET /v1/collections lists yours.", subject=collection
        )


def _for_pages(job: Job) -> None:
    strange = sorted(job.model_fields_set - _PUBLISHABLE_FIELDS)
    if job.kind in PUBLISHABLE_KINDS and not strange:
        return
    what = f"the field {strange[0]}" if job.kind in PUBLISHABLE_KINDS else f"{job.kind} jobs"
    raise ScopeMissing(
        f"A publishable key may submit {' and '.join(PUBLISHABLE_KINDS)} jobs, not {what}.",
        hint="Use a secret key (phiq_sk_…) on a server.",
        scope="jobs:write",
    )


def _in_collections(job: Job, who: Principal) -> None:
    if job.kind in ("chat", "search", "ingest"):
        collection = getattr(job.input, "collection", None)
        if collection is None and who.origin_limited:
            # A chat without documents would be a free model for everybody who can read the page.
            raise ScopeMissing(
                "A publishable key answers from its collection only.",
                hint=f"Name it: collection = {', '.join(sorted(who.collections or ()))}",
                scope="jobs:write",
            )
        if collection is not None:
            collection_allowed(who, str(collection))
