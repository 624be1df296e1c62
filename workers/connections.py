"""Where Redis and Chroma are, and the default model: the setting when given, else as `phiq up` was started here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from workers.errors import NotRunning, SettingsInvalid
from workers.settings import Settings
from workers.stack import state

if TYPE_CHECKING:
    import redis

_RETRIES = 3
_CONNECT_SECONDS = 3.0
_REPLY_SECONDS = 15.0
"""Longer than any command of ours takes; blocking reads must ask for less than this."""


def redis_url(settings: Settings) -> str:
    """The address of Redis, with its password.

    Raises:
        NotRunning: no address is set and no stack runs with this data folder.
    """
    if settings.redis_url is not None and settings.redis_url.get_secret_value():
        return settings.redis_url.get_secret_value()
    found = state.read(settings.data_dir)
    if found is None or not found.redis_url or not found.alive("redis"):
        raise _not_running("Redis", "PHIQ_REDIS_URL", settings)
    return found.redis_url


def chroma_url(settings: Settings) -> str:
    """The address of Chroma's server.

    Raises:
        NotRunning: no address is set and no stack runs with this data folder.
    """
    if settings.chroma_url:
        return settings.chroma_url
    found = state.read(settings.data_dir)
    if found is None or not found.chroma_url or not found.alive("chroma"):
        raise _not_running("Chroma", "PHIQ_CHROMA_URL", settings)
    return found.chroma_url


def default_model(settings: Settings) -> str:
    """The engine URI for jobs that name none."""
    if "model" in settings.model_fields_set or settings.redis_url is not None:
        return settings.model
    found = state.read(settings.data_dir)
    return found.model if found is not None and found.model and found.alive("worker") else settings.model


def redis_client(settings: Settings) -> redis.Redis:
    """A client with a pool of its own, safe between threads; nothing is sent before the first command.

    Replies are decoded to ``str``: all we keep there is text (ids, JSON, words). A command whose connection broke
    is sent again up to three times within about two seconds, so whatever must not happen twice carries its own
    nonce. Give ``block`` and other blocking reads less than 15 seconds. redis' own exceptions come out of the
    client; who uses it turns them into ours.

    Raises:
        NotRunning: as in `redis_url`.
        SettingsInvalid: the address has not the form of one.
    """
    import redis
    from redis.backoff import ExponentialWithJitterBackoff
    from redis.retry import Retry

    try:
        return redis.Redis.from_url(
            redis_url(settings),
            decode_responses=True,
            socket_connect_timeout=_CONNECT_SECONDS,
            socket_timeout=_REPLY_SECONDS,
            socket_keepalive=True,
            health_check_interval=15,
            retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.8), _RETRIES),
            retry_on_error=[redis.ConnectionError, redis.TimeoutError],
        )
    except ValueError as error:
        # Not the address itself: it may hold a password.
        raise SettingsInvalid(
            f"PHIQ_REDIS_URL is no address of a Redis server: {error}.",
            hint="Write redis://HOST:PORT/DB, rediss://… for TLS, or unset it and start `phiq up`.",
            subject="PHIQ_REDIS_URL",
        ) from error


def _not_running(what: str, variable: str, settings: Settings) -> NotRunning:
    return NotRunning(
        f"No phiq runs with the data folder {settings.data_dir}, and {variable} names no other {what}.",
        hint="phiq up",
        subject=what,
    )
