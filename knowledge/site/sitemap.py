"""Reads sitemaps: lists of pages, lists of lists, packed ones, and plain text."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field

from knowledge.addresses import AddressRefused
from knowledge.site.errors import PageUnreadable
from knowledge.site.fetch import Fetcher, unpacked
from knowledge.site.urls import canonical

BYTES = 52_428_800
"""Of a sitemap, unpacked; the protocol's own bound."""
_MAPS = 200
_DEEPEST = 3


@dataclass
class Listed:
    """The pages that sitemaps list, in their order; ``whole`` unless a part could not be read or was too much."""

    pages: dict[str, None] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    found: bool = False
    whole: bool = True


def read_sitemaps(fetcher: Fetcher, addresses: list[str], most: int, *, guessed: bool = False) -> Listed:
    """The pages of sitemaps and of those they refer to.

    Args:
        fetcher: Whose ``allowed`` bounds where sitemaps may lie.
        addresses: Canonical addresses of sitemaps.
        most: Pages after which no further sitemap is read.
        guessed: Nobody said there is one: its absence is no news.
    """
    listed = Listed()
    todo = [(address, 0) for address in addresses]
    seen: set[str] = set()
    while todo:
        url, deep = todo.pop(0)
        if url in seen:
            continue
        if len(seen) >= _MAPS or deep > _DEEPEST or len(listed.pages) > most:
            listed.whole = False
            break
        seen.add(url)
        try:
            answer = fetcher.get(url, limit=BYTES)
            if answer.status != 200:
                raise PageUnreadable(f"{url} answers {answer.status}.", subject=url, absent=answer.status < 500)
            pages, maps = parse(answer.body, answer.url)
        except (PageUnreadable, AddressRefused) as error:
            if not (guessed and error.details.get("absent")):
                listed.notes.append(f"A sitemap could not be read: {error.message}")
                listed.whole = False
            continue
        listed.found = True
        listed.pages.update(dict.fromkeys(pages))
        todo += [(one, deep + 1) for one in maps if fetcher.allowed(one)]
    return listed


def parse(body: bytes, url: str) -> tuple[list[str], list[str]]:
    """The pages and the further sitemaps that a sitemap lists, canonical.

    Raises:
        PageUnreadable: it is none, damaged, or unpacks to more than the protocol allows.
    """
    if body[:2] == b"\x1f\x8b":
        body = _unpack(body, url)
    head = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not head.startswith(b"<"):
        return _plain(body, url), []
    pages: list[str] = []
    maps: list[str] = []
    for parent, text in _entries(head, url):
        address = canonical(text, url)
        if address is not None:
            (maps if parent == "sitemap" else pages).append(address)
    return pages, maps


def _entries(body: bytes, url: str) -> Iterator[tuple[str, str]]:
    """The element (url, sitemap) and address of each entry."""
    from xml.etree.ElementTree import ParseError

    from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]
    from defusedxml.ElementTree import iterparse  # type: ignore[import-untyped]

    within: list[str] = []
    try:
        for event, element in iterparse(io.BytesIO(body), events=("start", "end"), forbid_dtd=True):
            name = str(element.tag).rpartition("}")[2].lower()
            if event == "start":
                within.append(name)
                if len(within) == 1 and name not in ("urlset", "sitemapindex"):
                    raise PageUnreadable(f"{url} is no sitemap.", subject=url, absent=True)
                if len(within) > 20:
                    raise PageUnreadable(f"{url} is nested deeper than a sitemap is.", subject=url)
                continue
            within.pop()
            if name == "loc" and within[-1:] in (["url"], ["sitemap"]) and element.text:
                yield within[-1], element.text
            element.clear()
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise PageUnreadable(f"{url} is a damaged sitemap: {type(error).__name__}.", subject=url) from error


def _plain(body: bytes, url: str) -> list[str]:
    lines = body.decode("utf-8", "replace").splitlines()[:50_000]
    found = [address for line in lines if line.startswith("http") and (address := canonical(line)) is not None]
    if not found:
        raise PageUnreadable(f"{url} is no sitemap.", subject=url, absent=True)
    return found


def _unpack(body: bytes, url: str) -> bytes:
    found = bytearray()
    for block in unpacked(iter([body]), url):
        found += block
        if len(found) > BYTES:
            raise PageUnreadable(f"{url} unpacks to more than {BYTES:,} bytes.", subject=url)
    return bytes(found)
