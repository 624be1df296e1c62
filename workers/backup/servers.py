"""Redis and Chroma for a command that needs both: those that run, or ours started for as long as it takes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from knowledge.chroma import Connection, StoreConfig
from knowledge.keep import Keep
from workers import connections
from workers.ledger import Ledger
from workers.payloads import Payloads
from workers.service import ledger_config
from workers.settings import Settings
from workers.stack import state

if TYPE_CHECKING:
    import redis


@dataclass(frozen=True)
class Servers:
    """What an installation keeps, opened.

    Attributes:
        client: Redis.
        ledger: The jobs in it.
        payloads: The content store.
        keep: The collections.
        redis_here, chroma_here: The folders of our own servers; None for those that the settings name.
        started: They run for this command alone: no worker is at work on this machine.
    """

    settings: Settings
    client: redis.Redis
    ledger: Ledger
    payloads: Payloads
    keep: Keep
    redis_here: Path | None
    chroma_here: Path | None
    started: bool


@contextlib.contextmanager
def servers(settings: Settings) -> Iterator[Servers]:
    """Open them; what is started for it is stopped again.

    Raises:
        StackFailed, StorageFull: our own servers can't be started.
    """
    with contextlib.ExitStack() as stack:
        started = _needs_start(settings)
        if started:
            from workers.stack import Stack

            stack.enter_context(Stack(settings, parts=("redis", "chroma")))
        client = connections.redis_client(settings)
        stack.callback(client.close)
        keep = Keep(
            Connection(StoreConfig(url=connections.chroma_url(settings), words=connections.words_url(settings)))
        )
        stack.callback(keep.close)
        payloads = Payloads.of(settings)
        yield Servers(
            settings=settings,
            client=client,
            ledger=Ledger(client, ledger_config(settings), payloads),
            payloads=payloads,
            keep=keep,
            redis_here=None if settings.redis_url is not None else settings.data_dir / "redis",
            chroma_here=None if settings.chroma_url else settings.data_dir / "chroma",
            started=started,
        )


def runs(settings: Settings) -> bool:
    """Whether a stack of ours runs in the data folder."""
    found = state.read(settings.data_dir)
    return found is not None and found.supervisor.alive()


def _needs_start(settings: Settings) -> bool:
    ours = settings.redis_url is None or not settings.chroma_url
    return ours and not runs(settings)
