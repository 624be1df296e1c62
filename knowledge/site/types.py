"""Bounds of a visit to a site, and what is known of its pages from the visit before."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SiteLimits:
    """How much of a site is taken, and how fast.

    Attributes:
        pages: Pages at most.
        depth: Links from the first page, where there is no sitemap.
        page_bytes: Of one page, unpacked.
        total_bytes: Of all pages of a visit, unpacked.
        seconds: Of the whole visit.
        page_seconds: Of one request, to its last byte.
        delay: Seconds between two requests; a longer crawl-delay of the site's counts.
    """

    pages: int = 1000
    depth: int = 3
    page_bytes: int = 20_000_000
    total_bytes: int = 2_000_000_000
    seconds: float = 6 * 3600.0
    page_seconds: float = 30.0
    delay: float = 0.5


@dataclass(frozen=True)
class Known:
    """A page as it was stored at an earlier visit.

    Attributes:
        source: Its identity in the collection, its canonical address.
        etag: The server's mark of the version, as it was sent; empty for none.
        modified: The server's ``Last-Modified``, as it was sent; empty for none.
    """

    source: str
    etag: str = ""
    modified: str = ""
