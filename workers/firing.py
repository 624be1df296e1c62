"""The id of the job that a schedule makes when it fires.

It follows from the schedule and the firing alone, so however many schedulers fire it, or a message comes twice, there
is one job: submitting a known id again is answered with the job that is there.
"""

from __future__ import annotations

import hashlib


def firing_id(schedule: str, instant: str) -> str:
    """A job's id (32 hex digits) for one firing of a schedule.

    Args:
        schedule: The schedule's name.
        instant: What tells this firing from the others, the same for all who may fire it: when it was due, or after
            which run it comes.
    """
    return hashlib.sha256(f"{schedule}\n{instant}".encode()).hexdigest()[:32]
