"""What the tests of this layer share."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def embedder_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where this session builds its embedders, once."""
    return tmp_path_factory.mktemp("embed")


WORDS = "The lamp stands on the table and shines."


def _saved(made: Any) -> bytes:
    buffer = io.BytesIO()
    made.save(buffer)
    return buffer.getvalue()


def _pdf() -> bytes:
    from fpdf import FPDF

    pdf = FPDF()
    pdf.set_font("helvetica", size=12)
    pdf.add_page()
    pdf.cell(text=WORDS)
    return bytes(pdf.output())


def _docx() -> bytes:
    import docx

    made = docx.Document()
    made.add_paragraph(WORDS)
    return _saved(made)


def _pptx() -> bytes:
    from pptx import Presentation

    made = Presentation()
    slide = made.slides.add_slide(made.slide_layouts[1])
    slide.shapes.title.text = "Lamps"
    slide.placeholders[1].text = WORDS
    return _saved(made)


def _xlsx() -> bytes:
    from openpyxl import Workbook  # type: ignore[import-untyped]

    made = Workbook()
    made.active.append(["Kind", "Note"])
    made.active.append(["Desk", WORDS])
    return _saved(made)


@pytest.fixture(scope="session")
def mail() -> Callable[..., bytes]:
    """Makes a mail."""

    def make(
        body: str = WORDS,
        subject: str = "Lamp",
        sender: str = "Ann <ann@example.org>",
        date: str = "Fri, 02 Jan 2026 10:00:00 +0100",
        number: int = 1,
        answers: int | None = None,
        files: dict[str, bytes] | None = None,
        page: str = "",
    ) -> bytes:
        message = EmailMessage()
        message["Subject"], message["From"], message["Date"] = subject, sender, date
        message["Message-ID"] = f"<{number}@example.org>"
        if answers is not None:
            message["In-Reply-To"] = f"<{answers}@example.org>"
        if body:
            message.set_content(body)
        if page:
            message.add_alternative(page, subtype="html") if body else message.set_content(page, subtype="html")
        for name, data in (files or {}).items():
            message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
        return message.as_bytes()

    return make


@pytest.fixture(scope="session")
def mailbox() -> Callable[..., bytes]:
    """Puts mails into a mailbox."""

    def make(*mails: bytes) -> bytes:
        line = b"From ann@example.org Fri Jan  2 10:00:00 2026\n"
        return b"".join(line + mail.replace(b"\nFrom ", b"\n>From ") + b"\n" for mail in mails)

    return make


@pytest.fixture(scope="session")
def good(mail: Callable[..., bytes], mailbox: Callable[..., bytes]) -> dict[str, bytes]:
    """A small good file of every format, by ending; each holds the same sentence."""
    ticket = {"id": 7, "subject": "Lamp", "description": WORDS, "created_at": "2026-01-02T10:00:00Z"}
    return {
        ".txt": WORDS.encode(),
        ".md": f"# Lamps\n\n{WORDS}\n".encode(),
        ".html": f"<!doctype html><html><body><article><p>{WORDS}</p></article></body></html>".encode(),
        ".pdf": _pdf(),
        ".docx": _docx(),
        ".pptx": _pptx(),
        ".xlsx": _xlsx(),
        ".csv": f"Kind,Note\nDesk,{WORDS}\n".encode(),
        ".json": json.dumps({"lamps": [{"name": "Desk", "note": WORDS}]}).encode(),
        ".jsonl": json.dumps(ticket).encode() + b"\n",
        ".eml": mail(),
        ".mbox": mailbox(mail(), mail(number=2, subject="Chair")),
    }
