"""What descriptions are for, and the checks of each."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from PIL import Image, ImageDraw

import tools.read_image_text
from agents.checks.pictures import fields_in, fit_alt_text, unsupported
from agents.contract import ALT_TEXT, Attachment, DescribeRequest, Picture
from agents.describe import build_describe
from agents.extractive.describe import build_describe as build_extractive
from tools.types import TextLine

SEES = {"image_inputs": True}


def picture(name: str = "a.png") -> Picture:
    image = Image.new("RGB", (300, 200), "white")
    ImageDraw.Draw(image).rectangle((10, 10, 30, 30), fill="navy")
    out = io.BytesIO()
    image.save(out, format="PNG")
    return Picture(name=name, data=out.getvalue())


@pytest.fixture(autouse=True)
def reader(monkeypatch: pytest.MonkeyPatch) -> list[TextLine]:
    rows = ["BLUE LAMP LTD", "12 Mill Street, Oldtown", "25/12/2018", "TOTAL 9.00", "Mail jane@example.org"]
    lines = [TextLine(text=text, score=0.99, box=(40, 30 * at, 240, 30 * at + 20)) for at, text in enumerate(rows)]

    def read(image: Any) -> list[TextLine]:
        # What was painted over can't be read.
        return [line for line in lines if image.getpixel((line.box[2] - 2, line.box[1] + 5)) != (0, 0, 0)]

    monkeypatch.setattr(tools.read_image_text, "read_lines", read)
    monkeypatch.setattr("tools.mask_picture.read_lines", read)
    return lines


def request(*names: str, **more: Any) -> DescribeRequest:
    return DescribeRequest(pictures=tuple(picture(name) for name in names or ("a.png",)), **more)


def test_an_alt_text_that_fits_is_taken(model, run) -> None:
    scripted = model('"Image of a blue square on white."', profile=SEES)
    result, _ = run(build_describe(scripted), request(form="alt_text"))
    assert result.text == "A blue square on white."
    assert result.descriptions[0].shortened is False
    assert str(ALT_TEXT) in scripted.prompts[0][-1].text


def test_an_alt_text_that_is_too_long_is_asked_for_again_then_shortened(model, run) -> None:
    long = "A blue square " * 20
    result, _ = run(build_describe(model(long, "A blue square.", profile=SEES)), request(form="alt_text"))
    assert result.text == "A blue square."
    scripted = model(long, long, profile=SEES)
    result, _ = run(build_describe(scripted), request(form="alt_text"))
    assert len(result.text) <= ALT_TEXT
    assert result.text.endswith("…")
    assert result.descriptions[0].shortened is True
    assert any("shortened" in note for note in result.notes)
    assert len(scripted.prompts) == 2
    assert str(len(long.strip())) in scripted.prompts[1][-1].text


def test_each_picture_has_its_own_alt_text(model, run) -> None:
    result, _ = run(build_describe(model("One.", "Two.", profile=SEES)), request("a.png", "a.png", form="alt_text"))
    assert [one.text for one in result.descriptions] == ["One.", "Two."]
    assert result.text == "One.\nTwo."


@pytest.mark.parametrize(
    "said", ["x" * 400, "日本語" * 100, "word " * 60, "a" * 124 + " b c", "Picture of", "“Quoted”", " spaced \n out "]
)
def test_alt_texts_always_fit(said: str) -> None:
    found = fit_alt_text(said)
    assert 0 < len(found.text) <= ALT_TEXT
    assert "\n" not in found.text
    assert found.shortened == (len(" ".join(said.split())) > ALT_TEXT)


def test_fields_of_a_receipt_are_checked_against_what_was_read(model, run) -> None:
    said = {"company": "Blue Lamp Ltd", "date": "25/12/2018", "address": "12 Mill Street, Oldtown", "total": "19.00"}
    scripted = model(f"```json\n{json.dumps(said)}\n```", profile=SEES)
    result, _ = run(build_describe(scripted), request(form="receipt"))
    assert json.loads(result.text) == said
    assert result.fields[0].unsupported == ["total"]
    assert any("total" in note for note in result.notes)
    assert result.texts[0].text.startswith("BLUE LAMP LTD")


def test_a_model_without_json_is_asked_again_then_rules_do_it(model, run) -> None:
    scripted = model("It is a receipt.", '{"company": "BLUE LAMP LTD", "total": null}', profile=SEES)
    result, _ = run(build_describe(scripted), request(form="receipt"))
    assert result.fields[0].values == {"company": "BLUE LAMP LTD", "date": None, "address": None, "total": None}
    result, _ = run(build_describe(model("No.", "{broken", profile=SEES)), request(form="receipt"))
    assert result.fields[0].values["total"] == "9.00"
    assert any("by rules" in note for note in result.notes)


def test_a_screenshot_for_support(model, run) -> None:
    said = '{"application": "Shop", "error": "Payment was refused", "seen": "A form."}'
    result, _ = run(build_describe(model(said, profile=SEES)), request(form="screenshot"))
    assert result.text == "Application: Shop\nError: Payment was refused\nSeen: A form."
    assert result.fields[0].unsupported == ["error"]


def test_a_charts_figures_are_checked(model, run) -> None:
    result, _ = run(build_describe(model("It rises from 9.00 to 77.", profile=SEES)), request(form="chart"))
    assert any("77" in note and "9.00" not in note for note in result.notes)


def test_a_masked_picture_is_all_that_the_model_and_the_reader_get(model, run) -> None:
    kept: list[bytes] = []

    def keep(data: bytes, name: str) -> Attachment:
        kept.append(data)
        return Attachment(ref="sha256:" + "0" * 64, name=name, size=len(data))

    scripted = model("Write to jane@example.org at once.", profile=SEES)
    result, _ = run(build_describe(scripted, keep=keep), request(mask=True, question="Whose address is it?"))
    assert result.text == "Write to [e-mail] at once."
    assert "jane" not in scripted.prompts[0][-1].text
    assert "[e-mail]" in scripted.prompts[0][-1].text
    import base64

    sent = base64.b64decode(scripted.prompts[0][-1].content[1]["base64"])
    assert sent == kept[0]
    assert Image.open(io.BytesIO(sent)).getpixel((230, 130)) == (0, 0, 0)
    assert "jane" not in result.model_dump_json()
    assert result.masked[0].counts == {"email": 1}
    assert result.kept() == ["sha256:" + "0" * 64]
    assert any("Faces" in note for note in result.notes)


def test_a_plain_request_gets_what_older_versions_can_read(model, run) -> None:
    result, _ = run(build_describe(model("A square.", profile=SEES)), request())
    assert set(result.model_dump()) == {
        *("text", "engine", "model", "usage", "finish_reason", "notes", "facts"),
    }
    assert result.facts[0].lines


def test_the_language_is_asked_for(model, run) -> None:
    german = "Das Bild zeigt ein blaues Quadrat auf einem weißen Grund, und daneben steht eine Rechnung."
    scripted = model(german, profile=SEES)
    result, _ = run(build_describe(scripted), request(language="de"))
    assert "German" in scripted.prompts[0][-1].text
    assert not any("wrote in" in note for note in result.notes)
    result, _ = run(build_describe(model(german, profile=SEES)), request(language="en"))
    assert any("wrote in de" in note for note in result.notes)


@pytest.mark.parametrize("form", ["description", "alt_text", "long", "screenshot", "chart", "receipt"])
def test_every_form_has_its_twin_without_a_model(run, form) -> None:
    result, _ = run(build_extractive(), request("a.png", "b.png", form=form, mask=True))
    assert "jane" not in result.model_dump_json()
    if form == "receipt":
        assert json.loads(result.text.splitlines()[0])["total"] == "9.00"
    if form == "alt_text":
        assert all(len(one.text) <= ALT_TEXT for one in result.descriptions)
        assert len(result.descriptions) == 2


def test_json_in_any_wrapping() -> None:
    names = ("a", "b")
    assert fields_in('Here: {"A": 5, "b": ["x", "y"]} done', names) == {"a": "5", "b": "x, y"}
    for said in ("", "none", "{", "[1]", '{"c": 1}', "{" * 5000 + "}" * 5000):
        assert fields_in(said, names) is None


def test_support_by_what_was_read() -> None:
    read = "BLUE LAMP LTD\n12 Mill Streel, Oldtown\nTOTAL 9.00"
    fine = {"company": "Blue Lamp, Ltd.", "address": "12 Mill Street, Oldtown AB", "total": "9.00", "date": None}
    assert unsupported(fine, read) == ["address"]
    assert unsupported({"total": "8.00", "company": "Red Lamp Inc"}, read) == ["total", "company"]
