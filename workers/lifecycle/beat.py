"""RedBeat, with firings that several schedulers may make and that still happen once.

RedBeat's lock lets one scheduler at a time tick. A lock in Redis can be lost (a frozen holder, a Redis that was rolled
back, an operator who deletes it), and then two tick.
"""

from __future__ import annotations

from typing import Any

from redbeat import RedBeatScheduler

from workers.firing import firing_id


class Scheduler(RedBeatScheduler):  # type: ignore[misc]  # RedBeat ships no types
    """Gives each message a task id made of the entry's name and its run before; the task's id is the job's."""

    def apply_async(self, entry: Any, producer: Any = None, advance: bool = True, **kwargs: Any) -> Any:
        """Send an entry's message. Two who read the same entry send the same id; who reads later finds it not due."""
        # RedBeat reads its entries anew for each tick, so this one may be changed.
        entry.options = {**entry.options, "task_id": firing_id(entry.name, f"after {entry.last_run_at}")}
        return super().apply_async(entry, producer=producer, advance=advance, **kwargs)
