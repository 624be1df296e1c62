"""Files that can't be loaded: each gets a typed error that says what is wrong and what to do."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import random
import time
import zipfile
from pathlib import Path

import pytest

from knowledge.errors import (
    DocumentEmpty,
    DocumentTooLarge,
    DocumentUnreadable,
    DocumentUnsupported,
    UserError,
)
from knowledge.load import SUFFIXES, LoadLimits, load, read_file

OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + bytes(50)


def good_pdf(pages: int = 1, password: str = "") -> bytes:
    from fpdf import FPDF

    pdf = FPDF()
    if password:
        pdf.set_encryption(owner_password="owner", user_password=password)
    pdf.set_font("helvetica", size=12)
    for number in range(pages):
        pdf.add_page()
        pdf.cell(text=f"Page {number + 1}")
    return bytes(pdf.output())


def good_docx() -> bytes:
    import docx

    made = docx.Document()
    made.add_paragraph("Words. " * 200)
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


def packed(**parts: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts.items():
            archive.writestr(name.replace("__", "/").replace("_xml", ".xml"), data)
    return buffer.getvalue()


CASES: dict[str, tuple[str, bytes, type[UserError], str]] = {
    "empty": ("a.txt", b"", DocumentEmpty, "empty"),
    "only blanks": ("a.md", b" \n\t\n", DocumentEmpty, "empty"),
    "only headings": ("a.md", b"# One\n\n## Two\n", DocumentEmpty, "no text"),
    "page without words": ("a.html", b"<html><body><img src=x></body></html>", DocumentEmpty, "no text"),
    "binary as text": ("a.txt", bytes(range(256)) * 20, DocumentUnreadable, "binary data"),
    "binary as csv": ("a.csv", bytes(range(256)) * 20, DocumentUnreadable, "binary data"),
    "binary as page": ("a.html", os.urandom(2000), DocumentUnreadable, "binary data|looks like"),
    "picture as text": ("a.txt", PNG, DocumentUnreadable, r"a picture \(PNG\)"),
    "picture as pdf": ("a.pdf", PNG, DocumentUnreadable, r"a picture \(PNG\)"),
    "text as pdf": ("a.pdf", b"just words", DocumentUnreadable, "plain text"),
    "page as pdf": ("a.pdf", b"<!DOCTYPE html><html><p>Please log in</p></html>", DocumentUnreadable, "web page"),
    "page as table": ("a.csv", b"<html><body>Please log in</body></html>", DocumentUnreadable, "web page"),
    "pdf as docx": ("a.docx", good_pdf(), DocumentUnreadable, "a PDF"),
    "docx as pdf": ("a.pdf", good_docx(), DocumentUnreadable, r"Word document \(docx\)"),
    "docx as text": ("a.txt", good_docx(), DocumentUnreadable, r"Word document \(docx\)"),
    "xlsx as docx": ("a.docx", packed(xl__workbook_xml=b"<x/>"), DocumentUnreadable, "Excel"),
    "gzip as text": ("a.txt", gzip.compress(b"words" * 100), DocumentUnreadable, "gzip"),
    "old Word": ("a.docx", OLE + bytes(600), DocumentUnreadable, "old Office file"),
    "protected docx": (
        "a.docx",
        OLE + bytes(600) + "EncryptedPackage".encode("utf-16-le"),
        DocumentUnreadable,
        "protected by a password",
    ),
    "protected pdf": ("a.pdf", good_pdf(password="secret"), DocumentUnreadable, "protected by a password"),
    "broken pdf": ("a.pdf", b"%PDF-1.7\n" + b"rubbish " * 50, DocumentUnreadable, "broken PDF"),
    "cut docx": ("a.docx", good_docx()[:-600], DocumentUnreadable, "broken Word document"),
    "docx of nothing": ("a.docx", packed(word__document_xml=b""), DocumentUnreadable, "can't be read"),
    "docx of rubbish": ("a.docx", packed(word__document_xml=b"<a><b>"), DocumentUnreadable, "can't be read"),
    "damaged utf-8": (
        "a.txt",
        "Grüße aus Köln und Zürich, schöne Bäume".encode() + b"\xff" + b" end",
        DocumentUnreadable,
        "broken characters",
    ),
    "cut utf-16": ("a.txt", b"\xff\xfea", DocumentUnreadable, "utf-16"),
    "unknown ending": ("a.xyz", b"words", DocumentUnsupported, "no loader for .xyz"),
    "no ending, picture": ("photo", PNG, DocumentUnsupported, "picture"),
    "huge cell": ("a.csv", b"a,b\n" + b'"' + b"x" * 200_000 + b'",1\n', DocumentUnreadable, "field larger"),
}


@pytest.mark.parametrize("case", CASES)
def test_refused(case: str) -> None:
    name, data, kind, words = CASES[case]
    with pytest.raises(kind, match=words) as caught:
        load(data, name, f"/somewhere/{name}")
    assert type(caught.value) is kind
    assert caught.value.subject == name
    assert caught.value.hint
    assert caught.value.fault == "user"


def test_scanned_pdf_says_how_to_make_it_readable() -> None:
    from fpdf import FPDF
    from PIL import Image

    pdf = FPDF()
    pdf.add_page()
    pdf.image(Image.new("RGB", (40, 40), "red"))
    with pytest.raises(DocumentEmpty, match="pictures") as caught:
        load(bytes(pdf.output()), "scan.pdf", "scan.pdf")
    assert "ocrmypdf" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "data", "limits"),
    [
        ("a.txt", b"x" * 101, LoadLimits(max_bytes=100)),
        ("a.pdf", good_pdf(5), LoadLimits(max_pages=4)),
        ("a.pdf", good_pdf(5), LoadLimits(max_characters=10)),
        ("a.html", b"<html>" + b"<p>x</p>" * 100, LoadLimits(max_markup_bytes=100)),
        ("a.csv", b"a\n" * 100, LoadLimits(max_rows=50)),
        ("a.csv", b"," * 5000 + b"\n", LoadLimits()),
        ("a.txt", b"words " * 100, LoadLimits(max_characters=100)),
        ("a.docx", good_docx(), LoadLimits(max_unpacked_bytes=1000)),
    ],
)
def test_above_a_limit(name: str, data: bytes, limits: LoadLimits) -> None:
    with pytest.raises(DocumentTooLarge) as caught:
        load(data, name, name, limits)
    assert caught.value.details


def test_a_zip_bomb_is_refused_before_it_is_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    bomb = packed(word__document_xml=bytes(50_000_000))
    assert len(bomb) < 100_000

    def refuse(*_: object) -> bytes:
        raise AssertionError("unpacked")

    monkeypatch.setattr(zipfile.ZipFile, "read", refuse)
    monkeypatch.setattr(zipfile.ZipFile, "open", refuse)
    with pytest.raises(DocumentTooLarge, match="times its size"):
        load(bomb, "a.docx", "a.docx")


def test_an_entity_bomb_in_a_docx() -> None:
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha" * 10}">' for n in range(10))
    body = f'<?xml version="1.0"?><!DOCTYPE d [{entities}]><d>&e9;</d>'.encode()
    for data in (body, body.decode().encode("utf-16")):
        with pytest.raises(DocumentUnreadable, match="declares a document type"):
            load(packed(word__document_xml=data), "a.docx", "a.docx")
    page = b"<!DOCTYPE html [<!ENTITY a 'ha'>]><html><body><p>words</p></body></html>"
    assert load(page, "a.html", "a.html").sections


@pytest.mark.parametrize("name", ["a.pdf", "a.docx", "a.html", "a.csv", "a.md"])
def test_damage_anywhere_is_text_or_a_typed_error(name: str) -> None:
    makers = {".pdf": good_pdf, ".docx": good_docx}
    whole = makers.get(Path(name).suffix, lambda: b"# Words\n\n<p>a,b</p>\n" * 50)()
    dice = random.Random(7)
    for _ in range(60):
        data = bytearray(whole[: dice.randrange(1, len(whole) + 1)])
        for _ in range(dice.randrange(20)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        # Any other error would end the job that the file is in.
        with contextlib.suppress(UserError):
            assert any(section.text.strip() for section in load(bytes(data), name, name).sections)


def test_files_that_are_not_there_or_no_files(tmp_path: Path) -> None:
    with pytest.raises(DocumentUnreadable, match="no file"):
        read_file(tmp_path / "missing.txt")
    with pytest.raises(DocumentUnreadable, match="a folder"):
        read_file(tmp_path)
    with pytest.raises(DocumentUnreadable, match="not a regular file"):
        read_file(Path("/dev/zero"))
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    with pytest.raises(DocumentUnreadable):
        read_file(loop)
    big = tmp_path / "big.txt"
    with big.open("wb") as file:
        file.truncate(10**12)
    with pytest.raises(DocumentTooLarge):
        read_file(big)


def test_every_ending_refuses_random_bytes_with_a_typed_error() -> None:
    for suffix in sorted(SUFFIXES):
        with pytest.raises(UserError):
            load(random.Random(1).randbytes(5000), f"a{suffix}", "x")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.md", b"---\ntitle:" + b" " * 300_000 + b"x\n---\nwords"),
        ("a.md", b"# " + b" " * 300_000 + b"x\nwords"),
        ("a.md", b"# " + b"[" * 300_000 + b"\nwords"),
        ("a.md", (b"=" * 300_000 + b"\n") * 3),
        ("a.html", b"<!-- -->" * 250 + b"words"),
        ("a.html", b"<title>" + b"[" * 300_000 + b"</title><p>words</p>"),
        ("a.txt", b"\xe4 words " + b"x" * 3_000_000),
        ("a.csv", b"a;b\n" + b'"' * 100_001 + b"\n"),
        ("a.csv", b"'" * 200_000),
    ],
    ids=["front matter", "heading", "brackets", "underlines", "comments", "title", "latin", "quotes", "apostrophes"],
)
def test_texts_made_to_be_slow_are_not(name: str, data: bytes) -> None:
    started = time.monotonic()
    with contextlib.suppress(UserError):
        load(data, name, name)
    assert time.monotonic() - started < 20
