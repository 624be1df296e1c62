"""TLS with an authority of one's own and a client's certificate, for the ledger, messages and the scheduler."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis_certificates import make

from workers.errors import RedisUnavailable
from workers.jobs import State
from workers.stack import health

pytestmark = pytest.mark.service


@pytest.fixture
def secure(serve: Callable[..., Any], tls_binary: str, tmp_path: Path) -> Any:
    """A server that speaks TLS only, and with nobody who has no certificate."""
    folder = tmp_path / "certificates"
    make(folder, "ours")
    server = serve("tls", started=False, requirepass="secret")
    server.binary = tls_binary
    server.speak_tls(folder)
    return server.start()


def test_a_job_goes_through_worker_and_scheduler_over_tls(
    secure: Any, connect: Callable[..., Any], start_worker: Any, start_beat: Any, words: Any, tmp_path: Path
) -> None:
    files = tmp_path / "certificates"
    url = f"rediss://:secret@localhost:{secure.port}/1"
    named = {
        "redis_ca": str(files / "ca.pem"),
        "redis_cert": str(files / "client.pem"),
        "redis_key": str(files / "client.key"),
    }
    service = connect(url, **named)
    start_beat(service)
    worker = start_worker(service)
    record = service.wait(service.submit(words()).id, 30)
    assert record.state is State.SUCCEEDED, worker.log.read_text()
    assert health.redis(url, service.settings) == ""
    with secure.client(password="secret") as client:
        assert {one["db"] for one in client.client_list()} <= {"0", "1"}

    # The same through the address alone.
    query = f"ssl_ca_certs={files}/ca.pem&ssl_certfile={files}/client.pem&ssl_keyfile={files}/client.key"
    assert connect(f"{url}?{query}").get(record.id).state is State.SUCCEEDED


def test_a_server_of_another_authority_or_name_is_refused(
    secure: Any, connect: Callable[..., Any], words: Any, tmp_path: Path
) -> None:
    make(tmp_path / "others", "ours")  # the same name, another key
    files = tmp_path / "certificates"
    ours = f"ssl_certfile={files}/client.pem&ssl_keyfile={files}/client.key"
    for url in (
        f"rediss://:secret@localhost:{secure.port}?ssl_ca_certs={tmp_path}/others/ca.pem&{ours}",
        f"rediss://:secret@localhost:{secure.port}?{ours}",
        f"rediss://:secret@localhost:{secure.port}?ssl_ca_certs={files}/ca.pem",
        f"redis://:secret@localhost:{secure.port}",
    ):
        with pytest.raises(RedisUnavailable):
            connect(url).submit(words())


def test_messages_are_not_sent_to_a_server_of_another_authority(
    secure: Any, settings: Callable[..., Any], tmp_path: Path
) -> None:
    from celery import Celery
    from kombu.exceptions import OperationalError

    from workers.celery_config import configuration

    make(tmp_path / "others", "ours")
    files = tmp_path / "certificates"
    # By two names, since kombu keeps connections by their address.
    for authority, host, trusted in ((tmp_path / "others", "localhost", False), (files, "127.0.0.1", True)):
        url = (
            f"rediss://:secret@{host}:{secure.port}?ssl_ca_certs={authority}/ca.pem"
            f"&ssl_certfile={files}/client.pem&ssl_keyfile={files}/client.key"
        )
        app = Celery("test", set_as_current=False)
        app.conf.update(configuration(settings(redis_url=url)))
        try:
            if trusted:
                app.send_task("phiq.run", args=["0" * 32], queue="phiq.core.batch", retry=False)
            else:
                with pytest.raises(OperationalError, match="CERTIFICATE_VERIFY_FAILED"):
                    app.send_task("phiq.run", args=["0" * 32], queue="phiq.core.batch", retry=False)
        finally:
            app.close()
