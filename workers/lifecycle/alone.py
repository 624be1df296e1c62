"""Running a suspect: a job that was running when two workers died runs again with no other job beside it.

So its third death tells whether it was the job, and takes no other job with it.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from knowledge.errors import PhiqError
from workers.ledger import MustRunAlone

if TYPE_CHECKING:
    from workers.lifecycle.process import WorkerProcess

log = logging.getLogger(__name__)

_PATIENCE = 300.0
"""Seconds a suspect waits here for the others to end; then another worker may try, and others run here again."""
_KEEP = 15.0
"""Between asking that it be kept for us: it is kept for a minute each time."""


def run_alone(worker: WorkerProcess, job_id: str) -> None:
    """Run a suspect, which is kept for this worker by now, once all others have left; else give it up.

    Raises:
        RedisUnavailable, StorageFull: the ledger did not answer; it may send the job again when it does.
    """
    asked = time.monotonic()

    def give_up() -> bool:
        nonlocal asked
        if worker.draining.is_set():
            return True
        if time.monotonic() - asked < _KEEP:
            return False
        asked = time.monotonic()
        return not _kept(worker, job_id)

    if worker.gate.alone == job_id:
        return  # announced twice: another thread waits with it already
    with worker.gate.apart(job_id, _PATIENCE, give_up) as inside:
        if inside and not worker.draining.is_set():
            log.warning("job %s runs alone: two workers died while they ran it", job_id)
            worker.work(worker.ledger.claim(job_id, worker.name, alone=True))
        else:
            worker.ledger.unreserve(job_id, worker.name)


def _kept(worker: WorkerProcess, job_id: str) -> bool:
    """Have the suspect kept for us for another while; False when it is not to be had any more."""
    try:
        attempt = worker.ledger.claim(job_id, worker.name)
    except MustRunAlone:
        return True
    except PhiqError as error:
        log.warning("job %s: %s", job_id, error.message)
        return True
    if attempt is not None:  # it was replayed meanwhile, and is no suspect any more
        attempt.release()
    return False
