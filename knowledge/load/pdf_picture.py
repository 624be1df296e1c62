"""Pages of a PDF that are pictures of text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL.Image import Image

_FEW = 10  # letters and digits: a page number, hardly more
_SOME = 100  # a stamp or a header on a scan
_COVERS = 0.5  # of the page's area
_STROKES = 20  # a rule or a frame is drawn with fewer
_SHARP = 200 / 72  # 200 dots an inch: the letters of a letter are 25 pixels high then
_LONGEST = 2400  # pixels; a poster would take gigabytes otherwise


def page_picture(document: Any, number: int, text: str) -> Image | None:
    """The page as an RGB picture where its words are in a picture; None where its text says enough, or it is blank.

    Call it under the lock of PDFium.
    """
    import pypdfium2 as pdfium

    letters = sum(char.isalnum() for char in text)
    if letters >= _SOME:
        return None
    try:
        page = document[number]
        try:
            if not _pictured(page, letters):
                return None
            width, height = page.get_size()
            scale = min(_SHARP, _LONGEST / max(width, height, 1.0))
            picture: Image = page.render(scale=scale, draw_annots=False, rev_byteorder=True).to_pil()
            return picture.convert("RGB")
        finally:
            page.close()
    except (pdfium.PdfiumError, ValueError):
        return None  # then there is only the text


def _pictured(page: Any, letters: int) -> bool:
    from pypdfium2 import raw

    width, height = page.get_size()
    for count, item in enumerate(page.get_objects(max_depth=3)):
        if item.type == raw.FPDF_PAGEOBJ_IMAGE:
            left, bottom, right, top = item.get_bounds()
            if letters < _FEW or (right - left) * (top - bottom) >= _COVERS * width * height:
                return True
        elif letters < _FEW and count > _STROKES and item.type == raw.FPDF_PAGEOBJ_PATH:
            return True  # letters drawn as outlines
    return False
