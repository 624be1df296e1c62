"""The bytes on the disk: servers forget at once, their files only when they are written anew."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from knowledge.compact import compact
from knowledge.errors import PhiqError
from knowledge.keep import Keep
from workers.ledger.scripts import redis_errors

_PATIENCE = 600.0
_LOOK = 0.1


def rewrite_redis(client: Any, folder: Path | None) -> list[str]:
    """Have Redis write its files anew; returns what could not be done, in words.

    Args:
        client: Redis, decoding.
        folder: Where our own Redis keeps its files; None: it runs elsewhere.
    """
    import redis

    left: list[str] = []
    with redis_errors():
        try:
            info = client.info("persistence")
            if int(info.get("aof_enabled", 0)):
                _background(client, "aof_rewrite_in_progress", client.bgrewriteaof)
                if client.info("persistence").get("aof_last_bgrewrite_status") != "ok":
                    left.append("Redis could not write its append-only file anew (its log says why)")
            if not int(info.get("aof_enabled", 0)) or _snapshots(client):
                _background(client, "rdb_bgsave_in_progress", client.bgsave)
                if client.info("persistence").get("rdb_last_bgsave_status") != "ok":
                    left.append("Redis could not write its snapshot anew (its log says why)")
        except (redis.ResponseError, redis.AuthenticationError, TimeoutError):
            left.append("Redis' files hold the words until its owner runs BGREWRITEAOF (this user may not)")
        replicas = int(client.info("replication").get("connected_slaves", 0))
    if replicas:
        left.append(f"{replicas} replicas of Redis: their own files hold the words until BGREWRITEAOF runs there")
    if folder is not None:
        _await_removal(folder)
    return left


def compact_chroma(folder: Path | None, url: str) -> list[str]:
    """Write Chroma's file anew; returns what could not be done, in words."""
    if folder is None:
        still = "the passages are deleted, its file holds their words until this runs on its machine"
        return [f"Chroma at {url}: {still}: python -m knowledge.compact FOLDER"]
    try:
        compact(folder)
    except PhiqError as error:
        return [f"{error.message} {error.hint}"]
    return []


def compact_words(keep: Keep) -> list[str]:
    """Write the word indexes' files anew; returns what could not be done, in words."""
    try:
        keep.compact_words()
    except PhiqError as error:
        return [f"{error.message} {error.hint}"]
    return []


def _snapshots(client: Any) -> bool:
    import redis

    try:
        return bool(str(client.config_get("save").get("save", "")).strip())
    except redis.ResponseError:
        return False  # a managed Redis may forbid CONFIG


def _background(client: Any, under_way: str, start: Any) -> None:
    """Start a background write after one that runs has ended (it began before the deletions), and wait for its end."""
    _idle(client, under_way)
    start()
    time.sleep(_LOOK)
    _idle(client, under_way)


def _idle(client: Any, under_way: str) -> None:
    until = time.monotonic() + _PATIENCE
    while True:
        info = client.info("persistence")
        if not int(info.get(under_way, 0)) and not int(info.get("aof_rewrite_scheduled", 0)):
            return
        if time.monotonic() > until:
            raise TimeoutError(under_way)
        time.sleep(_LOOK)


def _await_removal(folder: Path) -> None:
    """Redis 7 deletes the files that its manifest no longer names a moment later."""
    files = folder / "appendonlydir"
    until = time.monotonic() + 10
    while files.is_dir() and time.monotonic() < until:
        try:
            named = " ".join(path.read_text() for path in files.glob("*.manifest"))
        except OSError:
            named = ""
        if all(path.name in named for path in files.glob("*.aof")) and not list(files.glob("temp-*")):
            return
        time.sleep(_LOOK)
