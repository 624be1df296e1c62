"""Questions that a healthy part answers. Each returns at once: empty when healthy, else why not yet."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from knowledge.errors import PhiqError

if TYPE_CHECKING:
    import redis as redis_library

    from workers.ledger import WorkerInfo
    from workers.settings import Settings

_SECONDS = 2.0


def redis(url: str, settings: Settings | None = None) -> str:
    """Whether Redis takes commands; while it loads its file it says so.

    Args:
        url: As in PHIQ_REDIS_URL.
        settings: Whose TLS files are meant; None: none.
    """
    import redis as client

    try:
        with _client(url, settings) as connection:
            connection.ping()
    except client.exceptions.BusyLoadingError:
        return "it is loading its append-only file"
    except client.RedisError as error:
        return f"it does not answer: {error}"
    return ""


def chroma(url: str) -> str:
    """Whether Chroma's server answers its heartbeat."""
    import httpx

    try:
        # trust_env off: a proxy from the environment must not stand between us and loopback.
        with httpx.Client(timeout=_SECONDS, trust_env=False) as client:
            answer = client.get(f"{url}/api/v2/heartbeat")
    except httpx.HTTPError as error:
        return f"it does not answer: {error}"
    return "" if answer.status_code == httpx.codes.OK else f"its heartbeat answers with HTTP {answer.status_code}"


def words(url: str) -> str:
    """Whether the word index's server answers."""
    from knowledge.words.client import Words

    client = Words(url, timeout=_SECONDS)
    try:
        return "" if client.healthy() else "it does not answer"
    finally:
        client.close()


def gateway(url: str) -> str:
    """Whether the HTTP API takes jobs."""
    import httpx

    try:
        with httpx.Client(timeout=_SECONDS, trust_env=False) as client:
            answer = client.get(f"{url}/readyz")
    except httpx.HTTPError as error:
        return f"it does not answer: {error}"
    return "" if answer.status_code == httpx.codes.OK else f"it answers with HTTP {answer.status_code}"


def worker(settings: Settings, redis_url: str, pid: int) -> str:
    """Whether the worker with this process id has a fresh heartbeat in the ledger."""
    return _heard(settings, redis_url, lambda info: info.pid == pid)


def worker_missing(settings: Settings, redis_url: str, pid: int) -> bool:
    """Whether Redis answers and has no fresh heartbeat of the worker with this process id."""
    try:
        return all(info.pid != pid for info in _alive(settings, redis_url))
    except PhiqError:
        return False


def worker_here(settings: Settings, redis_url: str) -> str:
    """Whether a worker on this machine (or in this container) has one."""
    machine = socket.gethostname()
    return _heard(settings, redis_url, lambda info: info.machine == machine)


def beat(settings: Settings, redis_url: str) -> str:
    """Whether a scheduler holds RedBeat's lock."""
    import redis as client

    try:
        with _client(redis_url, settings) as connection:
            held = connection.exists(_beat_lock(settings))
    except client.RedisError as error:
        return f"Redis does not answer: {error}"
    return "" if held else "it has not taken its lock"


def forget_beat(settings: Settings, redis_url: str) -> None:
    """Remove the lock of a scheduler that is known to be dead."""
    with _client(redis_url, settings) as connection:
        connection.delete(_beat_lock(settings))


def listens(pid: int, port: int) -> bool:
    """Whether this process, and not a stranger, holds the port."""
    import psutil

    try:
        held = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in held)


def _heard(settings: Settings, redis_url: str, wanted: Callable[[WorkerInfo], bool]) -> str:
    try:
        alive = _alive(settings, redis_url)
    except PhiqError as error:
        return error.message
    return "" if any(wanted(info) for info in alive) else "it has not reported to the ledger"


def _alive(settings: Settings, redis_url: str) -> list[WorkerInfo]:
    from workers.ledger import Ledger, LedgerConfig

    with _client(redis_url, settings, decode_responses=True) as connection:
        return Ledger(connection, LedgerConfig(prefix=settings.key_prefix)).workers()


def _client(url: str, settings: Settings | None, **options: Any) -> redis_library.Redis:
    from workers import redis_libraries
    from workers.connections import redis_address
    from workers.redis_address import parse

    address = redis_address(settings, url) if settings else parse(url)
    return redis_libraries.client(address, socket_connect_timeout=_SECONDS, socket_timeout=_SECONDS, **options)


def _beat_lock(settings: Settings) -> str:
    # RedBeat adds ":lock" to the prefix that workers.celery_config gives it.
    return f"{settings.key_prefix}:beat:lock"
