"""A piece of HTML, such as the body of a message, as text."""

from __future__ import annotations

import re

_MARKUP = re.compile(r"<(?:/?[a-zA-Z][^<>]{0,2000}|!--)|&(?:#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-zA-Z]{2,10});")
_BLANKS = re.compile(r"\n{3,}")
_LONGEST = 5_000_000


def text_of_html(text: str) -> str:
    """Text without tags; a text without markup as it is. Scripts, styles and hidden elements are left out."""
    text = text.replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n")
    if not _MARKUP.search(text[:_LONGEST]):
        return text.strip()
    from lxml import html  # type: ignore[import-untyped]
    from lxml.etree import ParserError  # type: ignore[import-untyped]

    from knowledge.load.webpage import drop_hidden, everything

    try:
        tree = html.document_fromstring(text.encode("utf-8", "replace"), parser=html.HTMLParser(encoding="utf-8"))
    except ParserError:
        return ""
    drop_hidden(tree)
    return _BLANKS.sub("\n\n", everything(tree, "b", "strong", "i", "em")).strip()
