"""What workers give the loaders: text recognition and languages, with the models that are on this machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agents.contract import IngestResult, SearchResult
from gateway.cli.inputs import read_text
from workers.content import open_content
from workers.jobs import parse_job
from workers.runner import Runner
from workers.settings import Settings

pytestmark = pytest.mark.service
GERMAN = "Die Garantie gilt zwei Jahre ab dem Tag des Kaufes, und danach hilft nur noch eine Reparatur. "


def scan(words: str) -> bytes:
    from fpdf import FPDF
    from PIL import Image, ImageDraw, ImageFont

    picture = Image.new("RGB", (1240, 600), "white")
    ImageDraw.Draw(picture).text((80, 100), words, fill="black", font=ImageFont.load_default(44))
    pdf = FPDF()
    pdf.add_page()
    pdf.image(picture, 0, 0, 210, 102)
    return bytes(pdf.output())


def test_a_scan_is_read_and_languages_are_told(
    settings: Callable[..., Settings], redis_url: str, chroma_server: str, tmp_path: Path
) -> None:
    configured = settings(redis_url=redis_url, chroma_url=chroma_server)
    given = {
        "scan.pdf": scan("The warranty of a scanned lamp\nlasts for seven years."),
        "de.txt": (GERMAN * 3).encode(),
    }
    content = open_content(configured)
    files = [{**content.put(data, name).model_dump(), "source": name} for name, data in given.items()]
    runner = Runner(configured)

    def run(**job: Any) -> Any:
        import threading

        (*_, last) = runner.run(parse_job({"tenant": "scans", **job}), threading.Event())
        return last.result

    try:
        report = run(kind="ingest", input={"files": files})
        found = run(kind="search", input={"query": "seven years warranty of a scanned lamp", "top_k": 2})
    finally:
        runner.close()
    assert isinstance(report, IngestResult)
    assert [file.status for file in report.files] == ["added", "added"]
    assert isinstance(found, SearchResult)
    passages = {passage.source: passage for passage in found.passages}
    assert "seven years" in passages["scan.pdf"].text
    assert (passages["scan.pdf"].page, passages["scan.pdf"].language) == (1, "en")
    assert (passages["de.txt"].line, passages["de.txt"].language) == (1, "de")

    (tmp_path / "scan.pdf").write_bytes(given["scan.pdf"])
    assert "seven years" in read_text(tmp_path / "scan.pdf", 10**9)
