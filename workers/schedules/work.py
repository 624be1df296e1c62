"""What a firing does: a job or a batch, under an id that follows from the firing, so that starting twice is once."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.access.principal import KeyInvalid
from workers.errors import IdempotencyConflict, JobNotFound, ScheduleInvalid
from workers.firing import firing_id
from workers.jobs import Job, Lane, parse_job
from workers.roots import check_roots
from workers.schedules.records import BatchTarget, Firing, FiringState, Schedule

if TYPE_CHECKING:
    from workers.service import Service
    from workers.settings import Settings

_OURS = ("origin", "key", "trace")
"""Fields of a job that phiq sets itself."""

_BATCH_ENDS = {
    "completed": FiringState.SUCCEEDED,
    "failed": FiringState.FAILED,
    "cancelled": FiringState.CANCELLED,
    "expired": FiringState.EXPIRED,
}


def run_id(schedule: Schedule, firing: Firing) -> str:
    """The id of the job or batch of a firing."""
    number = firing_id(schedule.id, firing.key)
    return number if schedule.spec.batch is None else f"batch_{number}"


def job_of(schedule: Schedule, firing: Firing | None = None) -> Job:
    """The job of a schedule; with a firing, that one's.

    Raises:
        JobInvalid: it does not fit the contract.
        ScheduleInvalid: it has a field that can't be the same at each firing, or that is not the submitter's.
    """
    given = dict(schedule.spec.job or {})
    for name in ("idempotency_key", *_OURS):
        if given.get(name) is not None:
            raise ScheduleInvalid(
                f"The job of a schedule can't have the field {name}.", hint="Leave it out.", field=f"job.{name}"
            )
    if given.get("tenant", schedule.tenant) != schedule.tenant:
        raise ScheduleInvalid(
            "The job of a schedule is of the schedule's tenant.", hint="Leave the field tenant out.", field="job.tenant"
        )
    given.setdefault("lane", Lane.BATCH.value)
    job = parse_job({**given, "tenant": schedule.tenant})
    known = type(job).model_fields
    changes: dict[str, Any] = {"origin": None if firing is None else _origin(schedule, firing)}
    if schedule.key is not None and "key" in known:
        changes["key"] = schedule.key
    if schedule.spec.webhook is not None:
        changes["webhook"] = schedule.spec.webhook
    return job.model_copy(update=changes)


def check(settings: Settings, schedule: Schedule) -> None:
    """Look whether a schedule's work can be, without starting it.

    Raises:
        JobInvalid, BatchInvalid, ScheduleInvalid: it can't.
        FolderRefused: it was asked for over HTTP, with a path that isn't below PHIQ_BATCH_ROOTS.
    """
    target = schedule.spec.batch
    if target is None:
        job_of(schedule)
        return
    from workers.batches import documents, rows

    _check_roots(settings, schedule, target)
    documents.check(target.task)
    if target.to is not None:
        rows.format_of(Path(target.to), None)


def start(service: Service, schedule: Schedule, firing: Firing) -> str:
    """Start a firing's work; where it was started before, nothing happens.

    Returns:
        Its id: the firing's own, or that of a batch which was under way for the same file.

    Raises:
        PhiqError: what is wrong with the job or batch, or with the service.
    """
    number = run_id(schedule, firing)
    _check_key(service, schedule)
    try:
        if schedule.spec.batch is None:
            return service.submit(job_of(schedule, firing), job_id=number).id
        return _start_batch(service, schedule, schedule.spec.batch, firing, number)
    except IdempotencyConflict:
        return number  # it was started before the schedule was changed


def state(service: Service, tenant: str, number: str) -> FiringState:
    """How far the work of a firing is."""
    if number.startswith("batch_"):
        return _batch_state(service, tenant, number)
    try:
        found = service.get(number, tenant).state
    except JobNotFound:
        return FiringState.FORGOTTEN
    return FiringState(found.value) if found.final else FiringState.RUNNING


def cancel(service: Service, tenant: str, number: str) -> None:
    """Ask the work of a firing to end."""
    try:
        if number.startswith("batch_"):
            _cancel_batch(service, tenant, number)
        else:
            service.cancel(number, tenant)
    except JobNotFound:
        pass


def output(target: BatchTarget, due: datetime) -> str | None:
    """The file a batch's results go to.

    Args:
        target: The batch.
        due: When the firing was due, in the schedule's zone.
    """
    if target.to is None:
        return None
    return target.to.replace("{date}", due.strftime("%Y-%m-%d")).replace("{time}", due.strftime("%H%M%S"))


def _check_key(service: Service, schedule: Schedule) -> None:
    """Whoever lost their key must not go on through the schedules they have left behind."""
    if schedule.key is not None and (found := service.access.keys.get(schedule.key)).state != "active":
        raise KeyInvalid(
            f"The key {schedule.key} that asked for the schedule {schedule.name} is {found.state}.",
            hint=f"Take it over: phiq schedule change {schedule.name}, or PATCH /v1/schedules/{schedule.name}.",
            subject=schedule.key,
        )


def _origin(schedule: Schedule, firing: Firing) -> str:
    return f"schedule/{schedule.name}/{firing.key}"


def _start_batch(service: Service, schedule: Schedule, target: BatchTarget, firing: Firing, number: str) -> str:
    from workers import batches

    _check_roots(service.settings, schedule, target)
    spec = batches.BatchSpec(
        tenant=schedule.tenant,
        name=schedule.name,
        paths=target.paths,
        task=target.task,
        to=output(target, firing.due.astimezone(schedule.spec.zone)),
        expires_in=target.expires_in,
        origin=_origin(schedule, firing),
        key=schedule.key,
        webhook=schedule.spec.webhook,
    )
    return batches.start(service, spec, batch_id=number).id


def _check_roots(settings: Settings, schedule: Schedule, target: BatchTarget) -> None:
    if schedule.remote:
        check_roots(settings, [*target.paths, *([target.to] if target.to is not None else [])])


def _batch_state(service: Service, tenant: str, number: str) -> FiringState:
    from workers.batches.errors import BatchNotFound

    try:
        found = service.batches.get(number, tenant).state
    except BatchNotFound:
        return FiringState.FORGOTTEN
    return _BATCH_ENDS.get(found.value, FiringState.RUNNING)


def _cancel_batch(service: Service, tenant: str, number: str) -> None:
    from workers.batches.errors import BatchEnded, BatchNotFound

    try:
        service.batches.cancel(number, tenant)
    except (BatchEnded, BatchNotFound):
        pass
