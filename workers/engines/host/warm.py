"""A little work before the first request, so that it does not pay for a library's late initialisation."""

from __future__ import annotations

from workers.engines.host.backend import Backend
from workers.engines.host.protocol import Failed, Request, RunEvent
from workers.engines.host.scheduler import Scheduler

_PROMPT, _ANSWER = 65, 2


class ModelFailed(Exception):
    """The model loads, and can't run."""


def warm_up(backend: Backend, token: int) -> None:
    """Read more than one chunk and make two tokens.

    Raises:
        ModelFailed: the model can't do that.
    """
    events: list[RunEvent] = []
    scheduler = Scheduler(backend, events.append)
    scheduler.submit(Request(tokens=(token,) * _PROMPT, max_tokens=_ANSWER))
    while not scheduler.idle:
        scheduler.step()
    for event in events:
        if isinstance(event, Failed):
            raise ModelFailed(event.message)
