"""Every format with everything that can be wrong with a file: words or a typed error, in bounded time."""

from __future__ import annotations

import contextlib
import io
import json
import zipfile
from collections.abc import Callable

import pytest

from knowledge.errors import DocumentEmpty, DocumentTooLarge, DocumentUnreadable, UserError
from knowledge.load import SUFFIXES, LoadLimits, load, plain_text

WORDS = "The lamp stands on the table and shines."
PACKAGES = (".docx", ".pptx", ".xlsx")
BINARY = (".pdf", *PACKAGES)
TEXTS = (".txt", ".md", ".html", ".csv", ".json", ".jsonl", ".eml", ".mbox")
ALL = (*TEXTS, *BINARY)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)
PARTS = {".docx": "word/document.xml", ".pptx": "ppt/presentation.xml", ".xlsx": "xl/workbook.xml"}


def refused(data: bytes, name: str, kind: type[UserError], words: str = "") -> UserError:
    with pytest.raises(kind, match=words) as caught:
        load(data, name, f"/docs/{name}")
    assert type(caught.value) is kind
    assert caught.value.hint
    assert caught.value.subject == name
    return caught.value


def repacked(data: bytes, change: Callable[[str, bytes], bytes], **more: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr(part, change(part, old.read(part)))
        for part, body in more.items():
            new.writestr(part, body)
    return buffer.getvalue()


def test_the_cases_name_every_format(good: dict[str, bytes]) -> None:
    assert set(ALL) == set(good)
    same = {".text", ".log", ".markdown", ".htm", ".xhtml", ".tsv", ".ndjson"}
    assert set(ALL) | same == SUFFIXES


@pytest.mark.parametrize("suffix", ALL)
def test_the_good_file(suffix: str, good: dict[str, bytes]) -> None:
    document = load(good[suffix], f"lamp{suffix}", "x")
    assert WORDS in plain_text(document)
    assert all(section.text.strip() for section in document.sections)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.97])
@pytest.mark.parametrize("suffix", ALL)
def test_truncated(suffix: str, share: float, good: dict[str, bytes]) -> None:
    data = good[suffix][: int(len(good[suffix]) * share)]
    if suffix in PACKAGES or suffix in (".json", ".jsonl"):
        refused(data, f"a{suffix}", DocumentUnreadable, "broken|no valid JSON")
        return
    with contextlib.suppress(UserError):
        assert load(data, f"a{suffix}", "a").sections


@pytest.mark.parametrize("wrong", ALL)
@pytest.mark.parametrize("suffix", ALL)
def test_mislabelled(suffix: str, wrong: str, good: dict[str, bytes]) -> None:
    if suffix == wrong:
        return
    if suffix in BINARY or wrong in BINARY:
        refused(good[suffix], f"a{wrong}", DocumentUnreadable, "looks like|binary data")
        return
    with contextlib.suppress(UserError):  # text as another kind of text may well be read
        assert load(good[suffix], f"a{wrong}", "a").sections


@pytest.mark.parametrize("suffix", [".json", ".jsonl", ".eml", ".mbox"])
def test_text_that_is_not_of_its_kind(suffix: str) -> None:
    refused(b"just some words\nand others\n", f"a{suffix}", DocumentUnreadable, "no valid JSON|is no mail")


def encrypted_mail(kind: str) -> bytes:
    return (
        f"From: ann@example.org\nSubject: Secret\nMIME-Version: 1.0\nContent-Type: {kind}\n"
        "Content-Transfer-Encoding: base64\n\nMIIBHgYJKoZIhvcNAQcDoIIBDzCC\n"
    ).encode()


def flagged(data: bytes) -> bytes:
    """The archive with the mark of encryption on each part, in both of its directories."""
    changed = bytearray(data)
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            changed[at + place] |= 1
            at = data.find(mark, at + 4)
    return bytes(changed)


@pytest.mark.parametrize("suffix", PACKAGES)
def test_protected_office_files(suffix: str, good: dict[str, bytes]) -> None:
    whole = OLE + "EncryptedPackage".encode("utf-16-le")
    assert refused(whole, f"a{suffix}", DocumentUnreadable, "password").details["reason"] == "protected"
    assert refused(flagged(good[suffix]), f"a{suffix}", DocumentUnreadable, "password").details["reason"] == "protected"


@pytest.mark.parametrize(
    "kind", ["application/pkcs7-mime; smime-type=enveloped-data", "multipart/encrypted; boundary=x"]
)
def test_encrypted_mails(kind: str, mail: Callable[..., bytes], mailbox: Callable[..., bytes]) -> None:
    secret = encrypted_mail(kind)
    assert refused(secret, "a.eml", DocumentUnreadable, "is encrypted").details["reason"] == "protected"
    assert refused(mailbox(secret), "a.mbox", DocumentUnreadable, "is encrypted").details["reason"] == "protected"
    document = load(mailbox(secret, mail()), "a.mbox", "a")
    assert [WORDS in section.text for section in document.sections] == [True]


EMPTY: dict[str, tuple[bytes, ...]] = {
    ".txt": (b"\n\n",),
    ".md": (b"# One\n",),
    ".html": (b"<html><body></body></html>",),
    ".csv": (b",,\n,,\n",),
    ".json": (b"{}", b"[]", b"null", b'{"a": {"b": ["", null]}}'),
    ".jsonl": (b"\n \n", b"{}\n[]\n"),
    ".eml": (b"From: ann@example.org\n\n",),
    ".mbox": (b"From ann@example.org Fri Jan  2 10:00:00 2026\n\n",),
}


@pytest.mark.parametrize("suffix", ALL)
def test_empty(suffix: str) -> None:
    for data in (b"", b" \n", *EMPTY.get(suffix, ())):
        refused(data, f"a{suffix}", DocumentEmpty, "empty|no text")


def test_office_files_without_a_word() -> None:
    import docx
    from openpyxl import Workbook
    from pptx import Presentation

    for suffix, made in ((".docx", docx.Document()), (".pptx", Presentation()), (".xlsx", Workbook())):
        buffer = io.BytesIO()
        made.save(buffer)
        refused(buffer.getvalue(), f"a{suffix}", DocumentEmpty, "no text")


def pdf_of_pages(count: int) -> bytes:
    """A PDF whose pages are one page many times; written here, because libraries take a minute for it."""
    parts = [b"<</Type/Catalog/Pages 2 0 R>>"]
    kids = b" ".join(b"%d 0 R" % (number + 3) for number in range(count))
    parts.append(b"<</Type/Pages/Count %d/Kids[%b]>>" % (count, kids))
    parts += [b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 99 99]>>"] * count
    out, places = b"%PDF-1.4\n", []
    for number, part in enumerate(parts, start=1):
        places.append(len(out))
        out += b"%d 0 obj" % number + part + b"endobj\n"
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"xref\n0 %d\n0000000000 65535 f \n%btrailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF"
    return out + end % (len(parts) + 1, table, len(parts) + 1, len(out))


@pytest.mark.timeout(90)
@pytest.mark.parametrize("suffix", ALL)
def test_ten_thousand_pages(
    suffix: str, good: dict[str, bytes], mail: Callable[..., bytes], mailbox: Callable[..., bytes]
) -> None:
    count = 10_000
    many = "".join(f"<p>Page {number} of many.</p>\n" for number in range(count))
    paragraph = "<w:p><w:r><w:t>Words of a page.</w:t><w:br w:type='page'/></w:r></w:p>"
    made: dict[str, Callable[[], bytes]] = {
        ".txt": lambda: b"Words of a page.\x0c\n" * count,
        ".md": lambda: b"# Page\n\nWords of a page.\n" * count,
        ".html": lambda: f"<html><body><article>{many}</article></body></html>".encode(),
        ".csv": lambda: b"Page,Words\n" + b"1,Words of a page.\n" * count,
        ".json": lambda: json.dumps([{"page": number, "words": WORDS} for number in range(count)]).encode(),
        ".jsonl": lambda: b'{"words": "Words of a page."}\n' * count,
        ".eml": lambda: mail(body="Words of a page.\n" * count),
        ".mbox": lambda: mailbox(*[mail(number=number) for number in range(20)] * (count // 20)),
        ".pdf": lambda: pdf_of_pages(count),
        ".docx": lambda: repacked(
            good[".docx"],
            lambda part, body: (
                body.replace(b"<w:body>", b"<w:body>" + paragraph.encode() * count) if part == PARTS[".docx"] else body
            ),
        ),
        ".pptx": lambda: repacked(
            good[".pptx"],
            lambda _, body: body,
            **{f"ppt/slides/slide{number}.xml": b"<x/>" for number in range(2, count + 2)},
        ),
        ".xlsx": lambda: repacked(
            good[".xlsx"],
            lambda part, body: (
                body.replace(
                    b"</sheetData>", b"<row><c t='inlineStr'><is><t>Word</t></is></c></row>" * count + b"</sheetData>"
                )
                if "sheet1" in part
                else body
            ),
        ),
    }
    data = made[suffix]()
    if suffix in (".pdf", ".pptx"):
        error = refused(data, f"a{suffix}", DocumentTooLarge, "limit is|times its size")
        assert error.details
    else:
        document = load(data, f"a{suffix}", "a")
        assert sum(len(section.text) for section in document.sections) > 40_000


@pytest.mark.parametrize("suffix", PACKAGES)
def test_a_zip_bomb_is_refused_before_it_is_unpacked(
    suffix: str, good: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = repacked(good[suffix], lambda _, body: body, **{"custom/bomb.xml": bytes(50_000_000)})
    parts = repacked(good[suffix], lambda _, body: body, **{f"x/{number}.bin": b"" for number in range(10_001)})
    part = repacked(good[suffix], lambda _, body: body, **{"x.xml": b"<x/>" * 30_000})

    def refuse(*_: object) -> bytes:
        raise AssertionError("unpacked")

    monkeypatch.setattr(zipfile.ZipFile, "read", refuse)
    monkeypatch.setattr(zipfile.ZipFile, "open", refuse)
    refused(bomb, f"a{suffix}", DocumentTooLarge, "times its size")
    refused(parts, f"a{suffix}", DocumentTooLarge, "parts")
    with pytest.raises(DocumentTooLarge, match="one part"):
        load(part, f"a{suffix}", "a", LoadLimits(max_part_bytes=100_000))


@pytest.mark.parametrize("hidden", [False, True], ids=["in front", "behind a long comment"])
@pytest.mark.parametrize("suffix", PACKAGES)
def test_an_entity_bomb(suffix: str, hidden: bool, good: dict[str, bytes]) -> None:
    comment = f"<!--{'x' * 9000}-->" if hidden else ""
    entities = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10 if n else "ha" * 10}">' for n in range(10))
    body = f'<?xml version="1.0"?>{comment}<!DOCTYPE d [{entities}]><d>&e9;</d>'.encode()
    data = repacked(good[suffix], lambda part, old: body if part == PARTS[suffix] else old)
    refused(data, f"a{suffix}", DocumentUnreadable, "declares a document type")


def test_a_workbook_with_a_cell_in_the_farthest_corner(good: dict[str, bytes]) -> None:
    far = "".join(f"<row r='{row}'><c r='XFD{row}'><v>1</v></c></row>" for row in range(900_000, 902_000))
    data = repacked(
        good[".xlsx"],
        lambda part, body: body.replace(b"</sheetData>", far.encode() + b"</sheetData>") if "sheet1" in part else body,
    )
    refused(data, "a.xlsx", DocumentTooLarge, "cells")


@pytest.mark.parametrize("suffix", PACKAGES)
def test_a_bomb_in_a_mail_takes_nothing_from_the_mail(
    suffix: str, good: dict[str, bytes], mail: Callable[..., bytes]
) -> None:
    bomb = repacked(good[suffix], lambda _, body: body, **{"custom/bomb.xml": bytes(50_000_000)})
    (section,) = load(mail(files={f"b{suffix}": bomb}), "a.eml", "a").sections
    assert section.text.startswith(WORDS)
    assert f"b{suffix} (not read: unpacks to" in section.text


HOSTILE = {
    "deep": "<div>" * 20_000 + f"<p>{WORDS}</p>",
    "tables": f"<p>{WORDS}</p>" + "<table><tr><td>" * 2_000,
    "entities": f"<p>{WORDS}</p><p>" + "&amp;" * 50_000,
    "scripts": f"<p onclick='x()'>{WORDS}<svg><script>evil()</script></svg><iframe src='//x'></iframe></p>",
    "attributes": f"<p {'a=1 ' * 50_000}>{WORDS}</p>",
    "open tags": f"<p>{WORDS}</p>" + "<" * 100_000,
    "hidden": f"<p>{WORDS}</p><p style='display:none'>evil()</p><p hidden>evil()</p><template>evil()</template>",
    "tiny": f"<p>{WORDS}</p><span style='font-size: 0px'>evil()</span><i style='visibility:hidden'>evil()</i>",
    "comments": f"<!--{'-' * 100_000}--><p>{WORDS}</p><!-- evil() -->",
    "null": f"<p>{WORDS}</p><scr\x00ipt>evil()</scr\x00ipt><style>evil()</style>",
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("case", HOSTILE)
@pytest.mark.parametrize("suffix", [".html", ".eml", ".jsonl", ".mbox"])
def test_hostile_html(suffix: str, case: str, mail: Callable[..., bytes], mailbox: Callable[..., bytes]) -> None:
    page = f"<html><body>{HOSTILE[case]}</body></html>"
    made = {
        ".html": page.encode,
        ".eml": lambda: mail(body="", page=page),
        ".mbox": lambda: mailbox(mail(body="", page=page)),
        ".jsonl": lambda: json.dumps({"id": 1, "subject": "Lamp", "description": page}).encode(),
    }
    try:
        text = plain_text(load(made[suffix](), f"a{suffix}", "a"))
    except DocumentUnreadable:
        assert case in ("deep", "tables", "null")
        return
    assert "evil" not in text
    assert WORDS in text or case == "deep"


@pytest.mark.parametrize(
    "data",
    [
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a": ' + b"9" * 100_000 + b"}",
        b'{"a": "\\ud800 half a pair"}',
        b'{"a": NaN, "b": Infinity}',
        b'{"a": 1} {"a": 2}',
        b'{"a": 1,}',
    ],
    ids=["open lists", "open objects", "deep", "long number", "half a pair", "no numbers", "two", "comma"],
)
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_hostile_json(suffix: str, data: bytes) -> None:
    with contextlib.suppress(DocumentUnreadable):
        for section in load(data, f"a{suffix}", "a").sections:
            section.text.encode()


def test_a_mail_in_a_mail_in_a_mail(mail: Callable[..., bytes]) -> None:
    data = mail(body="innermost")
    for number in range(8):
        data = mail(body=f"layer {number}", files={"inner.eml": data})
    document = load(data, "a.eml", "a")
    assert "layer 7" in document.sections[0].text
    assert "too deep" in document.sections[-1].text


@pytest.mark.timeout(30)
@pytest.mark.parametrize("words", ["=?utf-8?q?a?= ", "(", "<a@b>, ", '"', "a*0=b; "])
@pytest.mark.parametrize("header", ["From", "Subject", "Content-Type", "Date", "References"])
def test_headers_made_to_be_slow_are_not(header: str, words: str) -> None:
    data = f"X-Other: y\nFrom: ann@example.org\n{header}: {words * 10_000}\n\nStill there are words.\n".encode()
    assert "Still there are words." in plain_text(load(data, "a.eml", "a"))


def test_a_mail_with_broken_headers() -> None:
    data = (
        b"From: =?utf-8?b?////?= <@@>\nDate: Fri, 99 Foo 20266 99:99:99 +9999\nSubject: =?x-none?q?a=ff?=\n"
        b"Content-Type: text/plain; charset=nonsense; name*=x''%ff%fe\nContent-Disposition: inline; filename*=x''%ff\n"
        b"Message-ID: <<<\nReferences: <" + b"a" * 50_000 + b"\n\nStill there are words.\n"
    )
    assert "words" in plain_text(load(data, "a.eml", "a"))
    plain = b"From: =?utf-8?b?////?= <@@>\nDate: Fri, 99 Foo 20266\nSubject: \xff\xfe\n\nStill there are words.\n"
    assert "Still there are words." in plain_text(load(plain, "a.eml", "a"))
