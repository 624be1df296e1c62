"""Which jobs hold the words that are to go: those of the scope, and those that quote its documents."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from knowledge.errors import PhiqError
from workers.erase.scope import Scope
from workers.ledger import Ledger
from workers.ledger.scripts import redis_errors

Sources = frozenset[tuple[str, str]]
"""Documents, each as its collection and its name there."""

_FIELDS = ("kind", "job", "result", "job_ref", "result_ref")


def jobs_of(ledger: Ledger, scope: Scope, sources: Sources) -> Iterator[str]:
    """The ids of the jobs that are meant, in no order.

    Args:
        ledger: The jobs.
        scope: What is meant.
        sources: Documents that go: the answers that quote them hold their words too.
    """
    if scope.job is not None:
        own: set[str] = {scope.job} & set(ledger.ids(scope.tenant))
    elif scope.whole or scope.subject is not None:
        own = set(ledger.ids(scope.tenant, scope.subject))
    else:
        own = set()
    yield from own
    if scope.whole or not (sources or scope.source or scope.collection):
        return
    for job_id in ledger.ids(scope.tenant):
        if job_id not in own and _holds(ledger, job_id, scope, sources):
            yield job_id


def _holds(ledger: Ledger, job_id: str, scope: Scope, sources: Sources) -> bool:
    key = ledger.scripts.key
    client: Any = ledger.scripts.client
    with redis_errors():
        fields = dict(zip(_FIELDS, client.hmget(key("job", job_id), list(_FIELDS)), strict=True))
        points = client.hvals(key("checkpoints", job_id))
    job, result = _payload(ledger, fields, "job"), _payload(ledger, fields, "result")
    given = _loaded(job).get("input", {})
    if (scope.source or scope.collection) and scope.feeds(str(fields["kind"]), given):
        return True
    if fields["kind"] == "ingest":
        # What it only reports of is named, not quoted.
        collection = given.get("collection", "default")
        return any((collection, file.get("source")) in sources for file in given.get("files", []))
    texts = [result, *points]
    if scope.collection is not None and scope.source is None:
        return any(named(scope.collection, "collection", text) for text in texts)
    names = {name for _, name in sources} | ({scope.source} if scope.source else set())
    return any(named(name, "source", text) for text in texts for name in names)


def _payload(ledger: Ledger, fields: dict[str, Any], name: str) -> str:
    text = fields.get(name)
    if text or not fields.get(f"{name}_ref") or ledger.payloads is None:
        return text or ""
    try:
        return ledger.payloads.fetch(fields[f"{name}_ref"])
    except PhiqError:
        return ""  # what can't be read quotes nothing


def _loaded(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def named(value: str, field: str, text: str) -> bool:
    """Whether a field has this value somewhere in a JSON text, however it was written."""
    return any(
        f'"{field}":{space}{json.dumps(value, ensure_ascii=ascii_only)}' in text
        for space in ("", " ")
        for ascii_only in (True, False)
    )


def silent(ledger: Ledger, held_by: Mapping[str, Collection[str]], seconds: float) -> list[str]:
    """Those of the workers that have not said, within the last so many seconds, that they hold these jobs no more."""
    said = {info.name: info for info in ledger.workers() if info.seen_ago < seconds}
    return sorted(
        name for name, some in held_by.items() if name not in said or set(some).intersection(said[name].running)
    )
