"""The two tasks: run a job by its id, and take a job from people who use Celery themselves."""

from __future__ import annotations

import logging
import time
from functools import cache
from typing import Any

from celery import Task
from celery.exceptions import Reject

from knowledge.errors import PhiqError
from workers.app import app
from workers.jobs import is_job_id, parse_job
from workers.lifecycle import current, hooks
from workers.service import Service
from workers.settings import get_settings

log = logging.getLogger(__name__)

_PAUSE = 1.0
"""Seconds before a message goes back, so that it does not go round and round."""

__all__ = ["canary", "hooks", "run", "submit", "take"]


@app.task(name="phiq.run", ignore_result=True)
def run(job_id: str) -> None:
    """Run a job if it is still to be had; whatever comes of it is in the ledger."""
    current().run(job_id)


@app.task(name="phiq.canary", ignore_result=True)
def canary() -> None:
    """Say that messages reach this worker."""
    current().canary.heard()


# Workers read the queue phiq.submit without Celery's consumer (`workers.lifecycle.intake`); this is for messages that
# were sent to another queue. Acknowledged only once the job is written down: until then the message is all there is.
@app.task(name="phiq.submit", bind=True, ignore_result=True, acks_late=True)
def submit(self: Task[Any, Any], job: Any) -> str | None:
    """Take a job as JSON (an object or its text); its id is the task's id without hyphens."""
    return take(job, str(self.request.id))


def take(job: Any, task_id: str) -> str | None:
    """Put a job in line and return its id; a message that is delivered twice is one job.

    One that does not fit the contract is logged and dropped: there is nobody to answer.

    Raises:
        Reject: nothing was accepted for now; the message goes back to its queue.
    """
    job_id = task_id.replace("-", "").lower()
    try:
        parsed = parse_job(job)
        return _service().submit(parsed, job_id=job_id if is_job_id(job_id) else None).id
    except PhiqError as error:
        if error.transient:
            log.warning("phiq.submit %s: %s Trying again.", task_id, error.message)
            time.sleep(_PAUSE)
            raise Reject(error.code, requeue=True) from error
        log.warning("phiq.submit %s refused (%s): %s", task_id, error.code, error.message)
        return None


@cache
def _service() -> Service:
    return Service.connect(get_settings())
