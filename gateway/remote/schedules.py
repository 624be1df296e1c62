"""Schedules over HTTP, with the methods of `workers.schedules.Schedules` that clients use."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol, TypeVar

from gateway.remote.calls import Call, quoted
from workers.schedules import Firing, Schedule, ScheduleSpec

T = TypeVar("T")
_ROOT = "/v1/schedules"
_Firings = list[Firing]
_Schedules = list[Schedule]  # inside the class `list` is the method


class Ask(Protocol):
    """Sends a call and reads its answer."""

    def __call__(self, call: Call[T]) -> T:
        """The answer."""
        ...


class HttpSchedules:
    """Schedules of the key's tenant; a tenant that is named is not sent.

    Args:
        ask: How calls are sent.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    def add(
        self,
        name: str,
        spec: ScheduleSpec | Mapping[str, Any],
        tenant: str | None = None,  # noqa: ARG002 - the key says whose
        *,
        paused: bool = False,
    ) -> Schedule:
        """Add a schedule; its paths are those of the machine that serves."""
        given = spec.model_dump(mode="json", exclude_unset=True) if isinstance(spec, ScheduleSpec) else dict(spec)
        body = {**given, "name": name, "paused": paused}
        return self._ask(Call("POST", _ROOT, _schedule, json=body, repeatable=False))

    def get(self, name: str, tenant: str | None = None) -> Schedule:  # noqa: ARG002 - the key says whose
        """One schedule."""
        return self._ask(Call("GET", _path(name), _schedule))

    def list(self, tenant: str | None = None) -> _Schedules:  # noqa: ARG002 - the key says whose
        """All schedules, by name."""
        return self._ask(Call("GET", _ROOT, lambda answer: [_schedule(one) for one in answer["data"]]))

    def change(self, name: str, changes: Mapping[str, Any], tenant: str | None = None) -> Schedule:  # noqa: ARG002
        """Change fields of a schedule."""
        return self._ask(Call("PATCH", _path(name), _schedule, json=dict(changes)))

    def pause(self, name: str, tenant: str | None = None) -> Schedule:  # noqa: ARG002 - the key says whose
        """Let it not be due until it is resumed."""
        return self._ask(Call("POST", _path(name, "pause"), _schedule))

    def resume(self, name: str, tenant: str | None = None) -> Schedule:  # noqa: ARG002 - the key says whose
        """Let it be due again from now on."""
        return self._ask(Call("POST", _path(name, "resume"), _schedule))

    def remove(self, name: str, tenant: str | None = None) -> None:  # noqa: ARG002 - the key says whose
        """Delete it with its history."""
        self._ask(Call("DELETE", _path(name), lambda _: None, repeatable=False))

    def run(self, name: str, tenant: str | None = None) -> Firing:  # noqa: ARG002 - the key says whose
        """Let it fire now, once."""
        return self._ask(Call("POST", _path(name, "run"), Firing.model_validate, repeatable=False))

    def history(self, name: str, tenant: str | None = None) -> _Firings:  # noqa: ARG002 - the key says whose
        """Its firings, the latest first."""
        path = _path(name, "history")
        return self._ask(
            Call("GET", path, lambda answer: [Firing.model_validate(one) for one in answer["data"]], {"limit": 500})
        )

    def last_tick(self) -> datetime | None:
        """When a scheduler looked for what is due last; None: none has for a minute."""
        seen = self._ask(Call("GET", _ROOT, lambda answer: answer["scheduler_seen_at"]))
        return None if seen is None else datetime.fromisoformat(seen)


def _path(name: str, *more: str) -> str:
    return "/".join((_ROOT, quoted(name), *more))


def _schedule(answer: Any) -> Schedule:
    return Schedule.model_validate({**answer, "uid": ""})
