"""One input of several that can't be read is told and harms no other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]
pytestmark = pytest.mark.service


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for name in ("first", "last"):
        (tmp_path / f"{name}.txt").write_text(f"The {name} pump failed. It was mended on Monday.", encoding="utf-8")
    (tmp_path / "broken.txt").write_bytes(b"\x7fELF\x00\x01\x02\x03" * 50)
    return [str(tmp_path / f"{name}.txt") for name in ("first", "broken", "missing", "last")]


def test_the_others_are_done_and_the_exit_code_says_that_some_failed(run: Run, files: list[str]) -> None:
    out = run("summarize", *files, "--sentences", "1")
    assert out.code == 3
    assert "first pump failed" in out.out
    assert "last pump failed" in out.out
    assert out.err.count("document_unreadable") == 2
    assert "2 of 4 did not succeed" in out.err


def test_as_json_each_has_a_line(run: Run, files: list[str]) -> None:
    lines = run("summarize", *files, "--sentences", "1", "--json").lines
    named = {Path(line["name"]).name: line for line in lines}
    assert set(named) == {"first.txt", "broken.txt", "missing.txt", "last.txt"}
    assert named["missing.txt"]["error"]["code"] == "document_unreadable"
    assert named["last.txt"]["state"] == "succeeded"


def test_without_waiting_the_ids_of_the_others_are_printed(run: Run, files: list[str]) -> None:
    out = run("summarize", *files, "--no-wait")
    assert out.code == 3
    assert sum(len(line) == 32 for line in out.out.splitlines()) == 2


def test_a_single_one_and_those_that_belong_together_fail_at_once(run: Run, files: list[str]) -> None:
    assert run("summarize", files[1]).code == 3
    together = run("summarize", *files, "--together")
    assert together.code == 3
    assert together.out == ""


def test_a_missing_picture_does_not_stop_the_other(run: Run, tmp_path: Path) -> None:
    from PIL import Image

    picture = tmp_path / "red.png"
    Image.new("RGB", (64, 48), "red").save(picture)
    out = run("describe", picture, tmp_path / "missing.png")
    assert out.code == 3
    assert "64 x 48" in out.out
    assert "document_unreadable" in out.err
