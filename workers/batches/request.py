"""From a line to a job of its batch."""

from __future__ import annotations

import hashlib

from workers.batches.lines import Line
from workers.batches.records import BatchRecord
from workers.errors import JobInvalid
from workers.jobs import Job, Lane, parse_job
from workers.openai import job_of as openai_job
from workers.openai.fields import Attach

_OURS = ("idempotency_key", "origin", "key", "webhook", "trace")
"""Fields of a job that the batch itself sets, or that mean nothing in one."""


def job_id(batch_id: str, number: int) -> str:
    """The id of the job of a line: asked for twice, it is one job.

    It has the form of a UUIDv7 of the line's own: jobs that came in the same instant are in the order of their lines.
    """
    of_batch = hashlib.sha256(batch_id.encode()).hexdigest()
    of_line = hashlib.sha256(f"{batch_id}/{number}".encode()).hexdigest()
    return f"{of_batch[:12]}7{of_batch[12:15]}8{number:07x}{of_line[:8]}"


def job_of(line: Line, batch: BatchRecord, attach: Attach | None = None) -> Job:
    """The job of a line; ``attach`` keeps the pictures of OpenAI's requests.

    Raises:
        PhiqError: the request can't be honoured, saying why.
    """
    job = _own(line, batch) if line.url is None else openai_job(line.url, line.body, attach)
    update: dict[str, object] = {
        "lane": Lane.BATCH,
        "tenant": batch.tenant,
        "origin": f"batch/{batch.id}/{line.number}",
    }
    if job.model is None and batch.model:
        update["model"] = batch.model
    if batch.key is not None and "key" in type(job).model_fields:
        update["key"] = batch.key
    return job.model_copy(update=update)


def _own(line: Line, batch: BatchRecord) -> Job:
    for name in _OURS:
        if line.body.get(name) is not None:
            raise JobInvalid(f"A job in a batch can't have {name}.", hint=f"Leave out {name}.", field=name)
    if line.body.get("lane", "batch") != "batch":
        raise JobInvalid("A job in a batch is always in the lane batch.", hint="Leave out lane.", field="lane")
    if line.body.get("tenant", batch.tenant) != batch.tenant:
        raise JobInvalid("A job in a batch is its batch's tenant's.", hint="Leave out tenant.", field="tenant")
    return parse_job(line.body)
