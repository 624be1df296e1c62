"""How much memory a model may take here, asked before it is loaded: the kernel's answer comes too late."""

from __future__ import annotations

from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def available_memory(cgroup: Path = _CGROUP) -> int:
    """Bytes that can be had now: the machine's, or the container's where it has less."""
    import psutil

    free = int(psutil.virtual_memory().available)
    try:
        limit = (cgroup / "memory.max").read_text("ascii").strip()
        if limit != "max":
            free = min(free, int(limit) - int((cgroup / "memory.current").read_text("ascii")))
    except (OSError, ValueError):
        pass  # no container, or an older kind of control group: the machine's figure stands
    return max(0, free)


def taken_memory(pid: int) -> int:
    """Bytes that a process holds now; 0 when it is gone."""
    import psutil

    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0
