"""Ties our life to Celery's through its signals."""

from __future__ import annotations

import logging
import threading
from typing import Any

from celery import signals

from workers.celery_config import SUBMIT_QUEUE, consumed, own_queue
from workers.lifecycle.process import current, is_worker, serve
from workers.lifecycle.repeats import Repeats
from workers.settings import get_settings
from workers.sight.logs import dress


@signals.worker_init.connect
def _prepare(sender: Any = None, **_: Any) -> None:
    """Open what a worker needs. One started without --queues serves those of the settings, not all there are."""
    worker = serve()
    queues = sender.app.amqp.queues
    if len(queues.consume_from) == len(queues):
        queues.select(consumed(get_settings()))
    queues.deselect([SUBMIT_QUEUE])
    queues.select_add(own_queue(worker.name))


@signals.after_setup_logger.connect
def _quiet(logger: logging.Logger, **_: Any) -> None:
    """Celery's two lines a task, and a line for each call to Chroma, say nothing that the ledger does not."""
    dress(logger, get_settings(), "worker" if is_worker() else "beat")
    repeats = Repeats()
    for handler in logger.handlers:
        handler.addFilter(repeats)
    for name in ("celery.worker.strategy", "celery.app.trace", "httpx"):
        logging.getLogger(name).setLevel(logging.WARNING)


@signals.after_setup_task_logger.connect
def _dress_tasks(logger: logging.Logger, **_: Any) -> None:
    dress(logger, get_settings(), "worker")


@signals.worker_ready.connect
def _begin(sender: Any = None, **_: Any) -> None:
    _take_signals(sender.controller)
    current().start()


def _take_signals(worker: Any) -> None:
    """Let every signal that ends a worker end it in our way: Celery's own second Ctrl-C drops what runs.

    SIGHUP, a closed terminal, too: by Celery it would start the worker again by itself, without our drain.
    """
    from celery.apps.worker import install_worker_term_handler  # type: ignore[attr-defined]  # Celery's stubs lack it

    if threading.current_thread() is threading.main_thread():
        for name in ("SIGTERM", "SIGINT", "SIGQUIT", "SIGHUP"):
            install_worker_term_handler(worker, sig=name, how="Warm", callback=None, exitcode=0)


@signals.worker_shutting_down.connect
def _drain(sig: str = "", **_: Any) -> None:
    """Runs inside a signal handler, so it only starts a thread."""
    seconds = 0.0 if sig == "SIGQUIT" else get_settings().drain_seconds
    threading.Thread(target=lambda: current().drain(seconds), name="phiq-drain", daemon=True).start()


@signals.worker_shutdown.connect
def _end(**_: Any) -> None:
    current().close()
