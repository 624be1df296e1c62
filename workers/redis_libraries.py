"""An address of Redis in the words of redis-py, kombu and RedBeat."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from workers.redis_address import RedisAddress

if TYPE_CHECKING:
    import redis

_SENTINEL_SECONDS = 1.0
"""For one Sentinel to answer: those that don't are asked again and again while the others would know."""


def client(address: RedisAddress, **options: Any) -> redis.Redis:
    """A client of redis-py, always of the master.

    Args:
        address: Where.
        options: Of its connections, such as ``socket_timeout``.
    """
    import redis
    from redis.sentinel import Sentinel

    options |= _identity(address)
    if address.master:
        found: Any = Sentinel(  # type: ignore[no-untyped-call]
            list(address.hosts), sentinel_kwargs=sentinel_options(address), **tls(address)
        )
        made: redis.Redis = found.master_for(address.master, redis.Redis, **options)
        return made
    if address.path:
        return redis.Redis(unix_socket_path=address.path, **options)
    ((host, port),) = address.hosts
    return redis.Redis(host=host, port=port, **tls(address), **options)


def broker(address: RedisAddress) -> tuple[str, dict[str, Any], dict[str, Any] | None]:
    """For Celery: ``broker_url``, what it adds to ``broker_transport_options``, and ``broker_use_ssl``."""
    who = f"{quote(address.username, safe='')}:{quote(address.password, safe='')}@" if address.password else ""
    secure = _ssl(address) or None
    if address.path:
        socket = quote(address.path, safe="/")
        return f"redis+socket://{who}{socket}?virtual_host={address.db}", {}, None
    if address.master:
        url = ";".join(f"sentinel://{who}{_at(host, port)}/{address.db}" for host, port in address.hosts)
        return url, {"master_name": address.master, "sentinel_kwargs": sentinel_options(address)}, secure
    ((host, port),) = address.hosts
    return f"redis{'s' if secure else ''}://{who}{_at(host, port)}/{address.db}", {}, secure


def redbeat(address: RedisAddress) -> dict[str, Any]:
    """Celery's settings for RedBeat: ``redbeat_redis_url`` and the like. It waits for Redis however long that takes."""
    options: dict[str, Any] = {"socket_connect_timeout": 3, "socket_timeout": 15, "retry_period": -1}
    secure: dict[str, Any] = {"redbeat_redis_use_ssl": _ssl(address)} if address.tls else {}
    if address.master:
        options |= _identity(address)
        options |= {
            "sentinels": list(address.hosts),
            "service_name": address.master,
            "sentinel_kwargs": sentinel_options(address),
        }
        return {"redbeat_redis_url": "redis-sentinel://", "redbeat_redis_options": options, **secure}
    url, _, _ = broker(address)
    if address.path:
        url = url.replace("redis+socket://", "unix://").replace("virtual_host=", "db=")
    return {"redbeat_redis_url": url, "redbeat_redis_options": options, **secure}


def sentinel_options(address: RedisAddress) -> dict[str, Any]:
    """For connections to the Sentinels. They speak TLS when Redis does; their user and password are their own."""
    options: dict[str, Any] = {"socket_timeout": _SENTINEL_SECONDS, "socket_connect_timeout": _SENTINEL_SECONDS}
    if address.sentinel_password:
        options["password"] = address.sentinel_password
    if address.sentinel_username:
        options["username"] = address.sentinel_username
    return options | tls(address)


def tls(address: RedisAddress) -> dict[str, Any]:
    """For redis-py's clients; empty without TLS."""
    return {"ssl": True, **_ssl(address)} if address.tls else {}


def _ssl(address: RedisAddress) -> dict[str, Any]:
    if address.tls is None:
        return {}
    files = {
        "ssl_ca_certs": address.tls.ca,
        "ssl_certfile": address.tls.certificate,
        "ssl_keyfile": address.tls.key,
    }
    return {
        "ssl_cert_reqs": ssl.CERT_REQUIRED if address.tls.verify else ssl.CERT_NONE,
        "ssl_check_hostname": address.tls.check_hostname,
        **{name: value for name, value in files.items() if value},
    }


def _identity(address: RedisAddress) -> dict[str, Any]:
    named = {"username": address.username, "password": address.password}
    return {"db": address.db, **{name: value for name, value in named.items() if value}}


def _at(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
