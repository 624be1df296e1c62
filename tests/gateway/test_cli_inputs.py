"""What arguments stand for, and what bad files get."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.contract import Attachment, FileReport
from gateway.cli.documents import _attach
from gateway.cli.inputs import read_text, texts
from gateway.cli.io import clean
from gateway.errors import InputMissing
from gateway.files import expand
from knowledge.errors import DocumentEmpty, DocumentTooLarge, DocumentUnreadable, PhiqError

LIMIT = 10_000


def test_markdown_is_read_as_it_stands_and_html_as_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("# Title\n\n- one\n", encoding="utf-8")
    (tmp_path / "b.html").write_text("<html><body><h1>Title</h1><p>One sentence here.</p></body></html>", "utf-8")
    assert read_text(tmp_path / "a.md", LIMIT) == "# Title\n\n- one\n"
    assert "<p>" not in read_text(tmp_path / "b.html", LIMIT)
    assert "One sentence here." in read_text(tmp_path / "b.html", LIMIT)


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("missing.txt", None, DocumentUnreadable),
        ("empty.txt", b"", DocumentEmpty),
        ("blank.txt", b" \n\t", DocumentEmpty),
        ("binary.txt", bytes(range(256)) * 4, DocumentUnreadable),
        ("huge.txt", b"a" * (LIMIT + 1), DocumentTooLarge),
        ("broken.pdf", b"%PDF-1.7 nonsense", DocumentUnreadable),
        ("broken.docx", b"PK\x03\x04 nonsense", DocumentUnreadable),
    ],
)
def test_bad_files_have_their_error_and_a_next_step(
    name: str, data: bytes | None, error: type[PhiqError], tmp_path: Path
) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(error) as caught:
        read_text(path, LIMIT)
    assert caught.value.hint
    assert name in caught.value.message


def test_a_file_behind_a_password_says_so(tmp_path: Path) -> None:
    from fpdf import FPDF

    pdf = FPDF()
    pdf.set_encryption(owner_password="owner", user_password="secret")
    pdf.add_page()
    pdf.set_font("Helvetica")
    pdf.cell(text="Nobody reads this.")
    pdf.output(str(tmp_path / "protected.pdf"))
    with pytest.raises(DocumentUnreadable, match="password"):
        read_text(tmp_path / "protected.pdf", LIMIT)


def test_words_are_the_text_unless_they_name_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "note").write_text("in the file", encoding="utf-8")
    assert [one.text for one in texts(["note"], LIMIT, words="unless a file")] == ["in the file"]
    assert [one.text for one in texts(["good", "morning"], LIMIT, words="unless a file")] == ["good morning"]
    assert [one.text for one in texts(["note"], LIMIT, words="always")] == ["note"]
    long = "a sentence " * 400
    assert [one.text for one in texts([long], LIMIT, words="unless a file")] == [long]


def test_what_looks_like_a_file_and_is_none_is_not_taken_for_a_text() -> None:
    with pytest.raises(DocumentUnreadable):
        texts(["mising.md"], LIMIT, words="unless a file")


def test_an_empty_text_is_refused() -> None:
    with pytest.raises(InputMissing):
        texts(["  "], LIMIT, words="always")


def test_folders_and_patterns_give_known_kinds_only(tmp_path: Path) -> None:
    for name in ("a.md", "sub/b.txt", "c.exe", ".hidden.md", ".git/d.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x", encoding="utf-8")
    files, folders = expand([str(tmp_path)], {".md", ".txt"})
    assert [file.name for file in files] == ["a.md", "b.txt"]
    assert folders == [tmp_path.resolve()]
    files, folders = expand([str(tmp_path / "*.md"), str(tmp_path / "a.md")], {".md"})
    assert [file.name for file in files] == ["a.md"]
    assert folders == []
    assert [file.name for file in expand([str(tmp_path / "c.exe")], {".md"})[0]] == ["c.exe"]
    with pytest.raises(DocumentUnreadable):
        expand([str(tmp_path / "*.nothing")], {".md"})


def test_terminal_codes_of_documents_are_not_shown() -> None:
    assert clean("a\x1b[31mred\x1b]0;title\x07\tb\n\x9b2Jc\x7f") == "a[31mred]0;title\tb\n2Jc"


def test_a_file_whose_name_is_no_text_stops_no_other() -> None:
    class Taker:
        def attach(self, path: Path) -> Attachment:
            return Attachment(ref="sha256:" + "0" * 64, name=path.name, size=1)

    reports: list[FileReport] = []
    attached = _attach(Taker(), [Path("bad\udcff.txt"), Path("good.txt")], reports, None)  # type: ignore[arg-type]
    assert [one["source"] for one in attached] == ["good.txt"]
    assert [(one.source, one.status) for one in reports] == [("bad?.txt", "failed")]
    assert (reports[0].error or {})["code"] == "document_unreadable"
