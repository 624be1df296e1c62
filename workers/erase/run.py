"""Erasing, step by step; interrupted anywhere, the same command again does the rest."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from knowledge.errors import PhiqError
from workers.access.access import Access
from workers.access.audit import Audit
from workers.backup.make import OnProgress, quiet
from workers.backup.servers import Servers, servers
from workers.batches.store import Batches
from workers.erase import broker, disk, documents, find
from workers.erase.batches import find_batches, job_ids
from workers.erase.batches import refs as batch_refs_of
from workers.erase.find import Sources
from workers.erase.schedules import find_schedules
from workers.erase.scope import Scope
from workers.keeping_lock import keeping_lock, note
from workers.ledger.refs import installation, marked, of_job
from workers.ledger.scripts import redis_errors
from workers.schedules.refs import attached
from workers.schedules.store import Store
from workers.settings import Settings
from workers.uploads import Uploads
from workers.webhooks import keeping as webhooks

_ROUNDS = 10
_STOP_SECONDS = 20.0


@dataclass
class Erased:
    """What went (in a dry run: what would go), and what could not be reached."""

    dry_run: bool = False
    jobs: int = 0
    stopped: int = 0
    messages: int = 0
    schedules: int = 0
    batches: int = 0
    files: int = 0
    webhooks: int = 0
    keys: int = 0
    passages: int = 0
    collections: int = 0
    contents: int = 0
    unreachable: list[str] = field(default_factory=list)


def erase(settings: Settings, scope: Scope, *, dry_run: bool = False, on_progress: OnProgress | None = None) -> Erased:
    """Take out everything that is meant: messages, jobs with all they keep, documents, attachments, and their bytes.

    First what could bring words back is stopped, then documents and jobs go, then what they referred to, then the
    files are written anew. Each step looks for what is there by itself, so nothing is lost by stopping in between.

    Args:
        settings: Of the installation.
        scope: What is meant.
        dry_run: Only count.
        on_progress: Told how far it is.

    Raises:
        KeepingBusy: a backup or another erase is under way.
        RedisUnavailable, StoreUnavailable, ContentUnavailable: one of the three does not answer; repeat the command.
    """
    tell = on_progress or quiet
    done = Erased(dry_run=dry_run)
    with servers(settings) as have:
        if dry_run:
            _count(have, scope, done)
            return done
        with keeping_lock(have.client, settings.key_prefix):
            _Run(have, scope, done, tell).go()
            # Without the words that were to go: a subject or a document's name may be a person's.
            outcome = "partly" if done.unreachable else "done"
            Audit(have.client, settings.key_prefix).did("erase", scope.kind, tenant=scope.tenant, outcome=outcome)
    return done


def _count(have: Servers, scope: Scope, done: Erased) -> None:
    settings = have.settings
    done.messages = broker.erase_messages(have.client, settings.key_prefix, scope, settings.tenant, dry_run=True)
    done.schedules = len(find_schedules(Store(have.client, settings.key_prefix), scope))
    sources = _brought(have, scope)
    for meant in documents.find(have.keep, scope, sources):
        done.passages += len(meant.ids)
        done.collections += meant.whole
        sources |= {(meant.kept.collection, name) for name in meant.sources}
    done.keys = len(Access(have.client, settings.key_prefix).keys.list(scope.tenant)) if scope.whole else 0
    batches = Batches(have.ledger, settings)
    held = find_batches(batches, scope, sources)
    done.batches, done.files = len(held.batches), len(held.files)
    refs = batch_refs_of(batches, held)
    ids = set(find.jobs_of(have.ledger, scope, sources)) | set(job_ids(batches, held, scope.tenant))
    done.webhooks = webhooks.erase(have.ledger, scope.tenant, _told(scope, ids), dry_run=True)
    for job_id in ids:
        done.jobs += 1
        done.stopped += not have.ledger.get(job_id, scope.tenant).state.final
        refs |= of_job(have.ledger.scripts, have.payloads, job_id)
    if refs:
        beside = frozenset(ids) | {one.id for one in held.batches} | {one.id for one in held.files}
        done.contents = len(refs - marked(have.ledger.scripts, have.payloads, beside))


def _told(scope: Scope, ids: Collection[str]) -> Collection[str] | None:
    """The jobs whose deliveries go; None: all of the tenant. A job that is gone may have some left."""
    return None if scope.whole else {*ids, *([scope.job] if scope.job else [])}


def _brought(have: Servers, scope: Scope) -> Sources:
    """The documents that a job brought in, when one job is meant."""
    if scope.job is None:
        return frozenset()
    try:
        record = have.ledger.get(scope.job, scope.tenant)
    except PhiqError:
        return frozenset()
    given = record.job.get("input", {})
    if record.kind != "ingest":
        return frozenset()
    return frozenset((str(given.get("collection", "default")), str(file["source"])) for file in given.get("files", []))


class _Run:
    """One erase. What jobs refer to, and the documents they quote, is noted in Redis before either goes.

    So the next run finds the rest when this one is interrupted; the notes go with the last step.
    """

    def __init__(self, have: Servers, scope: Scope, done: Erased, tell: OnProgress) -> None:
        self._have = have
        self._scope = scope
        self._done = done
        self._tell = tell
        self._client: Any = have.client
        self._prefix = have.settings.key_prefix
        self._note = have.ledger.scripts.key("keeping", "erase", scope.key)
        self._quoted = f"{self._note}:documents"
        self._held_by: dict[str, set[str]] = {}

    def go(self) -> None:
        """All steps."""
        self._remember(_brought(self._have, self._scope))
        for _ in range(_ROUNDS):
            # Again until nothing is found: a job may be submitted, or taken from the broker, meanwhile.
            messages = broker.erase_messages(
                self._client, self._prefix, self._scope, self._have.settings.tenant, dry_run=False
            )
            self._done.messages += messages
            schedules = self._schedules()
            batches = self._batches()
            if not self._round() and not messages and not schedules and not batches:
                break
        if self._scope.whole:
            Uploads(self._have.ledger).forget(self._scope.tenant)
            self._done.keys = Access(self._client, self._prefix).forget(self._scope.tenant)
        self._contents()
        self._await_workers()
        with redis_errors():
            if not self._done.unreachable:
                self._client.delete(self._quoted)
        self._disk()

    def _schedules(self) -> int:
        store = Store(self._client, self._prefix)
        found = find_schedules(store, self._scope)
        for one in found:
            note(self._client, self._prefix, self._note, attached(one))
            self._done.schedules += store.remove(one.tenant, one.name, one.uid)
        return len(found)

    def _batches(self) -> int:
        """After their records the jobs of their lines: nobody submits more of them then."""
        batches = Batches(self._have.ledger, self._have.settings)
        held = find_batches(batches, self._scope, self._remembered())
        ids = job_ids(batches, held, self._scope.tenant)
        note(self._client, self._prefix, self._note, sorted(batch_refs_of(batches, held)))
        for batch in held.batches:
            self._done.batches += batches.forget(batch.id, batch.tenant)
        for file in held.files:
            self._done.files += batches.files.forget(file.id, file.tenant)
        self._stop(ids)
        self._forget(ids)
        return len(held.batches) + len(held.files)

    def _forget(self, ids: list[str]) -> None:
        for done, job_id in enumerate(ids, 1):
            refs = of_job(self._have.ledger.scripts, self._have.payloads, job_id)
            note(self._client, self._prefix, self._note, sorted(refs))
            self._done.jobs += self._have.ledger.forget(job_id, self._scope.tenant)
            self._tell("jobs", done, len(ids))

    def _remember(self, sources: Iterable[tuple[str, str]]) -> None:
        note(self._client, self._prefix, self._quoted, [json.dumps(one) for one in sources])

    def _remembered(self) -> Sources:
        with redis_errors():
            return frozenset((str(one[0]), str(one[1])) for one in map(json.loads, self._client.smembers(self._quoted)))

    def _round(self) -> bool:
        """Everything that is there now; returns whether there was anything."""
        brought = self._remembered() if self._scope.job is not None else frozenset()
        meant = documents.find(self._have.keep, self._scope, brought)
        self._remember((one.kept.collection, name) for one in meant for name in one.sources)
        ids = list(find.jobs_of(self._have.ledger, self._scope, self._remembered()))
        self._stop(ids)
        self._done.webhooks += webhooks.erase(self._have.ledger, self._scope.tenant, _told(self._scope, ids))
        progress = False
        for done, one in enumerate(meant, 1):
            problem = documents.delete(self._have.keep, self._client, self._prefix, one)
            if problem:
                if problem not in self._done.unreachable:
                    self._done.unreachable.append(problem)
                continue
            progress = True
            self._done.passages += len(one.ids)
            self._done.collections += one.whole
            self._tell("documents", done, len(meant))
        self._forget(ids)
        return progress or bool(ids)

    def _stop(self, ids: list[str]) -> None:
        """Cancel what waits or runs, and give the running ones time to end: they could write documents still."""
        ledger, tenant = self._have.ledger, self._scope.tenant
        waited_for: dict[str, str] = {}
        for job_id in ids:
            try:
                if ledger.get(job_id, tenant).state.final:
                    continue
                self._done.stopped += 1
                record = ledger.cancel(job_id, tenant)
                if not record.state.final and record.attempts:
                    waited_for[job_id] = record.attempts[-1].worker
            except PhiqError as error:
                if error.code != "job_not_found":
                    raise
        _until(lambda: not any(self._runs(one) for one in waited_for), _STOP_SECONDS)

        for job_id, worker in waited_for.items():
            if self._runs(job_id):
                self._held_by.setdefault(worker, set()).add(job_id)

    def _runs(self, job_id: str) -> bool:
        with redis_errors():
            return bool(self._client.hget(self._have.ledger.scripts.key("job", job_id), "state") == "running")

    def _contents(self) -> None:
        with redis_errors():
            refs: set[str] = set(self._client.smembers(self._note))
        if not refs:
            return
        store = self._have.payloads.store
        mine = installation(self._have.ledger.scripts)
        others = [name for name in store.installations() if name != mine]
        if others:
            self._done.unreachable.append(
                f"{len(refs)} files in the content store: {len(others)} other installations use it and may need them"
            )
            return
        used = marked(self._have.ledger.scripts, self._have.payloads)
        for done, ref in enumerate(sorted(refs), 1):
            if ref not in used:
                self._done.contents += store.delete(ref)
            self._tell("content store", done, len(refs))
        with redis_errors():
            self._client.delete(self._note)

    def _await_workers(self) -> None:
        """A holder that did not stop is refused with its next write; until then it has the words in memory."""
        ledger = self._have.ledger
        began = time.monotonic()

        def silent() -> list[str]:
            # Only what a worker says from now on counts: a frozen one says nothing.
            return find.silent(ledger, self._held_by, time.monotonic() - began)

        _until(lambda: not silent(), _STOP_SECONDS)
        for name in silent():
            self._done.unreachable.append(
                f"worker {name} has {len(self._held_by[name])} of the jobs in memory and does not say that it let go; "
                "what it writes is refused. End it if it hangs, then repeat the command"
            )

    def _disk(self) -> None:
        self._tell("rewriting files", 0, 2)
        self._done.unreachable += disk.rewrite_redis(self._client, self._have.redis_here)
        self._tell("rewriting files", 1, 2)
        url = self._have.settings.chroma_url or ""
        self._done.unreachable += disk.compact_chroma(self._have.chroma_here, url)
        self._done.unreachable += disk.compact_words(self._have.keep)
        self._tell("rewriting files", 2, 2)


def _until(condition: Callable[[], bool], seconds: float) -> bool:
    limit = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > limit:
            return False
        time.sleep(0.1)
    return True
