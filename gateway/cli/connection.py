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

    return Client(settings=settings())


@contextmanager
def using(other: Settings) -> Iterator[None]:
    """Run commands with other settings: the demo's, in its temporary folder."""
    token = _settings.set(other)
    try:
        yield
    finally:
        _settings.reset(token)
