"""/v1/schedules: work that starts by itself at its time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from gateway.http import problems
from gateway.http.depends import ServiceDep, allow
from workers.access.principal import Principal
from workers.jobs import Name
from workers.schedules import Firing, Schedule, ScheduleSpec
from workers.service import Service

router = APIRouter(prefix="/v1/schedules", tags=["schedules"])
problems.known(schedule_not_found=404, schedule_exists=409, folder_refused=403)

Who = Annotated[Principal, allow("schedules")]

_EXAMPLE: dict[str, Any] = {
    "name": "tickets",
    "cron": "0 6 * * 1-5",
    "tz": "Europe/Zagreb",
    "job": {"kind": "summarize", "input": {"texts": [{"text": "What happened yesterday."}]}},
}


class ScheduleNew(ScheduleSpec):
    """A schedule to be added. Exactly one of cron, every and at; exactly one of job and batch."""

    model_config = ConfigDict(json_schema_extra={"examples": [_EXAMPLE]})
    name: Name
    paused: bool = Field(default=False, description="not due until it is resumed")


class ScheduleChange(ScheduleSpec):
    """The fields that are to change."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"cron": "0 7 * * *"}]})


class ScheduleView(Schedule):
    """A schedule as it is now."""

    following: list[datetime] = Field(description="the next five times it is (paused: would be) due, in its zone")


class SchedulePage(BaseModel):
    """All schedules of the tenant, by name."""

    data: list[ScheduleView]
    scheduler_seen_at: datetime | None = Field(
        description="when a scheduler looked for what is due last; null: none has for a minute, so nothing fires"
    )


class FiringPage(BaseModel):
    """Firings of a schedule, the latest first."""

    data: list[Firing]


@router.post("", status_code=201, responses=problems.responses(409, 413, 507))
def create(new: ScheduleNew, service: ServiceDep, who: Who, response: Response) -> ScheduleView:
    """Add a schedule. Folders and files must lie below one that PHIQ_BATCH_ROOTS opens."""
    given = new.model_dump(exclude_unset=True)
    name, paused = given.pop("name"), given.pop("paused", False)
    _check(service, who, given)
    made = service.schedules.add(name, given, who.tenant, paused=paused, key=who.key_id, remote=True)
    response.headers["Location"] = f"/v1/schedules/{name}"
    return _view(made)


@router.get("", responses=problems.responses())
def index(service: ServiceDep, who: Who) -> SchedulePage:
    """All schedules, by name."""
    found = [_view(one) for one in service.schedules.list(who.tenant)]
    return SchedulePage(data=found, scheduler_seen_at=service.schedules.last_tick())


@router.get("/{name}", responses=problems.responses(404))
def show(name: str, service: ServiceDep, who: Who) -> ScheduleView:
    """A schedule with the next five times it is due."""
    return _view(service.schedules.get(name, who.tenant))


@router.patch("/{name}", responses=problems.responses(404, 413, 507))
def change(
    name: str,
    changes: ScheduleChange,
    service: ServiceDep,
    who: Who,
) -> ScheduleView:
    """Change some fields of a schedule; a new time takes the place of the old one, new work that of the old."""
    given = changes.model_dump(exclude_unset=True)
    _check(service, who, given)
    return _view(service.schedules.change(name, given, who.tenant, key=who.key_id, remote=True))


@router.delete("/{name}", status_code=204, responses=problems.responses(404))
def remove(name: str, service: ServiceDep, who: Who) -> None:
    """Delete a schedule and its history; what it has started goes on."""
    service.schedules.remove(name, who.tenant)


@router.post("/{name}/pause", responses=problems.responses(404, 507))
def pause(name: str, service: ServiceDep, who: Who) -> ScheduleView:
    """Let it not be due until it is resumed."""
    return _view(service.schedules.pause(name, who.tenant))


@router.post("/{name}/resume", responses=problems.responses(404, 507))
def resume(name: str, service: ServiceDep, who: Who) -> ScheduleView:
    """Let it be due again, from now on."""
    return _view(service.schedules.resume(name, who.tenant))


@router.post("/{name}/run", status_code=202, responses=problems.responses(404, 507))
def run(name: str, service: ServiceDep, who: Who) -> Firing:
    """Let it fire now, once, also while it is paused."""
    return service.schedules.run(name, who.tenant)


@router.get("/{name}/history", responses=problems.responses(404))
def history(name: str, service: ServiceDep, who: Who, limit: Annotated[int, Query(ge=1, le=500)] = 100) -> FiringPage:
    """Its firings, the latest first, with their jobs or batches and how they ended."""
    return FiringPage(data=service.schedules.history(name, who.tenant)[:limit])


def _view(found: Schedule) -> ScheduleView:
    following = [one.astimezone(found.spec.zone) for one in found.upcoming(datetime.now(UTC))]
    return ScheduleView(**dict(found), following=following)


def _check(service: Service, who: Principal, given: Mapping[str, Any]) -> None:
    """A schedule's job may refer only to what its tenant has uploaded."""
    job = given.get("job")
    if not isinstance(job, dict):
        return
    try:
        service.uploads.check(who.tenant, str(job["kind"]), job)
    except (KeyError, TypeError, AttributeError):
        return  # no job at all: refused where the schedule is added
