"""What the settings say of every hosted model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from workers.engines.host.host import HostLimits

if TYPE_CHECKING:
    from workers.settings import Settings


def host_limits(settings: Settings) -> HostLimits:
    """A host's limits; the memory that it needs is for its engine to say."""
    return HostLimits(
        silence=settings.engine_timeout,
        waiting=settings.engine_waiting,
        idle=settings.engine_idle_seconds,
        ceiling=settings.engine_ceiling_bytes,
        share=locks(settings) if settings.engine_share != "off" else None,
        lend=settings.engine_share == "on",
    )


def locks(settings: Settings) -> Path:
    """Where workers with the same data folder find the models that one of them has in memory."""
    return settings.data_dir.expanduser().absolute() / "run" / "models"
