"""What a page says about itself: where it really lives, whether it may be kept, and where its links lead."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import unquote, urlsplit

from knowledge.site.fetch import Answer
from knowledge.site.urls import canonical

_LINKS = 5000
_ENDINGS = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "application/pdf": ".pdf",
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/csv": ".csv",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
}
_NO_PAGES = re.compile(
    r"(?i)\.(png|jpe?g|gif|webp|svg|ico|avif|bmp|tiff?|css|js|mjs|map|woff2?|ttf|otf|eot|mp[34]|m4[av]|webm|og[gv]|wav"
    r"|avi|mov|zip|gz|tgz|bz2|xz|7z|rar|exe|msi|dmg|iso|apk|jar|deb|rpm|wasm|rss|atom)$"
)


@dataclass(frozen=True)
class Page:
    """What was read from a page; ``canonical`` is its own word, None where it says nothing usable."""

    canonical: str | None = None
    noindex: bool = False
    links: tuple[str, ...] = ()


def worth_asking(url: str) -> bool:
    """Whether a link may lead to a document, by its ending."""
    return not _NO_PAGES.search(urlsplit(url).path)


def file_name(url: str, kind: str) -> str | None:
    """A name for a page whose ending fits its content type; None when no loader takes that type."""
    ending = _ENDINGS.get(kind)
    name = PurePosixPath(unquote(urlsplit(url).path)).name or "index"
    if ending is None:
        # Servers that say nothing, or "bytes": the address may say it.
        known = kind in ("", "application/octet-stream") and PurePosixPath(name).suffix.lower() in _ENDINGS.values()
        return name if known else None
    return name if name.lower().endswith(ending) else f"{name}{ending}"


def read_page(answer: Answer) -> Page:
    """Look into a web page; anything else has no links."""
    said = _words(answer.robots.rpartition(":")[2])
    if "html" not in answer.kind:
        return Page(noindex="noindex" in said or "none" in said)
    tree = _tree(answer.body)
    if tree is None:
        return Page(noindex="noindex" in said or "none" in said)
    for content in tree.xpath("//meta[translate(@name,'ROBTS','robts')='robots' or @name='phiq']/@content")[:10]:
        said |= _words(str(content))
    base = next((str(href) for href in tree.xpath("//base/@href")[:1]), "")
    base = canonical(base, answer.url) or answer.url
    own = [href for href in tree.xpath("//head/link[@rel='canonical']/@href")[:1] if str(href).strip()]
    closed = bool(said & {"nofollow", "none"})
    links = [] if closed else tree.xpath("//a[@href][not(contains(concat(' ',@rel,' '),' nofollow '))]/@href")[:_LINKS]
    found = (canonical(str(link), base) for link in links if not str(link).lstrip().startswith("#"))
    return Page(
        canonical=canonical(str(own[0]), base) if own else None,
        noindex=bool(said & {"noindex", "none"}),
        links=tuple(dict.fromkeys(link for link in found if link is not None and worth_asking(link))),
    )


def _tree(body: bytes) -> Any:
    from lxml import etree, html  # type: ignore[import-untyped]

    if not body.strip():
        return None
    try:
        return html.document_fromstring(body, parser=html.HTMLParser(huge_tree=False, no_network=True))
    # What a hostile page brings the parser to is no matter of the site's other pages; the loader judges this one.
    except (etree.LxmlError, ValueError, AssertionError, RecursionError, LookupError):
        return None


def _words(text: str) -> set[str]:
    return {word.strip().lower() for word in text.split(",")}
