"""Which phiq a command speaks to: the one the environment names, unless a command stands inside another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.client import Client
    from workers.settings import Settings

_settings: ContextVar[Settings | None] = ContextVar("settings", default=None)
_opened: ContextVar[list[Client] | None] = ContextVar("opened", default=None)


def settings() -> Settings:
    """The settings in force.

    Raises:
        SettingsInvalid: when a variable can't be used.
    """
    from workers.settings import get_settings

    return _settings.get() or get_settings()


def connect() -> Client:
    """The client for them."""
    from gateway.client import Client

    client = Client(settings=settings())
    opened = _opened.get()
    if opened is not None:
        opened.append(client)
    return client


@contextmanager
def closing() -> Iterator[None]:
    """Close at the end what `connect` gave inside, where it speaks HTTP."""
    token = _opened.set([])
    try:
        yield
    finally:
        for client in _opened.get() or []:
            client.hang_up()
        _opened.reset(token)


@contextmanager
def using(other: Settings) -> Iterator[None]:
    """Run commands with other settings: the demo's, in its temporary folder."""
    token = _settings.set(other)
    try:
        yield
    finally:
        _settings.reset(token)
