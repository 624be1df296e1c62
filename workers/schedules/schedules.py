"""Schedules as the command line and HTTP see them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from knowledge.errors import ServiceError
from workers.connections import default_model
from workers.errors import JobTooLarge, ScheduleExists, ScheduleInvalid, ScheduleNotFound
from workers.schedules import work
from workers.schedules.records import Firing, Schedule, ScheduleSpec, is_name, parse
from workers.schedules.refs import attached
from workers.schedules.store import MOST, Store

if TYPE_CHECKING:
    from workers.service import Service

_LARGEST = 262_144
_TIMES, _WORK = ("cron", "every", "at"), ("job", "batch")
_ROUNDS = 10

_Did = Literal[
    "schedule.add", "schedule.change", "schedule.pause", "schedule.resume", "schedule.run", "schedule.remove"
]
_Schedules = list[Schedule]  # inside the class `list` is the method


class Schedules:
    """A service's schedules. Methods that take a tenant use the settings' when none is given.

    All raise `RedisUnavailable` when Redis does not answer and `StorageFull` when it takes no more; those with a name
    raise `ScheduleNotFound`.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self.store = Store(service.ledger.scripts.client, service.settings.key_prefix)

    def add(
        self,
        name: str,
        spec: ScheduleSpec | Mapping[str, Any],
        tenant: str | None = None,
        *,
        paused: bool = False,
        key: str | None = None,
        remote: bool = False,
    ) -> Schedule:
        """Add a schedule; it is due from now on.

        Args:
            name: Of letters, digits and ``._@-``; one of a tenant's.
            spec: What is to be done when.
            tenant: Whose it is.
            paused: Whether it waits for `resume`.
            key: Id of the API key that asks for it.
            remote: It is asked for over HTTP.

        Raises:
            ScheduleInvalid: it can't be; ``details["field"]`` says why.
            ScheduleExists: the name is taken.
            JobInvalid, BatchInvalid, JobTooLarge, EngineUnknown, EngineRefused: its work can't be.
            WebhookNotFound: no endpoint of the tenant has this name.
            FolderRefused: over HTTP, a path that isn't below PHIQ_BATCH_ROOTS.
        """
        if not is_name(name):
            raise ScheduleInvalid(
                f"{name[:64]!r} is no name for a schedule.",
                hint="Use up to 64 letters, digits and . _ @ -, beginning with a letter or digit.",
                field="name",
            )
        made = spec if isinstance(spec, ScheduleSpec) else parse(ScheduleSpec, spec)
        now = self.store.now().replace(microsecond=0)
        schedule = Schedule(
            name=name,
            tenant=self._tenant(tenant),
            spec=made,
            paused=paused,
            created_at=now,
            updated_at=now,
            uid=secrets.token_hex(8),
            key=key,
            remote=remote,
        )
        schedule = self._checked(schedule, now)
        outcome = self.store.put(schedule, 0, secrets.token_hex(8), attached(schedule))
        if outcome == "exists":
            raise ScheduleExists(
                f"There is a schedule {name} already.",
                hint=f"Choose another name, or take it away first: phiq schedule remove {name}",
                subject=name,
            )
        if outcome == "many":
            raise ScheduleInvalid(f"A tenant has {MOST} schedules at most.", hint="Remove some.", subject=name)
        self._did("schedule.add", schedule)
        return schedule

    def get(self, name: str, tenant: str | None = None) -> Schedule:
        """One schedule."""
        found = self.store.get(self._tenant(tenant), name) if is_name(name) else None
        if found is None:
            raise ScheduleNotFound(
                f"There is no schedule {name[:64]!r}.", hint="phiq schedule list shows them.", subject=name[:64]
            )
        return found

    def list(self, tenant: str | None = None) -> _Schedules:
        """A tenant's schedules, by name."""
        return self.store.all_of(self._tenant(tenant))

    def change(
        self,
        name: str,
        changes: Mapping[str, Any],
        tenant: str | None = None,
        *,
        key: str | None = None,
        remote: bool = False,
    ) -> Schedule:
        """Change fields of a schedule. A new time takes the place of the old kind of time, new work that of the old.

        Raises:
            ScheduleInvalid, JobInvalid, BatchInvalid, JobTooLarge, EngineUnknown, EngineRefused, FolderRefused: as
                for `add`.
        """
        given = dict(changes)
        timed = [one for one in (*_TIMES, "tz") if one in given]

        def changed(schedule: Schedule, now: datetime) -> Schedule:
            spec = schedule.spec.model_dump(mode="json", exclude_unset=True)
            for family in (_TIMES, _WORK):
                if any(given.get(one) is not None for one in family):
                    spec = {field: value for field, value in spec.items() if field not in family}
            new = parse(ScheduleSpec, {**spec, **given})
            asked = {"spec": new, "key": key, "remote": remote or (schedule.remote and "batch" not in given)}
            return self._checked(schedule.model_copy(update=asked), now, keep=not timed)

        return self._rewrite("schedule.change", name, tenant, changed)

    def pause(self, name: str, tenant: str | None = None) -> Schedule:
        """Let it not be due until it is resumed; what it has started goes on."""
        return self._rewrite(
            "schedule.pause",
            name,
            tenant,
            lambda schedule, _: schedule.model_copy(update={"paused": True, "next_at": None}),
        )

    def resume(self, name: str, tenant: str | None = None) -> Schedule:
        """Let it be due again, from now on: the times in between were not missed."""
        return self._rewrite(
            "schedule.resume",
            name,
            tenant,
            lambda schedule, now: self._checked(schedule.model_copy(update={"paused": False}), now, keep=True),
        )

    def remove(self, name: str, tenant: str | None = None) -> None:
        """Delete it with its history; what it has started goes on."""
        found = self.get(name, tenant)
        self.store.remove(found.tenant, name, found.uid)
        self._did("schedule.remove", found)

    def run(self, name: str, tenant: str | None = None) -> Firing:
        """Let it fire now, once, also while it is paused; the scheduler does it, by the policy for overlap."""
        schedule, now = self.get(name, tenant), self.store.now()
        key = f"run-{now.strftime('%Y%m%dT%H%M%SZ')}-{secrets.token_hex(4)}"
        firing = Firing(key=key, due=now, manual=True, decided_at=now)
        if not self.store.add(schedule, firing, now):
            self.get(name, tenant)
            raise _contended(name)
        self._did("schedule.run", schedule)
        return firing

    def history(self, name: str, tenant: str | None = None) -> _Firings:
        """Its firings, the latest first."""
        found = self.get(name, tenant)
        return self.store.firings(found.tenant, name)[::-1]

    def last_tick(self) -> datetime | None:
        """When a scheduler looked for what is due last; None: none has for a minute, so nothing fires."""
        return self.store.last_tick()

    def _rewrite(self, what: _Did, name: str, tenant: str | None, change: Any) -> Schedule:
        for _ in range(_ROUNDS):
            read, now = self.get(name, tenant), self.store.now().replace(microsecond=0)
            new: Schedule = change(read, now).model_copy(update={"updated_at": now, "revision": read.revision + 1})
            if self.store.put(new, read.revision, secrets.token_hex(8), attached(new)) == "ok":
                self._did(what, new)
                return new
        raise _contended(name)

    def _checked(self, schedule: Schedule, now: datetime, *, keep: bool = False) -> Schedule:
        """The schedule with its next instant, if it can be.

        Args:
            schedule: What is asked for.
            now: From when on.
            keep: Leave the next instant as it is, where it has one.
        """
        spec = schedule.spec
        if (spec.job is None) == (spec.batch is None):
            raise ScheduleInvalid(
                "A schedule has exactly one of job and batch.",
                hint="Give it a job, or documents with a task.",
                field="job",
            )
        if len(spec.model_dump_json()) > _LARGEST:
            raise JobTooLarge(
                f"A schedule with its job may have {_LARGEST:,} bytes as JSON.",
                hint="Keep the texts in files, and let a batch read them.",
                limit=_LARGEST,
            )
        work.check(self._service.settings, schedule)
        if spec.job is not None:
            job = work.job_of(schedule)
            self._check_model(job.model if job.kind not in ("embed", "search", "ingest") else None)
        elif spec.batch is not None:
            self._check_model(spec.batch.task.model)
        if spec.webhook is not None:
            self._service.webhooks.get(schedule.tenant, spec.webhook)
        following = next(iter(schedule.times.after(now)), None)
        if following is None and not (keep and schedule.next_at is None and not schedule.paused):
            raise ScheduleInvalid(
                "The schedule is never due: its time is over.", hint="Give it a time to come.", field="at"
            )
        if schedule.paused:
            following = None
        elif keep and schedule.next_at is not None:
            following = schedule.next_at
        return schedule.model_copy(update={"next_at": following})

    def _check_model(self, model: str | None) -> None:
        from workers.engines.registry import Registry

        Registry(self._service.settings).check_route(model or default_model(self._service.settings))

    def _did(self, what: _Did, schedule: Schedule) -> None:
        self._service.access.audit.did(what, f"schedule {schedule.name}", tenant=schedule.tenant)

    def _tenant(self, tenant: str | None) -> str:
        return self._service.settings.tenant if tenant is None else tenant


_Firings = list[Firing]


def _contended(name: str) -> ServiceError:
    return ServiceError(f"The schedule {name} is being changed by others.", hint="Try again.", subject=name)
