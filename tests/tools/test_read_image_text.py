"""Reading text in pictures, with the real recogniser."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from PIL import Image, ImageDraw, ImageFont

from tools.read_image_text import as_text, is_reliable, read_lines, rows, without_strangers
from tools.types import TextLine

Written = Callable[..., Image.Image]


def _line(text: str, score: float = 0.99, box: tuple[int, int, int, int] = (0, 0, 10, 10)) -> TextLine:
    return TextLine(text=text, score=score, box=box)


def test_drawn_text_is_read_where_it_stands(written: Written) -> None:
    lines = read_lines(written("Order 4711 was refused", "Contact support@example.org"))

    assert [line.text for line in lines] == ["Order 4711 was refused", "Contact support@example.org"]
    assert all(is_reliable(line) for line in lines)
    left, top, right, bottom = lines[0].box
    assert abs(left - 24) < 15
    assert 10 < top < bottom < 70
    assert 200 < right < 400


@pytest.mark.parametrize(("ink", "ground"), [((200, 0, 0), "white"), ("white", (30, 90, 200)), ((0, 0, 160), "yellow")])
def test_coloured_text_is_read(ink: object, ground: object, written: Written) -> None:
    assert "card expired" in as_text(read_lines(written("card expired", ink=ink, ground=ground)))


def test_pieces_come_row_by_row_and_left_to_right() -> None:
    image = Image.new("RGB", (800, 260), "white")
    pen = ImageDraw.Draw(image)
    font = ImageFont.load_default(26)
    for place, words in {
        (500, 150): "39.00",
        (30, 40): "Name",
        (30, 150): "Total amount",
        (500, 44): "Ostervane",  # drawn a little lower than its neighbour
    }.items():
        pen.text(place, words, font=font, fill="black")

    assert as_text(read_lines(image)) == "Name  Ostervane\nTotal amount  39.00"


def test_a_picture_without_text_has_no_lines() -> None:
    assert read_lines(Image.new("RGB", (300, 200), "white")) == []
    assert read_lines(Image.new("RGB", (1, 1))) == []


def test_lone_symbols_are_dropped() -> None:
    image = Image.new("RGB", (600, 120), "white")
    pen = ImageDraw.Draw(image)
    pen.text((30, 40), "Settings", font=ImageFont.load_default(28), fill="black")
    pen.text((450, 40), "x", font=ImageFont.load_default(28), fill="black")

    assert [line.text for line in read_lines(image)] == ["Settings"]


def test_a_small_strip_and_a_tall_page_are_read(written: Written) -> None:
    assert "Invoice 2041" in as_text(
        read_lines(written("Invoice 2041", size=(240, 60), font=16).crop((0, 10, 240, 55)))
    )

    tall = Image.new("RGB", (400, 3000), "white")
    pen = ImageDraw.Draw(tall)
    for number in range(1, 7):
        pen.text((30, number * 470), f"Entry number {number}", font=ImageFont.load_default(22), fill="black")

    assert [line.text for line in read_lines(tall)] == [f"Entry number {number}" for number in range(1, 7)]


def test_many_threads_read_what_one_reads(written: Written) -> None:
    pictures = [written(f"Ticket{number}", size=(200, 80)) for number in range(4)]
    alone = {number: as_text(read_lines(picture)) for number, picture in enumerate(pictures)}
    found: dict[int, str] = {}

    def read(number: int) -> None:
        found[number] = as_text(read_lines(pictures[number]))

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)

    assert found == alone == {number: f"Ticket{number}" for number in range(4)}


def test_a_score_below_nine_tenths_is_unreliable() -> None:
    assert is_reliable(_line("a", 0.90))
    assert not is_reliable(_line("a", 0.899))


def test_doubtful_scraps_of_another_script_are_dropped() -> None:
    lines = [
        _line("Signal strength"),
        _line("只润回", 0.61),
        _line("Slgnal", 0.7),
        _line("-58", 0.7),
        _line("电源", 0.98),
    ]

    assert [line.text for line in without_strangers(lines)] == ["Signal strength", "Slgnal", "-58", "电源"]


def test_where_nothing_was_read_well_no_script_is_at_home() -> None:
    lines = [_line("只润回", 0.61), _line("abc", 0.7)]

    assert without_strangers(lines) == lines


def test_a_chinese_picture_keeps_its_doubtful_chinese() -> None:
    lines = [_line("电源设置"), _line("日本語の", 0.7), _line("abc", 0.6)]

    assert [line.text for line in without_strangers(lines)] == ["电源设置", "日本語の"]


def test_rows_of_a_slanted_page_follow_the_slant() -> None:
    lines = [
        _line(f"{row}{part}", box=(part * 100, row * 30 + part * 4, part * 100 + 80, row * 30 + part * 4 + 20))
        for row in range(4)
        for part in range(3)
    ]

    assert [[line.text for line in row] for row in rows(lines)] == [
        [f"{row}{part}" for part in range(3)] for row in range(4)
    ]
