"""Tells webhooks what becomes of firings: ``schedule.fired`` when the work begins, and one event when all is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workers.schedules.records import Firing, FiringState, Schedule
from workers.webhooks import emit

if TYPE_CHECKING:
    from workers.ledger import Ledger


def tell(ledger: Ledger, schedule: Schedule, firing: Firing) -> None:
    """Say the state that a firing has come to; said twice, it is told once.

    Raises:
        RedisUnavailable, StorageFull: say it again.
    """
    if firing.state is FiringState.RUNNING:
        kind = "schedule.fired"
    elif firing.state.final and firing.state is not FiringState.FORGOTTEN:
        kind = f"schedule.{firing.state.value}"
    else:
        return
    links = {"self": f"/v1/schedules/{schedule.name}"}
    data: dict[str, Any] = {
        "name": schedule.name,
        "key": firing.key,
        "due": firing.due.isoformat(),
        "state": firing.state.value,
        "missed": firing.missed,
    }
    if firing.run is not None:
        data["run"] = firing.run
        links["run"] = f"/v1/{'batches' if schedule.spec.batch is not None else 'jobs'}/{firing.run}"
    if firing.error is not None:
        data["code"] = firing.error.get("code")
    origin = f"schedule/{schedule.name}/{firing.key}"
    emit(ledger, schedule.tenant, kind, f"{schedule.id} {firing.key}", {**data, "links": links}, origin=origin)
