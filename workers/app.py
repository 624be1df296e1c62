"""The Celery application. Start it as ``python -m celery -A workers.app worker`` (or ``beat``).

Nothing is read, from the environment or from Redis, before Celery needs its configuration.
"""

from __future__ import annotations

from celery import Celery
from kombu import transport

from workers.celery_config import configuration, consumed
from workers.settings import Settings, get_settings

# Ours drop what is no message, which would end a worker; kombu looks for them by the scheme of the broker's address.
for _scheme, _name in (("redis", "Transport"), ("rediss", "Transport"), ("sentinel", "SentinelTransport")):
    transport.TRANSPORT_ALIASES[_scheme] = f"workers.lifecycle.transport:{_name}"

app = Celery("phiq", include=["workers.tasks"])
app.add_defaults(lambda: configuration(get_settings()))


def worker_argv(settings: Settings) -> list[str]:
    """What follows ``python -m celery`` for a worker with these settings (which it reads from its environment)."""
    return [
        *("-A", "workers.app", *_quiet(settings), "worker"),
        # No --pool: the configuration names ours, which the command line can't.
        *("--concurrency", str(settings.slots), "--queues", ",".join(consumed(settings))),
        *("--without-gossip", "--without-mingle", "--without-heartbeat", "--loglevel", settings.log_level),
    ]


def beat_argv(settings: Settings) -> list[str]:
    """What follows ``python -m celery`` for the scheduler; of several, RedBeat's lock lets one at a time fire."""
    return ["-A", "workers.app", *_quiet(settings), "beat", "--pidfile=", "--loglevel", settings.log_level]


def _quiet(settings: Settings) -> list[str]:
    """Without Celery's banner, where machines read each line."""
    return ["--quiet"] if settings.log_format == "json" else []
