"""Questions that a healthy part answers. Each returns at once: empty when healthy, else why not yet."""

from __future__ import annotations

_SECONDS = 2.0


def redis(url: str) -> str:
    """Whether Redis takes commands; while it loads its file it says so."""
    import redis as client

    try:
        with client.Redis.from_url(url, socket_connect_timeout=_SECONDS, socket_timeout=_SECONDS) as connection:
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


def listens(pid: int, port: int) -> bool:
    """Whether this process, and not a stranger, holds the port."""
    import psutil  # type: ignore[import-untyped]

    try:
        held = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return False
    return any(one.status == psutil.CONN_LISTEN and one.laddr.port == port for one in held)
