"""phiq on one machine: Redis, Chroma, a worker and the scheduler, started and looked after together.

`Stack` and `down` are loaded when they are asked for: who only wants to know where Redis is (`workers.connections`)
need not pay for the supervisor.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from workers.stack.report import Part, StackEvent
    from workers.stack.stale import down
    from workers.stack.supervisor import Stack

__all__ = ["Part", "Stack", "StackEvent", "down"]

_HOMES = {"Part": "report", "StackEvent": "report", "Stack": "supervisor", "down": "stale"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(name)
    from importlib import import_module

    return getattr(import_module(f"workers.stack.{_HOMES[name]}"), name)
