"""phiq calibrate: thresholds fitted on one's own questions, kept with the collection and used by the next chat."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.service

QUESTION = "How long does the warranty of the thermostat last?"


@pytest.fixture
def collection(run: Callable[..., Any], tmp_path: Path) -> str:
    (tmp_path / "warranty.md").write_text(
        "# Warranty of the thermostat\n\nThe warranty of the thermostat lasts three years from the day of delivery.\n"
    )
    assert run("ingest", tmp_path / "warranty.md", "--collection", "calibrated").code == 0
    return "calibrated"


def _set(folder: Path, right: str, wrong: str, count: int = 20) -> Path:
    folder.mkdir()
    lines = [{"question": right.format(n=n), "answer": "three years"} for n in range(count)]
    lines += [{"question": wrong.format(n=n), "answerable": False} for n in range(count)]
    (folder / "chat.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def test_thresholds_are_fitted_kept_with_the_collection_used_and_forgotten(
    run: Callable[..., Any], collection: str, tmp_path: Path
) -> None:
    def band() -> str:
        return run("ask", QUESTION, "--collection", collection, "--json").json["result"]["band"]

    assert band() == "answered"

    # These can't be answered, it is said: then less than they show is no answer.
    strict = _set(
        tmp_path / "strict",
        "Is the warranty free in region {n}?",
        "How long does the warranty of the thermostat last? {n}",
    )
    shown = run("calibrate", strict, "--collection", collection, "--json", "--dry-run")
    assert shown.code == 0, shown.err
    assert band() == "answered", "a dry run keeps nothing"
    made = run("calibrate", strict, "--collection", collection, "--at-most", "0", "--json").json
    assert made["before"]["falsely"] == 1.0
    assert made["held_out"]["falsely"] <= 0.2
    assert made["calibration"]["questions"] == made["answerable"] + made["unanswerable"] == 40
    assert band() == "passages"

    assert run("calibrate", "--reset", "--collection", collection).code == 0
    assert band() == "answered"


def test_too_few_questions_of_a_kind_are_refused_with_what_is_needed(run: Callable[..., Any], tmp_path: Path) -> None:
    few = _set(
        tmp_path / "few", "How long is the warranty of item {n}?", "What is the capital of country {n}?", count=3
    )
    said = run("calibrate", few)
    assert said.code != 0
    assert "At least 20 of each" in said.err


def test_a_collection_that_is_not_there_is_named(run: Callable[..., Any], tmp_path: Path) -> None:
    enough = _set(tmp_path / "enough", "How long is the warranty of item {n}?", "What is the capital of country {n}?")
    said = run("calibrate", enough, "--collection", "nowhere")
    assert said.code != 0
    assert "nowhere" in said.err
