"""Looking after jobs that nobody looks after: due ones, expired ones, those of lost workers, and old ones."""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from workers.errors import JobPoison, WorkerLost
from workers.ledger.config import LedgerConfig
from workers.ledger.scripts import Scripts, redis_errors

_AT_ONCE = 200
"""Of each kind in one script, so that Redis is never held up for long; the rest follows a tick later."""
SUSPECT_AFTER = 2
"""Deaths of a job's workers after which it runs alone."""


@dataclass(frozen=True)
class Reaped:
    """What one round did. ``lost`` maps the ids of lost jobs to the state they are in now."""

    due: int = 0
    expired: int = 0
    swept: int = 0
    lost: dict[str, str] = field(default_factory=dict)


def reap(scripts: Scripts, config: LedgerConfig) -> Reaped:
    """One round; every worker does one a second, and it does not matter which one finds what."""
    with redis_errors():
        run_id = scripts.client.info("server")["run_id"]
    error = WorkerLost(
        f"The worker that ran this job was silent for {config.lease:g} seconds.",
        hint="See that worker's log; the job runs again while it has attempts left.",
    )
    poison = JobPoison(
        "A worker died while it ran nothing but this job, after others had died of it.",
        hint="Its attempts show where and when. Look at those workers' logs before it runs again.",
    )
    due, expired, lost, swept = scripts.run(
        "reap",
        run_id,
        round(config.lease * 1000),
        _AT_ONCE,
        json.dumps(error.to_dict()),
        json.dumps(poison.to_dict()),
        SUSPECT_AFTER,
        round(config.dead_ttl * 1000),
    )
    return Reaped(due, expired, swept, dict(zip(lost[::2], lost[1::2], strict=True)))
