"""Ties our life to Celery's through its signals."""

from __future__ import annotations

import logging
import threading
from typing import Any

from celery import signals

from workers.celery_config import consumed
from workers.lifecycle.process import current, serve
from workers.settings import get_settings


@signals.worker_init.connect
def _prepare(sender: Any = None, **_: Any) -> None:
    """Open what a worker needs. One started without --queues serves those of the settings, not all there are."""
    serve()
    queues = sender.app.amqp.queues
    if len(queues.consume_from) == len(queues):
        queues.select(consumed(get_settings()))


@signals.after_setup_logger.connect
def _quiet(**_: Any) -> None:
    """Celery's two lines a task, and a line for each call to Chroma, say nothing that the ledger does not."""
    for name in ("celery.worker.strategy", "celery.app.trace", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)


@signals.worker_ready.connect
def _begin(**_: Any) -> None:
    current().start()


@signals.worker_shutting_down.connect
def _drain(how: str = "Warm", **_: Any) -> None:
    """Runs inside a signal handler, so it only starts a thread."""
    seconds = get_settings().drain_seconds if how == "Warm" else 0.0
    threading.Thread(target=lambda: current().drain(seconds), name="phiq-drain", daemon=True).start()


@signals.worker_shutdown.connect
def _end(**_: Any) -> None:
    current().close()
