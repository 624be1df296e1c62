"""A gateway that asks everybody for a key, and keys for it."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

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


@pytest.fixture
def http(service: Service) -> Callable[..., Any]:
    """Asks the application, without a socket: ``http("GET", "/v1/jobs", key=text)``; ``client`` is the peer."""
    import anyio

    from gateway.http.app import create_app

    app = create_app(service)

    def ask(
        method: str,
        path: str,
        key: str = "",
        client: tuple[str, int] = ("127.0.0.1", 5000),
        base: str = "http://127.0.0.1:8420",
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> httpx.Response:
        async def go() -> httpx.Response:
            transport = httpx.ASGITransport(app, client=client)
            sent = {**({"Authorization": f"Bearer {key}"} if key else {}), **(headers or {})}
            async with httpx.AsyncClient(transport=transport, base_url=base) as sender:
                return await sender.request(method, path, headers=sent, **more)

        return anyio.run(go)

    return ask
