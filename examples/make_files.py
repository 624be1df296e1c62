"""Make the example files that are not plain text: the warranty (PDF), the installer's notes (docx), a screenshot (PNG).

    python examples/make_files.py

The results are committed; this script says how they came about. It needs fpdf2, python-docx, Pillow and zxing-cpp, all
of which the development set-up has.
"""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import zxingcpp
from docx import Document
from fpdf import FPDF
from PIL import Image, ImageDraw, ImageFont

HERE = Path(__file__).parent
HANDBOOK = HERE / "handbook"
DAY = dt.datetime(2026, 1, 15, tzinfo=dt.UTC)

WARRANTY = """\
# Warranty terms

These terms apply to the Loop thermostat and to Ostervane radiator valves bought from Ostervane or from a shop
authorised by Ostervane.

# 1. Length

The warranty lasts three years from the day of delivery. Batteries are covered for six months. A replacement does not
start a new warranty: the rest of the original three years goes on.

# 2. What is covered

The warranty covers faults of material and manufacture, including a faulty temperature sensor, a display that fails
and a radio that no longer connects.

Ostervane decides whether a device is repaired or replaced. Shipping in both directions is paid by Ostervane.

# 3. What is not covered

The warranty does not cover damage by water, by leaking batteries of other makes, by voltage above 30 volts at the
terminals, or by opening the housing. It does not cover wear of the surface.

# 4. How to make a claim

Write to warranty@example.com with the serial number, which stands on the back of the Loop and begins with LP. A
receipt is needed only if the device was bought in a shop.

A replacement is sent within two working days after the claim is accepted. The faulty device must be sent back within
30 days, otherwise the replacement is charged at its list price.

# 5. Transfer

The warranty belongs to the device. Whoever owns the Loop may use it; no registration is needed.
"""
NEW_PAGES = ("# 2. What is covered", "# 4. How to make a claim")


def make_warranty(path: Path) -> None:
    pdf = FPDF(format="A4")
    pdf.set_creation_date(DAY)
    pdf.set_title("Ostervane warranty terms")
    pdf.set_margins(25, 25)
    pdf.add_page()
    for paragraph in WARRANTY.strip().split("\n\n"):
        if paragraph in NEW_PAGES:
            pdf.add_page()
        heading = paragraph.startswith("# ")
        pdf.set_font("Helvetica", "B" if heading else "", 14 if heading else 11)
        words = " ".join(paragraph.removeprefix("# ").split())
        pdf.multi_cell(0, 10 if heading else 6, words, new_x="LMARGIN", new_y="NEXT")
        pdf.ln(0 if heading else 3)
    pdf.output(str(path))


def make_installer_notes(path: Path) -> None:
    document = Document()
    document.core_properties.author = "Ostervane"
    document.core_properties.created = document.core_properties.modified = DAY.replace(tzinfo=None)
    document.add_heading("Notes for installers", 0)
    document.add_heading("Wiring a boiler", 1)
    document.add_paragraph(
        "Connect the boiler's room thermostat contacts to terminals 1 and 2 of the Loop. The contacts carry at most 30 "
        "volts; for boilers that switch 230 volts use the relay box OV-3002."
    )
    document.add_heading("Wiring a heat pump", 1)
    document.add_paragraph(
        "Connect the OpenTherm bus of the heat pump to terminals 3 and 4; the polarity does not matter. Mount the "
        "outdoor sensor OV-3001 on a north wall, at least 2.5 metres above the ground."
    )
    document.add_heading("Handing over", 1)
    document.add_paragraph(
        "Run the check under Installer > Self-test before you leave; it takes four minutes and heats each circuit "
        "once. The installer code is printed inside the battery cover."
    )
    document.save(str(path))


def make_screenshot(path: Path) -> None:
    image = Image.new("RGB", (980, 620), "#e9edf2")
    draw = ImageDraw.Draw(image)
    title, body, small = (_font(size) for size in (26, 20, 17))
    draw.rounded_rectangle((40, 36, 940, 584), 14, fill="white", outline="#b8c2cc", width=2)
    draw.rounded_rectangle((40, 36, 940, 92), 14, fill="#1f4e79")
    draw.rectangle((40, 72, 940, 92), fill="#1f4e79")
    draw.text((64, 48), "Settings - Loop in the hall", font=title, fill="white")
    draw.rounded_rectangle((64, 116, 916, 196), 8, fill="#fdecea", outline="#c0392b", width=2)
    draw.text((84, 126), "Error E-31: cloud not reachable", font=body, fill="#c0392b")
    draw.text((84, 158), "Heating goes on with the stored schedule. Since 07:42.", font=small, fill="#5c1f18")
    rows = (
        ("Network", "Home-2G"),
        ("Signal", "-58 dBm"),
        ("Firmware", "2.4.1"),
        ("Battery", "81 %"),
        ("Serial number", "LP-204-77310"),
    )
    for number, (name, value) in enumerate(rows):
        top = 226 + 46 * number
        draw.text((84, top), name, font=body, fill="#5f6b76")
        draw.text((300, top), value, font=body, fill="#111111")
        draw.line((84, top + 36, 620, top + 36), fill="#dde3e9")
    code = zxingcpp.create_barcode("https://example.com/help/E-31", zxingcpp.BarcodeFormat.QRCode).to_image(scale=4)
    image.paste(Image.fromarray(code), (720, 270))
    draw.text((694, 440), "Scan for help with E-31", font=small, fill="#5f6b76")
    draw.rounded_rectangle((84, 506, 264, 556), 8, fill="#1f4e79")
    draw.text((122, 518), "Try again", font=body, fill="white")
    draw.rounded_rectangle((284, 506, 464, 556), 8, outline="#1f4e79", width=2)
    draw.text((338, 518), "Close", font=body, fill="#1f4e79")
    image.save(path, optimize=True)


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


if __name__ == "__main__":
    make_warranty(HANDBOOK / "warranty.pdf")
    make_installer_notes(HANDBOOK / "installer-notes.docx")
    make_screenshot(HERE / "screenshot.png")
