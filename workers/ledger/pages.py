"""Lists of a tenant's jobs in pages, the latest first; also of those few that a filter leaves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from workers.jobs import JobRecord, State
from workers.ledger import records
from workers.ledger.letters import not_found, read_light
from workers.ledger.scripts import Scripts, redis_errors

_AT_ONCE = 100


@dataclass(frozen=True)
class JobFilter:
    """Which jobs are meant; None and empty: all.

    Attributes:
        states: In one of these.
        kind: Of this kind.
        model: Run, or to be run, on this engine URI.
        lane: Of this lane.
        subject: About this subject.
        key: Submitted with the API key of this id.
        since: Submitted then or later.
        until: Submitted before then.
    """

    states: frozenset[State] = frozenset()
    kind: str | None = None
    model: str | None = None
    lane: str | None = None
    subject: str | None = None
    key: str | None = None
    since: datetime | None = None
    until: datetime | None = None

    def has(self, fields: Mapping[str, str | None]) -> bool:
        """Whether a job is one of them, by its hash's fields."""
        named = (
            (self.kind, "kind"),
            (self.model, "model"),
            (self.lane, "lane"),
            (self.subject, "subject"),
            (self.key, "key"),
        )
        return (
            all(wanted in (None, fields[name]) for wanted, name in named)
            and (not self.states or fields["state"] in self.states)
            and not self.too_early(fields)
            and (self.until is None or float(fields["submitted"] or 0) < self.until.timestamp() * 1000)
        )

    def too_early(self, fields: Mapping[str, str | None]) -> bool:
        """Whether it was submitted before those that are meant, as all that follow it in a list."""
        return self.since is not None and float(fields["submitted"] or 0) < self.since.timestamp() * 1000


@dataclass(frozen=True)
class JobList:
    """Some jobs, without contents, results and attempts; ``next``: the id to go on before, None at the end."""

    jobs: list[JobRecord]
    next: str | None


def page(
    scripts: Scripts, tenant: str, wanted: JobFilter, limit: int, before: str | None = None, look: int | None = None
) -> JobList:
    """A page.

    Args:
        scripts: Where the jobs are.
        tenant: Whose.
        wanted: Which.
        limit: At most this many.
        before: Only jobs submitted before the one with this id.
        look: Look at about so many jobs at most: the page may then be short, or empty, and still have a next one.

    Raises:
        JobNotFound: ``before`` is no job of this tenant.
    """
    index = scripts.key("jobs", tenant)
    found: list[JobRecord] = []
    seen: set[str] = set()
    looked, last = 0, before
    # Without a filter the page and the one after it are all that need be read.
    at_once = min(_AT_ONCE, limit + 1) if wanted == JobFilter() else _AT_ONCE
    with redis_errors():
        start = 0
        if before is not None:
            place: Any = scripts.client.zrevrank(index, before)
            if place is None:
                raise not_found(before)
            start = int(place) + 1
        while look is None or looked < look:
            ids: Any = scripts.client.zrevrange(index, start + looked, start + looked + at_once - 1)
            for fields, job_id in zip(read_light(scripts, ids), ids, strict=True):
                if len(found) == limit:
                    return JobList(found, last)
                looked, last = looked + 1, str(job_id)
                # What expired by policy is still in the index until the next sweep, and what is submitted meanwhile
                # pushes what was seen already on.
                if fields["id"] is None or job_id in seen:
                    continue
                seen.add(str(job_id))
                if wanted.too_early(fields):
                    return JobList(found, None)
                if wanted.has(fields):
                    found.append(records.to_record(fields))
            if len(ids) < at_once:
                return JobList(found, None)
    return JobList(found, last)
