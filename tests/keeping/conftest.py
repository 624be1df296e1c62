"""Stores to keep things in: a folder, memory, and a real server that speaks S3."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workers.content import ContentStore


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The address of a server on loopback that speaks S3."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    server = make_server("127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True)
    thread = threading.Thread(target=server.serve_forever, name="s3", daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def s3_url(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty place on that server, with what botocore needs to find it in the environment."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "phiq")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "phiq")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    return f"s3://phiq-{uuid.uuid4().hex}/content"


@pytest.fixture(params=["folder", "memory", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """A content store of each sort."""
    match request.param:
        case "folder":
            return ContentStore(str(tmp_path / "content"), max_bytes=1000)
        case "memory":
            return ContentStore(f"memory://{uuid.uuid4().hex}/content", max_bytes=1000)
        case _:
            return ContentStore(request.getfixturevalue("s3_url"), max_bytes=1000)
