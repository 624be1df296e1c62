"""Web pages: the main text without menus, adverts and scripts."""

from __future__ import annotations

import logging
import re
from datetime import datetime
from typing import Any

from knowledge.errors import DocumentUnreadable
from knowledge.load.content import Content
from knowledge.load.encoding import declared_in_html, decode
from knowledge.load.limits import LoadLimits
from knowledge.load.moments import moment
from knowledge.load.read import check_size
from knowledge.load.sections import plain, sections_of

_UNSEEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|(?:font-size|opacity)\s*:\s*0(?![.\d])")


def load_webpage(data: bytes, name: str, limits: LoadLimits) -> Content:
    """Sections by heading; the title is the page's own.

    Raises:
        DocumentUnreadable: when there is no page in it.
        DocumentTooLarge: above ``max_markup_bytes``.
    """
    from lxml import html  # type: ignore[import-untyped]
    from trafilatura import extract

    check_size(len(data), name, limits.max_markup_bytes, "the page")
    text = decode(data, name, declared_in_html(data))
    # lxml refuses a str that names its own encoding, so it gets bytes of a known one.
    parser = html.HTMLParser(encoding="utf-8", huge_tree=False)
    tree = html.document_fromstring(text.encode(), parser=parser) if text.strip() else None
    if tree is None:
        raise DocumentUnreadable(f"{name} holds no web page.", hint="Save the page again.", subject=name)
    # The parser drops what lies deeper than it goes; better no page than half of one.
    if any("depth" in entry.message.lower() for entry in parser.error_log):
        raise DocumentUnreadable(
            f"{name} is nested deeper than a web page ever is.",
            hint="Save its text as .txt or .md instead.",
            subject=name,
        )
    # Its log tells of every page without a main text; that is no error here.
    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    title = _title(tree)
    drop_hidden(tree)
    found = extract(
        tree,
        output_format="markdown",
        include_comments=False,
        include_tables=True,
        include_links=False,
        include_formatting=True,
        favor_recall=True,
        deduplicate=False,
    )
    # On a page of a few words there is no main text to tell from the rest; all of it is better than nothing.
    heading, sections = sections_of(found or everything(tree))
    return Content(title or heading, sections, plain(tree.get("lang") or "")[:35], _modified(tree))


def _title(tree: Any) -> str:
    for path in ("//meta[@property='og:title']/@content", "//head/title/text()", "//title/text()", "//h1//text()"):
        words = plain(" ".join(tree.xpath(path)[:1]))
        if words:
            return words
    return ""


def _modified(tree: Any) -> datetime | None:
    """When the page says it was last changed, or published."""
    names = ("article:modified_time", "og:updated_time", "dcterms.modified", "article:published_time", "date")
    for name in names:
        for element in tree.xpath("//meta[@property=$name or @name=$name]", name=name)[:1]:
            if found := moment(element.get("content")):
                return found
    return None


def drop_hidden(tree: Any) -> None:
    """Take out what no visitor sees: words for machines have no place in an answer for people."""
    for element in tree.xpath("//*[@hidden or @style or self::template or self::noscript]"):
        style = (element.get("style") or "").lower()
        seen = (
            element.get("hidden") is None and not _UNSEEN.search(style) and element.tag not in ("template", "noscript")
        )
        if not seen and element.getparent() is not None and element.tag != "body":
            element.drop_tree()


def everything(tree: Any, *plain_tags: str) -> str:
    """All words of a page as Markdown, without scripts, styles, forms and the marks of the tags named."""
    from lxml.html import tostring  # type: ignore[import-untyped]
    from lxml_html_clean import Cleaner
    from markdownify import markdownify

    cleaner = Cleaner(scripts=True, javascript=True, style=True, comments=True, forms=True, page_structure=False)
    cleaned = tostring(cleaner.clean_html(tree), encoding="unicode")
    return markdownify(cleaned, heading_style="ATX", strip=["a", "img", "title", *plain_tags], escape_misc=False)
