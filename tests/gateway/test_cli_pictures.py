"""Pictures for a purpose, masked ones and websites from the command line, with a real worker."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

pytestmark = pytest.mark.service
Run = Callable[..., Any]


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    image = Image.new("RGB", (700, 200), "white")
    pen = ImageDraw.Draw(image)
    for at, line in enumerate(("Shop settings", "Contact jane.roe@example.org")):
        pen.text((24, 24 + at * 60), line, font=ImageFont.load_default(28), fill="black")
    path = tmp_path / "screen.png"
    image.save(path)
    return path


def test_a_masked_picture_is_saved_and_fetched(run: Run, stack: Any, picture: Path, tmp_path: Path) -> None:
    done = run("describe", picture, "--mask", "--as", "alt-text", "--json")
    assert done.code == 0, done.err
    assert "jane" not in done.out
    said = done.json["result"]
    assert len(said["text"]) <= 125
    assert "[e-mail]" in said["text"]
    saved = run("jobs", "save", done.json["id"], "--to", tmp_path, "--json")
    assert saved.code == 0, saved.err
    path = Path(saved.json["files"][0])
    assert path.name == "screen-masked.png"
    with Image.open(path) as image:
        assert image.size == (700, 200)

    from gateway.client import Client

    assert Client(settings=stack).job(done.json["id"]).fetch(said["masked"][0]["picture"]["ref"]) == path.read_bytes()
    # A sweep leaves what a result refers to.
    from workers.ledger.refs import marked
    from workers.payloads import Payloads
    from workers.service import Service

    service = Service.connect(stack)
    assert said["masked"][0]["picture"]["ref"] in marked(service.ledger.scripts, Payloads.of(stack))
    service.close()
    missing = run("jobs", "save", run("describe", picture, "--json").json["id"], "--to", tmp_path)
    assert missing.code == 0
    assert "no files" in missing.err


def test_a_form_that_is_none_is_told(run: Run, picture: Path) -> None:
    done = run("describe", picture, "--as", "poem")
    assert done.code != 0
    assert "alt-text" in done.err


def test_a_private_website_is_refused(run: Run) -> None:
    done = run("ingest", "http://127.0.0.1:1/", "--json")
    assert done.code != 0
    error = json.loads(done.err or done.out)
    assert "address_refused" in json.dumps(error)


def test_files_are_saved_beside_what_is_there(tmp_path: Path) -> None:
    from gateway.cli.saving import save

    (tmp_path / "a.png").write_bytes(b"mine")
    paths = save([("../../a.png", b"1"), ("a.png", b"2"), ("\\x\\..\\b\0.png", b"3"), ("..", b"4")], tmp_path)
    assert [path.name for path in paths] == ["a-2.png", "a-3.png", "b.png", "file"]
    assert (tmp_path / "a.png").read_bytes() == b"mine"
