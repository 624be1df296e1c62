"""Fields of receipts and screenshots by rules."""

from __future__ import annotations

import pytest

from tools.receipt import receipt_fields
from tools.screenshot import screenshot_fields
from tools.types import TextLine


def lines(*rows: str) -> list[TextLine]:
    """Rows of text; | parts pieces of one row."""
    found = []
    for at, row in enumerate(rows):
        for place, piece in enumerate(row.split("|")):
            found.append(TextLine(text=piece, score=0.99, box=(200 * place, 30 * at, 200 * place + 180, 30 * at + 20)))
    return found


def test_a_receipt() -> None:
    found = receipt_fields(
        lines(
            "** WELCOME **",
            "BLUE LAMP TRADING LTD",
            "(123456-X)",
            "12 Mill Street,",
            "AB1 2CD Oldtown",
            "TEL: 01234 567890",
            "Invoice date: 03/04/2019",
            "Lamp|2 x 10.00|20.00",
            "Subtotal|20.00",
            "TOTAL QTY|2.00",
            "TOTAL|1,024.00",
            "CASH|1,030.00",
            "CHANGE|6.00",
        )
    )
    assert found == {
        "company": "BLUE LAMP TRADING LTD",
        "date": "03/04/2019",
        "address": "12 Mill Street, AB1 2CD Oldtown",
        "total": "1,024.00",
    }


@pytest.mark.parametrize(
    ("rows", "total"),
    [
        (["TOTAL|9.99", "ROUNDING|0.01", "ROUNDED TOTAL|10.00"], "10.00"),
        (["TOTAL SALES (EXCL GST)|9.00", "TOTAL SALES (INCL GST)|9.54"], "9.54"),
        (["TOTAL", "12.50", "THANK YOU"], "12.50"),
        (["NOTHING HERE|5.00"], None),
    ],
)
def test_totals(rows: list[str], total: str | None) -> None:
    assert receipt_fields(lines(*rows))["total"] == total


@pytest.mark.parametrize("date", ["25/12/2018", "2018-12-25", "25.12.18", "25 Dec 2018", "Dec 25, 2018"])
def test_dates(date: str) -> None:
    assert receipt_fields(lines("SHOP", f"printed {date} 20:13:39", "03-7 - 15"))["date"] == date
    assert receipt_fields(lines("SHOP", "No. 12-34-5678-90"))["date"] is None


def test_nothing_at_all() -> None:
    assert set(receipt_fields([]).values()) == {None}
    assert set(screenshot_fields([]).values()) == {None}


def test_a_screenshot() -> None:
    found = screenshot_fields(
        lines("Cloud sync - Settings", "Error E-31: the cloud can't be", "reached.", "Battery 81 percent")
    )
    assert found["application"] == "Cloud sync - Settings"
    assert found["error"] == "Error E-31: the cloud can't be reached."
    assert found["seen"] == "Battery 81 percent"
