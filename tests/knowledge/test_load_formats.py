"""Each format, on files made here with other libraries than those that read them."""

from __future__ import annotations

import hashlib
import io
import threading
from pathlib import Path
from typing import Any

import pytest

from knowledge.errors import DocumentUnreadable
from knowledge.load import LoadLimits, load, plain_text, read_file
from knowledge.types import Document


def places(document: Document) -> list[tuple[str, str]]:
    return [(section.heading, section.text) for section in document.sections]


def pdf_of(*pages: str, title: str = "", **options: Any) -> bytes:
    from fpdf import FPDF

    pdf = FPDF()
    if title:
        pdf.set_title(title)
    pdf.set_font("helvetica", size=12)
    for number, text in enumerate(pages):
        pdf.add_page()
        if options.get("outline"):
            pdf.start_section(f"Part {number + 1}")
        pdf.multi_cell(0, text=text)
    return bytes(pdf.output())


def test_text_is_one_section_named_after_the_file() -> None:
    data = b"First line.\r\nSecond line.\r\n"
    document = load(data, "letter to all.txt", "/docs/letter to all.txt")
    assert (document.title, document.source) == ("letter to all", "/docs/letter to all.txt")
    assert places(document) == [("", "First line.\nSecond line.\n")]
    assert document.sha256 == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Grüße aus Köln", "utf-8"),
        ("Grüße aus Köln", "utf-8-sig"),
        ("Grüße aus Köln", "utf-16"),
        ("Greetings to everyone here", "utf-16-le"),
        ("Greetings to everyone here", "utf-16-be"),
        ("Grüße aus Köln", "utf-32"),
        ("Die Straße ist schön, die Bäume sind grün und das Mädchen läuft über die Brücke. " * 3, "cp1252"),
        ("Это обычный русский текст, который написан для проверки кодировки файла. " * 3, "cp1251"),
        ("これは日本語の文章です。文字コードを調べるために書かれています。" * 3, "shift_jis"),
    ],
)
def test_encodings(text: str, encoding: str) -> None:
    assert load(text.encode(encoding), "a.txt", "a.txt").sections[0].text == text


def test_utf8_cut_off_in_a_character_is_still_utf8() -> None:
    assert load("Köln und Gr\u00fc".encode()[:-1], "a.txt", "a.txt").sections[0].text == "Köln und Gr"


def test_markdown_headings_make_a_path() -> None:
    text = (
        "---\ntitle: 'The handbook'\ntags: [a]\n---\nPreface.\n\n# Lamps #\n\nAll *our* lamps.\n\n"
        "```sh\n# no heading\n```\n\n## [Returns](x.md) and `costs`\n\nThirty days.\n\n"
        "Setext\n------\nMore.\n\n- item\n---\nAfter a rule.\n\n# Chairs\n\n### Deep\nSeats.\n#hashtag\n"
    )
    document = load(text.encode(), "a.md", "a.md")
    assert document.title == "The handbook"
    assert places(document) == [
        ("", "Preface."),
        ("Lamps", "All *our* lamps.\n\n```sh\n# no heading\n```"),
        ("Lamps > Returns and costs", "Thirty days."),
        ("Lamps > Setext", "More.\n\n- item\n---\nAfter a rule."),
        ("Chairs > Deep", "Seats.\n#hashtag"),
    ]
    assert all(section.text in text for section in document.sections)


def test_markdown_without_front_matter_may_begin_with_a_rule() -> None:
    document = load(b"---\nWords between rules.\n---\n\n# Title\n\nText.\n", "a.md", "a.md")
    assert document.title == "Title"
    assert "Words between rules." in plain_text(document)


PAGE = """<!doctype html><html><head><title>Lamps | The shop</title><style>p{color:red}</style></head><body>
<nav><a href="/">Home</a><a href="/cart">Cart</a></nav>
<article><h1>Returning lamps</h1><p>You can return a lamp within thirty days when it is whole and in its box.</p>
<h2>Costs</h2><p>We pay the postage in the whole country; from abroad you pay it yourself.</p>
<ul><li>Small lamps go into a letter box.</li><li>Large lamps need a carrier to fetch them.</li></ul></article>
<script>alert("never text")</script><footer>Copyright by the shop, all rights reserved</footer></body></html>"""


def test_a_web_pages_main_text() -> None:
    document = load(PAGE.encode(), "lamps.html", "lamps.html")
    assert document.title == "Lamps | The shop"
    headings = [section.heading for section in document.sections]
    assert headings[-1] == "Returning lamps > Costs"
    text = plain_text(document)
    assert "thirty days" in text
    assert "Large lamps need a carrier" in text
    for noise in ("Cart", "alert", "color:red"):
        assert noise not in text


def test_a_web_page_in_the_encoding_it_names() -> None:
    page = "<html><head><meta charset='iso-8859-2'></head><body><p>Zażółć gęślą jaźń</p></body></html>"
    assert "Zażółć gęślą jaźń" in plain_text(load(page.encode("iso-8859-2"), "a.html", "a.html"))


def test_a_page_of_a_few_words_is_kept() -> None:
    document = load(b"<p>Closed on Sundays.</p><script>var x</script>", "a.html", "a.html")
    assert plain_text(document).strip() == "Closed on Sundays."


@pytest.mark.parametrize(
    "page",
    [
        "<div>" * 20_000 + "<p>deep words</p>",
        "<html><body><p>words</p>" + "<table><tr><td>" * 2_000,
        "<html><body><p>" + "&amp;" * 50_000 + " words</p>",
        '<!DOCTYPE html [<!ENTITY a "b"><!ENTITY c "&a;&a;&a;">]><html><body><p>words &c;</p></body></html>',
        "<html><body><p onclick='x()'>words<svg><script>1</script></svg><iframe src='//x'></iframe></p></body></html>",
    ],
    ids=["deep", "tables", "entities", "entity bomb", "scripts"],
)
def test_hostile_pages_give_words_or_a_typed_error(page: str) -> None:
    try:
        text = plain_text(load(page.encode(), "a.html", "a.html"))
    except DocumentUnreadable:
        return
    assert "words" in text
    assert "script" not in text


def test_pdf_pages_headings_and_title() -> None:
    data = pdf_of("The first page has words.", "The second page has others.", title="Hand book", outline=True)
    document = load(data, "h.pdf", "h.pdf")
    assert document.title == "Hand book"
    assert [(section.page, section.heading, section.text) for section in document.sections] == [
        (1, "Part 1", "The first page has words."),
        (2, "Part 2", "The second page has others."),
    ]


def test_pdf_lines_are_joined_into_sentences_and_divided_words_made_whole() -> None:
    text = (
        "The lamps of this house are made by hand and every one of them is tested for a whole long eve-\n"
        "ning before it leaves the workshop, which is well-known for its long-\n"
        "lasting glass. A long-lasting glass is\n"
        "dear.\n- one item\n- another item"
    )
    found = load(pdf_of(text), "h.pdf", "h.pdf").sections[0].text
    assert "whole long evening before it leaves the workshop, which is well-known" in found
    assert "long-lasting glass. A long-lasting glass is" in found
    assert found.endswith("\n- one item\n- another item")


def test_pdf_in_many_threads() -> None:
    files = [pdf_of(*(f"Document {number}, page {page}." for page in range(5))) for number in range(4)]
    found: dict[int, str] = {}

    def read(number: int) -> None:
        for _ in range(3):
            found[number] = plain_text(load(files[number], "a.pdf", "a.pdf"))

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {
        number: "\n\n".join(f"Document {number}, page {page}." for page in range(5)) for number in range(4)
    }


def test_docx_headings_tables_and_title() -> None:
    import docx

    made = docx.Document()
    made.core_properties.title = "Word book"
    made.add_paragraph("Before any heading: snake_case and 2*3*4.")
    made.add_heading("Lamps", 1)
    made.add_paragraph("Thirty days.")
    made.add_heading("Sizes", 2)
    table = made.add_table(2, 2)
    for row, values in enumerate((("Kind", "Height"), ("Desk", "40 cm"))):
        for column, value in enumerate(values):
            table.cell(row, column).text = value
    buffer = io.BytesIO()
    made.save(buffer)
    document = load(buffer.getvalue(), "w.docx", "w.docx")
    assert document.title == "Word book"
    assert places(document)[:2] == [
        ("", "Before any heading: snake_case and 2*3*4."),
        ("Lamps", "Thirty days."),
    ]
    assert document.sections[2].heading == "Lamps > Sizes"
    assert "| Desk | 40 cm |" in document.sections[2].text


@pytest.mark.parametrize(
    "data",
    [
        b'Kind,Height,Note\nDesk,40 cm,"Red, or\nblue"\n,,\nFloor,"1,5 m",\n',
        b'Kind;Height;Note\r\nDesk;40 cm;"Red, or\nblue"\r\n;;\r\nFloor;1,5 m;\r\n',
        b'Kind\tHeight\tNote\nDesk\t40 cm\t"Red, or\nblue"\n\t\t\nFloor\t1,5 m\t\n',
        b'sep=|\nKind|Height|Note\nDesk|40 cm|"Red, or\nblue"\n||\nFloor|1,5 m|\n',
    ],
    ids=["comma", "semicolon", "tab", "told"],
)
def test_table_rows_read_alone(data: bytes) -> None:
    assert places(load(data, "lamps.csv", "lamps.csv")) == [
        ("row 2", "Kind: Desk\nHeight: 40 cm\nNote: Red, or\nblue"),
        ("row 4", "Kind: Floor\nHeight: 1,5 m"),
    ]


def test_small_and_ragged_tables() -> None:
    assert places(load(b"only one line\n", "a.csv", "a")) == [("row 1", "only one line")]
    assert places(load(b"a;b\n1\n1;2;3\n", "a.csv", "a")) == [("row 2", "a: 1"), ("row 3", "a: 1\nb: 2\ncolumn 3: 3")]


def test_without_an_ending_the_bytes_decide() -> None:
    assert load(pdf_of("Words in a PDF."), "attachment", "x").sections[0].page == 1
    assert load(b"Just words.", "README", "x").title == "README"


def test_reading_from_disk(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("words")
    assert read_file(tmp_path / "a.txt") == b"words"
    assert LoadLimits().max_bytes == 100_000_000
