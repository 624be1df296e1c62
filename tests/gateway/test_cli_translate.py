"""phiq translate with files: formats, glossary, folder of results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.service
Run = Callable[..., Any]
STRINGS = '{"title": "Pay {amount} now", "steps": ["Choose a card", "Confirm"]}'
PAGE = '<!doctype html><html lang="en"><body><p>The ferry leaves <b>every</b> morning.</p></body></html>'
SRT = "1\n00:00:01,000 --> 00:00:04,000\nThe ferry leaves every morning.\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "strings.json").write_text(STRINGS)
    (folder / "page.html").write_text(PAGE)
    (folder / "film.srt").write_text(SRT)
    return folder


def test_files_are_translated_into_a_folder(run: Run, files: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run("translate", *sorted(files.iterdir()), "--to", "de", "--model", "fake:faithful", "-o", out)
    assert done.code == 0, done.err
    assert sorted(path.name for path in out.iterdir()) == ["film.srt", "page.html", "strings.json"]
    strings = json.loads((out / "strings.json").read_text())
    assert strings.keys() == json.loads(STRINGS).keys()
    assert "{amount}" in strings["title"]
    assert strings["title"] != "Pay {amount} now"
    page = (out / "page.html").read_text()
    assert '<html lang="de"><body><p>' in page
    assert "<b>" in page
    assert "ferry" not in page
    assert (out / "film.srt").read_text().splitlines()[:2] == SRT.splitlines()[:2]
    assert f"Written: {out / 'film.srt'}" in done.err
    assert "Written" not in done.out


def test_one_file_into_a_folder_prints_no_text_and_overwrites_nothing(run: Run, files: Path, tmp_path: Path) -> None:
    for name in ("strings.json", "strings-2.json"):
        done = run("translate", files / "strings.json", "--to", "de", "-m", "fake:faithful", "-o", tmp_path / "out")
        assert done.code == 0, done.err
        assert done.out == ""
        assert (tmp_path / "out" / name).is_file()


def test_a_glossary_is_held_and_what_misses_it_is_shown(run: Run, tmp_path: Path) -> None:
    (tmp_path / "terms.csv").write_text("term,translation\nferry,Fähre\n", "utf-8")
    arguments = ["The ferry leaves every morning from the harbour.", "--to", "de", "-m", "fake:faithful"]
    done = run("translate", *arguments, "--glossary", tmp_path / "terms.csv", "--keep", "harbour")
    assert done.code == 0, done.err
    assert "Fähre" in done.out + done.err
    assert "line 1" in done.out
    document = run("translate", *arguments, "--glossary", tmp_path / "terms.csv", "--json").json
    assert document["result"]["report"]["terms"] == {"ferry": 1}
    assert document["result"]["issues"][0]["problem"] == "term"


@pytest.mark.parametrize(
    ("content", "words"),
    [(b"ferry\n", "Line 1"), (b"a,b\n,c\n", "Line 2"), (b"\xff\xfe\xff", "UTF-8"), (None, "can't be read")],
)
def test_a_broken_glossary_is_refused_with_its_line(
    run: Run, tmp_path: Path, content: bytes | None, words: str
) -> None:
    if content is not None:
        (tmp_path / "terms.csv").write_bytes(content)
    done = run("translate", "Hello", "--to", "de", "--glossary", tmp_path / "terms.csv")
    assert done.code == 3, done.err
    assert words in done.err


def test_a_format_that_a_file_has_not_is_the_users_error(run: Run, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"a": ')
    done = run("translate", tmp_path / "broken.json", "--to", "de", "-m", "fake:faithful")
    assert done.code == 3
    assert "format_broken" in done.err
    assert "line 1" in done.err
    assert run("translate", "Hello", "--to", "de", "--format", "docx").code == 2


def test_a_language_that_the_model_was_not_made_for_is_refused_by_name(run: Run) -> None:
    done = run("translate", "Hello", "--to", "de", "-m", "ollama:phi3:mini")
    assert done.code == 3
    assert "German" in done.err
    assert "phi-4-mini" in done.err or "phi-3.5-mini" in done.err


def test_a_batch_translates_files_in_their_own_format(run: Run, files: Path, tmp_path: Path) -> None:
    (tmp_path / "terms.csv").write_text("ferry,Fähre\n", "utf-8")
    arguments = ["--task", "translate", "--to", "de", "-m", "fake:faithful", "--glossary", tmp_path / "terms.csv"]
    done = run("batch", "run", files, *arguments, "-o", tmp_path / "out.jsonl")
    assert done.code == 0, done.err
    rows = {row["name"]: row for row in map(json.loads, (tmp_path / "out.jsonl").read_text().splitlines())}
    assert json.loads(rows["strings.json"]["text"]).keys() == json.loads(STRINGS).keys()
    assert rows["page.html"]["text"].startswith('<!doctype html><html lang="de"><body><p>')
    assert rows["film.srt"]["text"].splitlines()[:2] == SRT.splitlines()[:2]


def test_a_batch_makes_summaries_in_a_form_and_refuses_unknown_ones(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("The ferry left at eight. It came back at nine. It rained. The crew slept.")
    arguments = ["batch", "run", tmp_path / "a.txt", "--task", "summarize", "-o", tmp_path / "out.jsonl"]
    done = run(*arguments, "--style", "bullets", "--length", "short")
    assert done.code == 0, done.err
    text = json.loads((tmp_path / "out.jsonl").read_text())["text"]
    assert [line[:2] for line in text.splitlines()] == ["- ", "- "]
    refused = run(*arguments, "--style", "sonnet")
    assert refused.code == 2
    assert "handover" in refused.err
    assert run("summarize", tmp_path / "a.txt", "--length", "huge").code == 2
    assert run("describe", tmp_path / "a.png", "--as", "poem").code == 2
