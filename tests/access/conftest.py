"""A gateway that asks everybody for a key, and keys for it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from fastapi import FastAPI

from gateway.http.app import create_app
from workers.access.key import ApiKey, KeySpec
from workers.service import Service
from workers.settings import Settings


@pytest.fixture(scope="module")
def keyed_settings(redis_server: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """The module's settings."""
    folder: Path = tmp_path_factory.mktemp("access")
    prefix = f"a{secrets.token_hex(4)}"
    return Settings(
        data_dir=folder, redis_url=redis_server, key_prefix=prefix, allow_fake_engine=True, require_key=True
    )


@pytest.fixture(scope="module")
def service(keyed_settings: Settings) -> Iterator[Service]:
    """Over the session's Redis."""
    made = Service.connect(keyed_settings)
    yield made
    made.close()


@pytest.fixture
def make_key(service: Service) -> Callable[..., tuple[ApiKey, str]]:
    """Makes keys: ``make_key(tenant="a")``."""

    def make(**values: Any) -> tuple[ApiKey, str]:
        return service.access.create(KeySpec(**values))

    return make


@pytest.fixture(scope="module")
def portal() -> Iterator[BlockingPortal]:
    """A loop in a thread."""
    with start_blocking_portal() as made:
        yield made


@pytest.fixture(scope="module")
def app(service: Service, portal: BlockingPortal) -> Iterator[FastAPI]:
    """The application, as while it runs."""
    made = create_app(service)
    with portal.wrap_async_context_manager(made.router.lifespan_context(made)):
        yield made


@pytest.fixture
def http(ask: Callable[..., httpx.Response]) -> Callable[..., httpx.Response]:
    """`ask`, by another name."""
    return ask


@pytest.fixture(scope="module")
def ask(app: FastAPI, portal: BlockingPortal) -> Callable[..., httpx.Response]:
    """Asks the application, without a socket: ``ask("GET", "/v1/jobs", text_of_key)``; ``client`` is the peer."""

    def ask(
        method: str,
        path: str,
        key: str = "",
        client: tuple[str, int] = ("127.0.0.1", 5000),
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(app, client=client)
            sent = {**({"Authorization": f"Bearer {key}"} if key else {}), **(headers or {})}
            async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8420") as sender:
                return await sender.request(method, path, headers=sent, **more)

        return portal.call(go)

    return ask
