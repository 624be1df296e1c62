"""The Python client over a real gateway, worker and Redis."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.client import Client
from workers.errors import ContentMissing, JobNotFound, OptionUnsupported
from workers.jobs import State

pytestmark = [pytest.mark.service, pytest.mark.usefixtures("worker")]


@pytest.fixture
def client(gateway: Any) -> Iterator[Client]:
    with Client(gateway.url, patience=10) as made:
        yield made


def test_five_lines(client: Client) -> None:
    job = client.submit("complete", "one two three", model="fake:echo")
    text = "".join(job.stream())
    assert text == job.result(timeout=30).text
    assert text


def test_a_result_is_waited_for(client: Client) -> None:
    job = client.submit("complete", "one two three four", model="fake:echo?rate=10")
    assert job.result().text
    assert job.record.state is State.SUCCEEDED


def test_a_wait_that_is_too_short_says_so(client: Client) -> None:
    job = client.submit("complete", " ".join(["word"] * 50), model="fake:echo?rate=10")
    with pytest.raises(TimeoutError):
        job.result(timeout=0.3)
    assert job.cancel().cancel_requested or job.record.state is State.CANCELLED


def test_errors_come_back_as_their_classes(client: Client) -> None:
    with pytest.raises(JobNotFound):
        _ = client.job("0" * 32).record
    with pytest.raises(JobNotFound):
        list(client.job("0" * 32).events())
    with pytest.raises(OptionUnsupported):
        client.submit("summarize", "Some text. More text.", seed=3).result(timeout=30)


def test_jobs_are_listed(client: Client) -> None:
    made = [client.submit("complete", f"word {number}", model="fake:echo").id for number in range(3)]
    listed = [record.id for record in client.jobs(kind="complete", limit=3)]
    assert listed == made[::-1]


def test_pictures_are_uploaded_and_nobody_elses_hash_is_taken(client: Client, gateway: Any, tmp_path: Path) -> None:
    from PIL import Image

    picture = tmp_path / "red.png"
    Image.new("RGB", (40, 30), "red").save(picture)
    job = client.submit("describe", picture)
    assert "40" in job.result(timeout=30).text
    # The same content is in the store, but another tenant's: known by its hash, and not to be had.
    foreign = gateway.service.attach(("secret.png", b"not uploaded by this tenant"))
    with pytest.raises(ContentMissing):
        client.submit("describe", {"images": [foreign.model_dump()]})


def test_worker_is_seen(client: Client, worker: subprocess.Popen[bytes]) -> None:
    assert worker.poll() is None
    assert client.job(client.submit("complete", "x", model="fake:echo").id).result(timeout=30).text
