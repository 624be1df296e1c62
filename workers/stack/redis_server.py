"""Redis of the one-machine stack: its configuration, start command and health."""

from __future__ import annotations

import os
from pathlib import Path

from workers.errors import StackFailed
from workers.stack.binaries import RedisBinary
from workers.stack.ports import LOOPBACK


def write_config(path: Path, folder: Path, port: int, password: str, maxmemory: str = "2gb") -> None:
    """Write the configuration, readable by this user only: it holds the password.

    Args:
        path: Where to.
        folder: For Redis' data.
        port: On loopback.
        password: For its default user.
        maxmemory: As in PHIQ_REDIS_MAXMEMORY.

    Every acknowledged write is on the disk (``appendfsync always``): with ``everysec`` a killed Redis lost thousands
    of acknowledged jobs on a slow disk. Snapshots are off, since the append-only file alone is the truth.
    """
    lines = {
        "bind": LOOPBACK,
        "port": str(port),
        "protected-mode": "yes",
        "requirepass": password,
        "daemonize": "no",
        "pidfile": '""',
        "logfile": '""',
        "loglevel": "notice",
        "always-show-logo": "no",
        # A rewritten title would hide the arguments by which a later run recognises its process.
        "set-proc-title": "no",
        "dir": _quoted(folder),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": '""',
        # A full memory must refuse new jobs, not throw away old ones.
        "maxmemory": maxmemory.lower(),
        "maxmemory-policy": "noeviction",
        # A stream's first block is as large as this whatever is in it, and records beyond these 64 bytes a value are
        # kept apart in full: a waiting job takes 2 kB instead of 7 (docs/performance.md). 6.2 knows this name alone.
        "stream-node-max-bytes": "512",
        "hash-max-ziplist-value": "1024",
        "tcp-keepalive": "60",
    }
    text = "".join(f"{key} {value}\n" for key, value in lines.items())
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.write(text)


def check_data(folder: Path, binary: RedisBinary) -> None:
    """Refuse to start an old Redis over a newer one's data, which it would silently not see.

    Raises:
        StackFailed: Redis 7 wrote here and the binary is older.
    """
    if binary.version[0] < 7 and (folder / "appendonlydir").is_dir():
        raise StackFailed(
            f"The queue in {folder} was written by Redis 7 or newer, which {binary.path} ({binary.version_text}) "
            "can't read.",
            hint=f"Put the newer redis-server back on PATH, or start empty: mv {folder} {folder}.old",
            subject="redis",
        )


def url(port: int, password: str) -> str:
    """The address clients use."""
    return f"redis://:{password}@{LOOPBACK}:{port}/0"


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
