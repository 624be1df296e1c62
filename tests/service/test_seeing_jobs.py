"""Describe jobs on a real ONNX model that sees, behind a real worker: pictures, films, and what is no picture."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workers.jobs import State, parse_job
from workers.models.shelf import Shelf

av = pytest.importorskip("av")
pytestmark = pytest.mark.service

EYES = Path(__file__).resolve().parents[1] / "assets" / "tiny-phi3v"


def photo(colour: str) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (200, 150), colour).save(out, "JPEG")
    return out.getvalue()


def film() -> bytes:
    """Six seconds, three colours."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as made:
        stream = made.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for number in range(60):
            frame = np.zeros((120, 160, 3), np.uint8)
            frame[:, :, number // 20] = 200
            made.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        made.mux(stream.encode())
    return out.getvalue()


def test_pictures_and_films_are_described_and_a_bad_picture_costs_its_own_job_only(service, start_worker):
    Shelf(service.settings.data_dir).add(EYES, "eyes")
    worker = start_worker()

    def describe(**files: bytes) -> str:
        images = [service.attach((name.replace("_", "."), data)).model_dump() for name, data in files.items()]
        job = {
            "kind": "describe",
            "model": "onnx:eyes",
            "input": {"images": images, "question": "What <|image_1|> is it?"},
            "options": {"max_tokens": 40, "temperature": 0},
        }
        return service.submit(parse_job(job)).id

    one, other = describe(a_jpg=photo("red")), describe(a_jpg=photo("blue"))
    moving = describe(b_mp4=film())
    cut = describe(a_jpg=photo("red"), c_jpg=photo("red")[:-300])
    records = {
        name: service.wait(job, timeout=90) for name, job in {"one": one, "other": other, "moving": moving}.items()
    }
    assert {record.state for record in records.values()} == {State.SUCCEEDED}, worker.log.read_text()
    results = {name: record.parsed_result() for name, record in records.items()}
    assert results["one"].text != results["other"].text
    assert results["one"].usage.prompt_tokens > 1921
    assert len(results["moving"].facts) == 3
    assert any("at most" in note and "instead of 16" in note for note in results["moving"].notes)

    failed = service.wait(cut, timeout=90)
    assert (failed.state, failed.error["code"]) == (State.FAILED, "image_unreadable")
    assert "c.jpg" in failed.error["message"]
