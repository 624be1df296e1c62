"""Where Redis and Chroma are, and the default model: the setting when given, else as `phiq up` was started here."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from workers.errors import NotRunning
from workers.redis_address import RedisAddress, Tls, parse
from workers.settings import Settings
from workers.stack import state

if TYPE_CHECKING:
    import redis

_RETRIES = 3
_CONNECT_SECONDS = 3.0
_REPLY_SECONDS = 15.0
"""Longer than any command of ours takes; blocking reads must ask for less than this."""


def redis_url(settings: Settings) -> str:
    """The address of Redis as text, with its password; `redis_address` is what to connect with.

    Raises:
        NotRunning: no address is set and no stack runs with this data folder.
    """
    if settings.redis_url is not None and settings.redis_url.get_secret_value():
        return settings.redis_url.get_secret_value()
    found = state.read(settings.data_dir)
    if found is None or not found.redis_url or not found.alive("redis"):
        raise _not_running("Redis", "PHIQ_REDIS_URL", settings)
    return found.redis_url


def redis_address(settings: Settings, url: str = "") -> RedisAddress:
    """The address of Redis, with the TLS files that the settings name.

    Args:
        settings: Whose.
        url: Instead of the settings' own.

    Raises:
        NotRunning: as in `redis_url`.
        SettingsInvalid: the address has not the form of one.
    """
    files = Tls(ca=settings.redis_ca or "", certificate=settings.redis_cert or "", key=settings.redis_key or "")
    return parse(url or redis_url(settings), files)


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


def words_url(settings: Settings) -> str:
    """The address of the word index's server with its secret; empty: there is none, and searches go by meaning only."""
    if settings.words_url is not None:
        return settings.words_url.get_secret_value()
    found = state.read(settings.data_dir)
    return found.words_url if found is not None and found.words_url and found.alive("words") else ""


def http_url(settings: Settings) -> str:
    """The address of the HTTP API of the stack that runs with this data folder.

    Raises:
        NotRunning: none runs.
    """
    found = state.read(settings.data_dir)
    if found is None or not found.http_url or not found.alive("gateway"):
        raise _not_running("HTTP API", "PHIQ_URL", settings)
    return found.http_url


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
    nonce. With Sentinel each new connection goes to the master of that moment. Give ``block`` and other blocking
    reads less than 15 seconds. redis' own exceptions come out of the client; who uses it turns them into ours.

    Raises:
        NotRunning, SettingsInvalid: as in `redis_address`.
    """
    import redis
    from redis.backoff import ExponentialWithJitterBackoff
    from redis.retry import Retry

    from workers import redis_libraries

    options: dict[str, Any] = {
        "decode_responses": True,
        "socket_connect_timeout": _CONNECT_SECONDS,
        "socket_timeout": _REPLY_SECONDS,
        # Instead of redis-py's PINGs: a Redis that can't write to its disk refuses those, and could not even be read.
        "socket_keepalive": True,
        "socket_keepalive_options": _keepalive(),
        "retry": Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.8), _RETRIES),
        "retry_on_error": [redis.ConnectionError, redis.TimeoutError],
    }
    return redis_libraries.client(redis_address(settings), **options)


def _keepalive() -> dict[int, int]:
    """Lets the kernel find, within half a minute, that the other side is gone without a word."""
    idle = getattr(socket, "TCP_KEEPIDLE", None) or getattr(socket, "TCP_KEEPALIVE", None)
    options = {idle: 15, getattr(socket, "TCP_KEEPINTVL", None): 5, getattr(socket, "TCP_KEEPCNT", None): 3}
    return {name: value for name, value in options.items() if name is not None}


def _not_running(what: str, variable: str, settings: Settings) -> NotRunning:
    return NotRunning(
        f"No phiq runs with the data folder {settings.data_dir}, and {variable} names no other {what}.",
        hint="phiq up",
        subject=what,
    )
