"""Strips: pictures many times as long as wide, which the recogniser would enlarge without bound."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from tools import read_image_text


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """Width and height of each picture that reaches the recogniser; it finds one line at a fixed place."""
    sizes: list[tuple[int, int]] = []

    def engine(pixels: Any) -> SimpleNamespace:
        sizes.append((pixels.shape[1], pixels.shape[0]))
        corners = SimpleNamespace(tolist=lambda: [[[10, 4], [60, 4], [60, 20], [10, 20]]])
        return SimpleNamespace(boxes=corners, txts=["Words"], scores=[0.99])

    monkeypatch.setattr(read_image_text, "_engine", lambda: engine)
    return sizes


@pytest.mark.parametrize("size", [(30_000, 8), (2_000, 48), (8, 30_000), (48, 2_000)])
def test_no_strip_reaches_the_recogniser_as_one(seen: list[tuple[int, int]], size: tuple[int, int]) -> None:
    read_image_text.read_lines(Image.new("RGB", size, "white"))

    assert seen
    assert all(min(one) >= 30 and max(one) <= 8 * min(one) for one in seen)


@pytest.mark.parametrize("size", [(30_000, 1), (1, 30_000), (5, 5)])
def test_what_is_thinner_than_a_letter_is_not_read(seen: list[tuple[int, int]], size: tuple[int, int]) -> None:
    assert read_image_text.read_lines(Image.new("RGB", size, "white")) == []
    assert not seen


def test_boxes_stay_in_the_pixels_of_the_strip(seen: list[tuple[int, int]]) -> None:
    assert [line.box for line in read_image_text.read_lines(Image.new("RGB", (1_000, 48), "white"))] == [
        (10, 4, 60, 20)
    ]
