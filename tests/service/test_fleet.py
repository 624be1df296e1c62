"""Workers on several machines: processes that share Redis, Chroma and the content store, and no data folder."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image, ImageDraw

from workers.jobs import State, parse_job
from workers.service import Service

pytestmark = pytest.mark.service

FACT = "To reset the boiler, hold the red button for seven seconds. The light turns green when it is done."
NAMES = ("north", "east", "west")


@pytest.fixture
def service(redis_url, chroma_server, settings, tmp_path):
    """A client on a machine of its own."""
    made = Service.connect(
        settings(
            data_dir=tmp_path / "client",
            redis_url=redis_url,
            chroma_url=chroma_server,
            content_url=(tmp_path / "shared").as_uri(),
            slots=1,
            tenant="fleet",
        )
    )
    yield made
    made.close()


@pytest.fixture
def fleet(launch, await_workers, tmp_path: Path):
    """Three machines."""
    workers = [launch(name, data_dir=tmp_path / name) for name in NAMES]
    await_workers(*workers)
    return workers


def picture() -> bytes:
    image = Image.new("RGB", (320, 80), "white")
    ImageDraw.Draw(image).text((10, 20), "ERROR E42", fill="black", font_size=36)
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()


def test_three_workers_with_folders_of_their_own_run_every_kind(service, fleet, tmp_path: Path):
    def submit(kind: str, **given: object) -> str:
        return service.submit(parse_job({"kind": kind, "input": given, "tenant": "fleet"})).id

    def result(job_id: str):
        record = service.wait(job_id, timeout=120)
        assert record.state is State.SUCCEEDED, record.error
        return record.parsed_result()

    file = service.attach(("boiler.md", f"# Boiler\n\n{FACT}\n".encode()))
    ingested = submit("ingest", files=[{**file.model_dump(), "source": "boiler.md"}])
    (report,) = result(ingested).files
    assert (report.status, report.error) == ("added", None)

    image = service.attach(("screen.png", picture()))
    jobs = {
        "chat": [
            submit("chat", messages=[{"role": "user", "content": "How do I reset the boiler?"}]) for _ in range(4)
        ],
        "search": [submit("search", query="reset the boiler") for _ in range(3)],
        "summarize": [submit("summarize", texts=[{"text": FACT}], sentences=1) for _ in range(3)],
        "embed": [submit("embed", texts=["boiler"]) for _ in range(3)],
        "describe": [submit("describe", images=[image.model_dump()]) for _ in range(2)],
    }
    results = {kind: [result(job_id) for job_id in ids] for kind, ids in jobs.items()}
    assert all("seven seconds" in answer.text for answer in results["chat"])
    assert all(found.passages[0].source == "boiler.md" for found in results["search"])
    assert all(summary.text for summary in results["summarize"])
    assert all(embedded.vectors == results["embed"][0].vectors for embedded in results["embed"])
    assert all("E42" in described.text for described in results["describe"])

    # What needs a generative model says so, wherever it ran.
    refused = service.wait(submit("translate", text="Hello", target="de"), timeout=60)
    assert (refused.state, refused.error["code"]) == (State.FAILED, "needs_model")

    ran = {service.get(job_id).attempts[0].worker for ids in jobs.values() for job_id in ids}
    assert ran == set(NAMES)
    assert not (tmp_path / "client" / "content").exists(), "what is shared lies where PHIQ_CONTENT_URL says"
