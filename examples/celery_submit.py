"""Submit a job from a Celery application of your own, and read its result.

Start phiq first (`phiq up`), ingest some documents, then: python examples/celery_submit.py "How do I reset the Loop?"

Sending needs Celery alone, not phiq: the task's name, its queue, and the prefix of phiq's messages in Redis.
"""

from __future__ import annotations

import sys
import time
from typing import Any

from celery import Celery

import phiq
from workers.connections import redis_url
from workers.errors import JobNotFound
from workers.settings import get_settings


def main(question: str) -> None:
    settings = get_settings()
    app = Celery(broker=redis_url(settings))  # elsewhere: the address of phiq's Redis
    app.conf.broker_transport_options = {"global_keyprefix": f"{settings.key_prefix}:broker:"}
    job = {"kind": "chat", "input": {"messages": [{"role": "user", "content": question}]}}
    sent = app.send_task("phiq.submit", args=[job], queue="phiq.submit")

    # The task's id without hyphens is the job's.
    print(wait_for(sent.id.replace("-", "")).result(timeout=60).text)


def wait_for(job_id: str, seconds: float = 30.0) -> phiq.ClientJob[Any]:
    """The job, once a worker has taken the message: before that there is no record of it."""
    until = time.monotonic() + seconds
    while True:
        try:
            job = phiq.job(job_id)
            _ = job.record
            return job
        except JobNotFound:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


if __name__ == "__main__":
    main(" ".join(sys.argv[1:]) or "How do I reset the Loop?")
