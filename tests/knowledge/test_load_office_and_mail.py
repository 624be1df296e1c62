"""Presentations, workbooks, records, tickets, mails and scanned pages: what is found, and where it says it stands."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from knowledge.errors import DocumentEmpty, DocumentTooLarge
from knowledge.load import Helpers, LoadLimits, load
from knowledge.load.content import LoadStopped
from knowledge.types import Document


def places(document: Document) -> list[tuple[str, int | None, str]]:
    return [(section.heading, section.line, section.text) for section in document.sections]


def saved(made: Any) -> bytes:
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


def test_slides_tables_groups_and_notes() -> None:
    from pptx import Presentation

    deck = Presentation()
    deck.core_properties.title = "The deck"
    deck.core_properties.modified = datetime(2026, 1, 2, 10)  # noqa: DTZ001 - the library wants none
    slide = deck.slides.add_slide(deck.slide_layouts[1])
    slide.shapes.title.text, slide.placeholders[1].text = "Returns", "Thirty days\nfor all lamps"
    slide.notes_slide.notes_text_frame.text = "Say it slowly."
    deck.slides.add_slide(deck.slide_layouts[6])
    third = deck.slides.add_slide(deck.slide_layouts[5])
    third.shapes.title.text = "Sizes"
    table = third.shapes.add_table(2, 2, 0, 0, 100, 100).table
    for row, values in enumerate((("Kind", "Height"), ("Desk", "40 cm"))):
        for column, value in enumerate(values):
            table.cell(row, column).text = value
    third.shapes.add_group_shape().shapes.add_textbox(0, 0, 9, 9).text_frame.text = "In a group"
    document = load(saved(deck), "d.pptx", "d.pptx")
    assert (document.title, document.modified) == ("The deck", datetime(2026, 1, 2, 10, tzinfo=UTC))
    assert [(section.page, section.heading, section.text) for section in document.sections] == [
        (1, "Returns", "Thirty days\nfor all lamps\n\nNotes: Say it slowly."),
        (3, "Sizes", "| Kind | Height |\n| Desk | 40 cm |\n\nIn a group"),
    ]


def test_rows_of_sheets_as_people_see_them() -> None:
    from openpyxl import Workbook  # type: ignore[import-untyped]

    book = Workbook()
    sheet = book.active
    sheet.title = "Prices"
    since = datetime(2026, 1, 2)  # noqa: DTZ001 - workbooks know no zones
    for row in (["Lamp", "Price", "Since", "Share"], ["Desk", 39.9, since, 0.25], [], ["Floor", 100]):
        sheet.append(row)
    sheet["D2"].number_format = "0%"
    book.create_sheet("Nothing")
    book.create_sheet("One").append(["only", "words"])
    assert places(load(saved(book), "p.xlsx", "p.xlsx")) == [
        ("Prices > row 2", 2, "Lamp: Desk\nPrice: 39.9\nSince: 2026-01-02\nShare: 25%"),
        ("Prices > row 4", 4, "Lamp: Floor\nPrice: 100"),
        ("One > row 1", 1, "only, words"),
    ]


def test_records_of_json_with_their_lines() -> None:
    text = """
{
  "version": 1.10,
  "items": [
    {"name": "Desk", "price": 39.90,
     "tags": ["a", "b"], "size": {"height": "40 cm"}}, {"name": "items", "sold": false},

    {"name": "Floor", "parts": [{"id": 1}, {"id": 2}]}
  ],
  "about": {"shop": {"city": "Köln"}}
}"""
    assert places(load(text.encode(), "a.json", "a.json")) == [
        ("items 1: Desk", 5, "name: Desk\nprice: 39.90\ntags: a, b\nsize.height: 40 cm"),
        ("items 2: items", 6, "name: items\nsold: no"),
        ("items 3: Floor", 8, "name: Floor\nparts 1.id: 1\nparts 2.id: 2"),
        ("about", 10, "shop.city: Köln"),
        ("", 2, "version: 1.10"),
    ]
    assert places(load(b'["a", "b"]', "a.json", "a")) == [("", 1, "a, b")]


ZENDESK = {
    "id": 35436,
    "subject": "Printer won't start",
    "description": "My printer does not start.",
    "status": "open",
    "priority": "high",
    "tags": ["printer"],
    "created_at": "2026-01-02T10:00:00Z",
    "requester_id": 1,
    "comments": [
        {"author_id": 2, "body": "He is angry", "public": False, "created_at": "2026-01-02T12:00:00Z"},
        {
            "author_id": 2,
            "html_body": "<p>Hold the button for <b>ten</b> seconds.</p>"
            "<blockquote>My printer does not start.</blockquote>",
            "created_at": "2026-01-02T11:00:00Z",
        },
        {"author_id": 1, "plain_body": "My printer does not start.", "created_at": "2026-01-02T10:00:00Z"},
    ],
}
FRESHDESK = {
    "id": 7,
    "subject": "Rechnung",
    "description": "<div>Die Rechnung ist <i>falsch</i></div>",
    "status": 2,
    "priority": 1,
    "created_at": "2026-01-02T10:00:00Z",
    "updated_at": "2026-01-05T10:00:00Z",
    "conversations": [
        {
            "body_text": "Wir ändern sie.\n\nAm Fr, 2. Jan 2026 um 10:00 schrieb Anna:\n> Die Rechnung ist\n> falsch",
            "incoming": False,
            "created_at": "2026-01-03T11:00:00Z",
        }
    ],
}
TICKETS = [
    (
        "Ticket 35436: Printer won't start > requester",
        "Printer won't start\nStatus: open\nPriority: high\nTags: printer\n\nMy printer does not start.",
    ),
    ("Ticket 35436: Printer won't start > agent", "Hold the button for ten seconds."),
    ("Ticket 35436: Printer won't start > internal note, agent", "He is angry"),
    ("Ticket 7: Rechnung > requester", "Rechnung\nStatus: open\nPriority: low\n\nDie Rechnung ist falsch"),
    ("Ticket 7: Rechnung > agent", "Wir ändern sie."),
]


def test_tickets_of_both_vendors_a_line_each() -> None:
    wrapped = {"ticket": {key: value for key, value in ZENDESK.items() if key != "comments"}} | {
        "comments": ZENDESK["comments"]
    }
    data = "\n".join(json.dumps(value) for value in (wrapped, FRESHDESK, {"question": "Why?", "n": 1})).encode()
    document = load(data, "t.jsonl", "t")
    assert [(section.heading, section.text) for section in document.sections] == [
        *TICKETS,
        ("line 3: Why?", "question: Why?\nn: 1"),
    ]
    assert [section.line for section in document.sections] == [1, 1, 1, 2, 2, 3]
    assert document.sections[4].modified == datetime(2026, 1, 3, 11, tzinfo=UTC)


def test_tickets_in_one_json_file() -> None:
    document = load(json.dumps({"tickets": [ZENDESK, FRESHDESK], "count": 2}, indent=1).encode(), "t.json", "t")
    assert [(section.heading, section.text) for section in document.sections[:-1]] == TICKETS


def test_a_mail_with_attachments(mail: Callable[..., bytes], good: dict[str, bytes]) -> None:
    files = {"sizes.csv": b"Kind,Height\nDesk,40 cm\n", "lamp.pdf": good[".pdf"], "logo.png": b"\x89PNG\r\n\x1a\n"}
    document = load(mail(files=files), "m.eml", "m.eml")
    assert (document.title, document.modified) == ("Lamp", datetime(2026, 1, 2, 9, tzinfo=UTC))
    first, second, third = document.sections
    assert first.heading == "Lamp > Ann, 2026-01-02"
    assert first.text.endswith(
        "Attachments: sizes.csv, lamp.pdf, logo.png (not read: There is no loader for .png files)"
    )
    assert (second.heading, second.text) == ("Lamp > sizes.csv > row 2", "Kind: Desk\nHeight: 40 cm")
    assert (third.heading, third.page) == ("Lamp > lamp.pdf", 1)
    assert {section.modified for section in document.sections} == {document.modified}


def test_a_mails_plain_text_is_preferred_to_its_page(mail: Callable[..., bytes]) -> None:
    page = "<html><style>p{}</style><p>A <b>page</b> &amp; more</p><script>x</script></html>"
    assert load(mail(body="Plain words.", page=page), "m.eml", "m").sections[0].text == "Plain words."
    assert load(mail(body="", page=page), "m.eml", "m").sections[0].text == "A page & more"
    assert load(mail(body="", subject="Lunch at 12?"), "m.eml", "m").sections[0].text == "Lunch at 12?"


def test_a_mailbox_by_threads_without_repeated_quotations(
    mail: Callable[..., bytes], mailbox: Callable[..., bytes]
) -> None:
    said = "The lamp is broken, and from the beginning it never was whole.\nFrom here on I wait."
    quoted = (
        "We send another.\n\nOn Fri, 2 Jan 2026 at 10:00, Ann <ann@example.org>\nwrote:\n\n"
        "> The lamp is broken, and from the\n> beginning it never was whole.\n>\n> From here on I wait.\n"
    )
    elsewhere = "See below.\n\n> The shop's rules: nobody may sit on the lamps.\n"
    outlook = f"Thanks.\n\n-----Original Message-----\nFrom: Bob\nSubject: Lamp\n\nWe send another.\n{said}\n"
    box = mailbox(
        mail(body=elsewhere, subject="Rules", sender="Carl <c@example.org>", number=4),
        mail(body=outlook, subject="RE: Lamp", number=3, answers=2, date="Fri, 02 Jan 2026 12:00:00 +0100"),
        mail(
            body=quoted,
            subject="Re: Lamp",
            sender="Bob <b@example.org>",
            number=2,
            answers=1,
            date="Fri, 02 Jan 2026 11:00:00 +0100",
        ),
        mail(body=said, number=1),
    )
    document = load(box, "box.mbox", "box.mbox")
    assert [(section.heading, section.text) for section in document.sections] == [
        ("Rules > Carl, 2026-01-02", elsewhere.strip()),
        ("Lamp > Ann, 2026-01-02", said),
        ("Lamp > Bob, 2026-01-02", "We send another."),
        ("Lamp > Ann, 2026-01-02", "Thanks."),
    ]
    lines = box.decode().split("\n")
    assert all(lines[(section.line or 0) - 1].startswith("From ann@") for section in document.sections)
    # Alone, the quotation is the only copy.
    assert "> beginning" in load(mail(body=quoted), "m.eml", "m").sections[0].text


def scanned_pdf(pages: int = 1) -> bytes:
    from fpdf import FPDF
    from PIL import Image

    pdf = FPDF()
    pdf.set_font("helvetica", size=12)
    for _ in range(pages):
        pdf.add_page()
        pdf.image(Image.new("RGB", (400, 560), "white"), 0, 0, 210, 297)
    pdf.add_page()
    pdf.cell(
        text="A page with a text of its own, of more than a hundred letters, so that nothing else has to look "
        "at it in order to know what it says."
    )
    pdf.add_page()
    return bytes(pdf.output())


def test_pages_that_are_pictures_are_read_and_others_not() -> None:
    seen: list[tuple[int, int]] = []

    def read(page: Any) -> str:
        assert page.mode == "RGB"
        seen.append(page.size)
        return "The warranty lasts two years."

    document = load(scanned_pdf(), "s.pdf", "s.pdf", helpers=Helpers(read_page=read))
    assert [section.page for section in document.sections] == [1, 2]
    assert document.sections[0].text == "The warranty lasts two years."
    assert len(seen) == 1
    assert 1500 < max(seen[0]) <= 2400
    with pytest.raises(DocumentTooLarge, match="pictures"):
        load(scanned_pdf(3), "s.pdf", "s", LoadLimits(max_scanned_pages=2), Helpers(read_page=read))
    with pytest.raises(LoadStopped):
        load(scanned_pdf(), "s.pdf", "s", helpers=Helpers(read_page=read, stopped=lambda: True))


def test_a_scan_without_words_is_still_empty() -> None:
    from fpdf import FPDF
    from PIL import Image

    pdf = FPDF()
    pdf.add_page()
    pdf.image(Image.new("RGB", (40, 40), "red"))
    with pytest.raises(DocumentEmpty):
        load(bytes(pdf.output()), "s.pdf", "s", helpers=Helpers(read_page=lambda _: ""))


def test_languages_of_documents_and_of_their_parts(mail: Callable[..., bytes], mailbox: Callable[..., bytes]) -> None:
    german = "Die Lampe steht auf dem Tisch und leuchtet. " * 4
    english = "The lamp stands on the table and shines. " * 12

    def detect(text: str) -> str:
        return "de" if text.count("Lampe") > text.count("lamp stands") else "en" if "lamp" in text else ""

    box = mailbox(mail(body=english), mail(body=german, number=2, subject="Lampe"))
    document = load(box, "b.mbox", "b", helpers=Helpers(detect=detect))
    assert document.language == "en"
    assert [section.language for section in document.sections] == ["", "de"]
    page = (
        b"<html lang='fr-CA'><head><meta property='article:modified_time' content='2026-01-02T10:00:00+01:00'></head>"
    )
    document = load(page + b"<body><p>mots</p></body></html>", "p.html", "p", helpers=Helpers(detect=detect))
    assert (document.language, document.modified) == ("fr-CA", datetime(2026, 1, 2, 9, tzinfo=UTC))
    document = load(page + b"<body><p>the lamp</p></body></html>", "p.html", "p", helpers=Helpers(detect=detect))
    assert document.language == "en"
