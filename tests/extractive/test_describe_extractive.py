"""Pictures described by what was read and measured, and nothing more."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageFont

from agents.contract import CompleteInput, DescribeRequest, DescriptionResult, Picture, TranslateInput
from agents.errors import NeedsModel
from agents.extractive.complete import build_complete
from agents.extractive.describe import NO_MODEL, UNSURE, build_describe, describe_facts
from agents.extractive.translate import build_translate
from tools.errors import ImageTooLarge, ImageUnreadable
from tools.pictures import PictureLimits
from tools.types import PictureFacts, TextLine


def _picture(name: str, *lines: str, size: tuple[int, int] = (700, 220)) -> Picture:
    image = Image.new("RGB", size, "white")
    pen = ImageDraw.Draw(image)
    for at, line in enumerate(lines):
        pen.text((24, 24 + at * 44), line, font=ImageFont.load_default(24), fill="black")
    out = io.BytesIO()
    image.save(out, format="PNG")
    return Picture(name=name, data=out.getvalue())


SCREEN = _picture("screen.png", "Error E-31: cloud not reachable", "Battery level 81 percent", "Serial LP-204-77310")


def _run(*pictures: Picture, question: str | None = None, **build: Any) -> DescriptionResult:
    chunks = list(build_describe(**build).stream(DescribeRequest(pictures=pictures, question=question)))
    result = chunks[-1].result
    assert isinstance(result, DescriptionResult)
    assert "".join(chunk.delta for chunk in chunks) == result.text
    assert NO_MODEL in result.notes
    return result


def test_the_text_is_read_and_the_rest_measured() -> None:
    result = _run(SCREEN)

    assert "700 x 220 pixels" in result.text
    assert "mostly white" in result.text
    assert result.text.endswith(
        "It reads:\nError E-31: cloud not reachable\nBattery level 81 percent\nSerial LP-204-77310"
    )
    assert [fact.name for fact in result.facts] == ["screen.png"]


def test_a_question_is_answered_from_the_text(embeddings: Any) -> None:
    result = _run(SCREEN, question="How much battery is left?", embeddings=embeddings)

    assert result.text.endswith("To the question, the picture says: Battery level 81 percent")


def test_a_question_the_text_can_not_answer_says_what_could(embeddings: Any) -> None:
    result = _run(SCREEN, question="Is the person in the picture smiling?", embeddings=embeddings)

    assert "To the question" not in result.text
    assert any("vision model" in note and "--model" in note for note in result.notes)


def test_without_embeddings_a_question_is_matched_by_its_words() -> None:
    result = _run(SCREEN, question="What is the battery level?")

    assert result.text.endswith("Battery level 81 percent")


def test_several_pictures_are_numbered_and_each_is_progress() -> None:
    request = DescribeRequest(pictures=(_picture("blank.png"), _picture("note.png", "Come back on Monday")))

    chunks = list(build_describe().stream(request))

    result = chunks[-1].result
    assert isinstance(result, DescriptionResult)
    assert result.text.startswith("1. blank.png: Blank picture, 700 x 220 pixels, all white.")
    assert "\n\n2. note.png: " in result.text
    assert result.text.endswith("Come back on Monday")
    steps = [(chunk.progress.done, chunk.progress.total) for chunk in chunks if chunk.progress]
    assert steps == [(1, 2), (2, 2)]


def test_a_blank_picture_claims_nothing() -> None:
    assert _run(_picture("b.png")).text == "Blank picture, 700 x 220 pixels, all white. No text was found in it."


def test_doubtful_lines_are_marked() -> None:
    facts = PictureFacts(
        name="a",
        width=10,
        height=10,
        format="PNG",
        kind="screenshot",
        colours=["white", "blue", "red", "green"],
        codes=["https://example.org"],
        lines=[
            TextLine(text="Total", score=0.99, box=(0, 0, 5, 5)),
            TextLine(text="8.O0", score=0.7, box=(6, 0, 9, 5)),
        ],
    )

    said = describe_facts(facts)

    assert said.startswith("Screenshot, 10 x 10 pixels, mostly white, blue and red.")
    assert "A code holds: https://example.org" in said
    assert said.endswith("It reads:\nTotal  8.O0 (?)")
    assert UNSURE.startswith("Lines marked (?)")


def test_a_bad_picture_is_named() -> None:
    with pytest.raises(ImageUnreadable) as caught:
        _run(_picture("fine.png", "text"), Picture(name="broken.png", data=SCREEN.data[:300]))
    assert caught.value.subject == "broken.png"

    with pytest.raises(ImageTooLarge, match=r"screen\.png"):
        _run(SCREEN, limits=PictureLimits(max_pixels=1000))


def test_translation_and_completion_name_the_commands_that_get_a_model() -> None:
    for chain, request, command in (
        (build_translate(), TranslateInput(text="Hello", target="de"), "phiq translate --model"),
        (build_complete(), CompleteInput(prompt="Once"), "phiq complete --model"),
    ):
        with pytest.raises(NeedsModel) as caught:
            list(chain.stream(request))  # type: ignore[attr-defined]
        assert "phiq models pull phi-3.5-mini" in caught.value.hint
        assert "ollama pull phi3.5" in caught.value.hint
        assert command in caught.value.hint
