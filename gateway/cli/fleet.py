"""workers, queues, pause, resume: who works, what waits, and holding it back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, cast

import typer

from gateway.cli.command import command
from gateway.cli.io import Io
from gateway.cli.why import span

if TYPE_CHECKING:
    from workers.ledger import WorkerInfo

PANEL = "Operations"
STILL = 30.0
"""Seconds without a sign of life of a job after which the table says so."""

QueueName = Annotated[
    str | None, typer.Argument(metavar="[QUEUE]", help="Such as generate.batch; `phiq queues` lists them.")
]
TenantOption = Annotated[str | None, typer.Option("--tenant", "-t", help="All jobs of a tenant instead of a queue.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for function in (workers, queues, pause, resume):
        command(app, function.__name__, rich_help_panel=PANEL)(function)


def workers(io: Io) -> None:
    """List the workers: what they serve and hold in memory, what each does and since when nothing moved."""
    from gateway.cli.connection import connect

    found = cast("Sequence[WorkerInfo]", connect().service.workers())
    if io.json:
        io.document([worker.model_dump(mode="json") for worker in found])
        return
    if not found:
        io.note("No worker runs. Start one with: phiq up")
        return
    rows = [
        (
            worker.name,
            standing(worker),
            " ".join(str(one) for one in worker.serves),
            f"{len(worker.running)} of {worker.slots}",
            " ".join(models_of(worker)) or "-",
            worker.version,
            f"{worker.seen_ago:.0f} s ago",
        )
        for worker in found
    ]
    io.table(("worker", "state", "serves", "jobs", "models", "version", "seen"), rows)
    doing = [
        (
            worker.name,
            job.id,
            job.kind,
            job.model,
            str(job.attempt),
            span(job.since),
            f"nothing for {span(job.progress_ago)}" if job.progress_ago >= STILL else "moves",
        )
        for worker in found
        for job in worker.doing
    ]
    if doing:
        io.text("")
        io.table(("worker", "id", "kind", "model", "attempt", "for", "progress"), doing)
    for worker in found:
        if worker.broker_error:
            io.note(f"{worker.name} can't reach the broker: {worker.broker_error}", style="yellow")


def models_of(worker: WorkerInfo) -> list[str]:
    """The models that a worker can use at once, and those to come; one that another worker loaded is joined."""
    hosted = [f"{uri} (joined)" if uri in worker.joined else uri for uri in worker.hosts]
    return [*hosted, *(f"{uri} (loading)" for uri in worker.loading)]


def standing(worker: WorkerInfo) -> str:
    """A worker's state in a word or two."""
    if worker.draining:
        return "draining"
    if worker.broker_error:
        return "no broker"
    return "alone" if worker.alone else "ready"


def queues(io: Io) -> None:
    """List the queues: how many jobs wait and run, how long the oldest has waited, what is paused."""
    from gateway.cli.connection import connect

    service = connect().service
    found, held = service.queues(), service.paused()
    if io.json:
        io.document({"queues": [queue.model_dump(mode="json") for queue in found], "paused": held})
        return
    rows = [
        (
            queue.name,
            "paused" if queue.paused else "no worker" if not queue.workers and queue.waiting else "open",
            str(queue.waiting),
            str(queue.running),
            str(queue.slots),
            span(queue.oldest_age) if queue.waiting else "-",
            f"{queue.pace:.1f} s" if queue.pace is not None else "-",
        )
        for queue in found
    ]
    io.table(("queue", "state", "waiting", "running", "slots", "oldest", "a job takes"), rows)
    tenants = [name.removeprefix("tenant:") for name in held if name.startswith("tenant:")]
    if tenants:
        io.note(f"Paused tenants: {', '.join(tenants)}. Go on with: phiq resume --tenant NAME", style="yellow")


def pause(io: Io, queue: QueueName = None, tenant: TenantOption = None) -> None:
    """Hold back jobs that have not started: those of a queue, or of a tenant. Running ones go on."""
    from gateway.cli.connection import connect

    what = _one(queue, tenant)
    connect().service.pause(queue=queue, tenant=tenant)
    _said(io, what, "paused", f"Go on with: phiq resume {queue or f'--tenant {tenant}'}")


def resume(io: Io, queue: QueueName = None, tenant: TenantOption = None) -> None:
    """Let paused jobs start again."""
    from gateway.cli.connection import connect

    what = _one(queue, tenant)
    connect().service.resume(queue=queue, tenant=tenant)
    _said(io, what, "resumed", "")


def _one(queue: str | None, tenant: str | None) -> str:
    from gateway.errors import UsageInvalid

    if (queue is None) == (tenant is None):
        raise UsageInvalid("Name a queue or a tenant, one of the two.", hint="phiq queues lists the queues.")
    return queue or f"tenant {tenant}"


def _said(io: Io, what: str, done: str, following: str) -> None:
    if io.json:
        io.document({done: what})
        return
    io.text(f"{what} {done}")
    if following:
        io.note(following)
