"""What Redis is asked to do while something happens, by its own MONITOR."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import redis

_READS = {
    *(
        "GET",
        "HGET",
        "HMGET",
        "HGETALL",
        "SMEMBERS",
        "XREAD",
        "XRANGE",
        "XREVRANGE",
        "LLEN",
        "PING",
        "SUBSCRIBE",
        "UNSUBSCRIBE",
    ),
    *("PUBLISH", "MGET", "EXISTS", "INFO", "SELECT", "CLIENT", "HELLO", "AUTH", "ZCARD", "TYPE", "MULTI"),
}


def traced(client: redis.Redis, action: Callable[[], Any], name: str = "bench-trace-end") -> dict[str, Any]:
    """Do it and tell what clients sent meanwhile, idle chatter included.

    Returns:
        ``round trips`` (commands of clients; a transaction counts once), ``that write`` (those after which Redis
        writes its append-only file), ``commands in scripts``, and the ``trace``.
    """
    sent: list[str] = []
    inner = 0
    ready = threading.Event()

    def watch() -> None:
        nonlocal inner
        with client.monitor() as feed:
            ready.set()
            while True:
                seen = feed.next_command()
                command = str(seen["command"])
                if name in command:
                    return
                if seen["client_type"] == "lua":
                    inner += 1
                else:
                    sent.append(command.split(" ", 1)[0].upper())

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    ready.wait(10)
    time.sleep(0.05)
    action()
    client.echo(name)  # type: ignore[no-untyped-call]  # redis-py leaves it untyped
    thread.join(10)
    trips = _transactions_once(sent)
    return {
        "round trips": len(trips),
        "that write": sum(word not in _READS for word in trips),
        "commands in scripts": inner,
        "trace": ", ".join(f"{word} {count}" for word, count in Counter(trips).most_common()),
    }


def _transactions_once(sent: list[str]) -> list[str]:
    """Without what stands between MULTI and EXEC; sound as long as one client at a time has a transaction open."""
    kept: list[str] = []
    inside = False
    for word in sent:
        if word == "MULTI":
            inside = True
        elif word == "EXEC":
            inside = False
            kept.append(word)
        elif not inside:
            kept.append(word)
    return kept
