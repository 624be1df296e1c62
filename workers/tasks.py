"""The two tasks: run a job by its id, and take a job from people who use Celery themselves."""

from __future__ import annotations

import logging
from typing import Any

from celery import Task

from knowledge.errors import PhiqError
from workers.app import app
from workers.jobs import is_job_id, parse_job
from workers.lifecycle import current, hooks
from workers.settings import get_settings

log = logging.getLogger(__name__)

__all__ = ["hooks", "run", "submit"]


@app.task(name="phiq.run", ignore_result=True)
def run(job_id: str) -> None:
    """Run a job if it is still to be had; whatever comes of it is in the ledger."""
    current().run(job_id)


@app.task(name="phiq.submit", bind=True, ignore_result=True)
def submit(self: Task[Any, Any], job: Any) -> str | None:
    """Take a job as JSON (an object or its text); its id is the task's id without hyphens.

    A message that is delivered twice is one job. A job that does not fit the contract is logged and dropped: there
    is nobody to answer.
    """
    from workers.service import Service

    task_id = str(self.request.id).replace("-", "").lower()
    try:
        return Service.connect(get_settings()).submit(parse_job(job), job_id=task_id if is_job_id(task_id) else None).id
    except PhiqError as error:
        if error.transient:
            # Left to Celery: nothing was accepted, and the sender was told that the broker has it.
            raise self.retry(exc=error, countdown=5, max_retries=None) from error
        log.warning("phiq.submit %s refused (%s): %s", task_id, error.code, error.message)
        return None
