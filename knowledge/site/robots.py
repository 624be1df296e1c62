"""What a site's robots.txt allows us, and how slowly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from knowledge.site.errors import PageUnreadable, SiteUnreachable
from knowledge.site.fetch import AGENT, Fetcher
from knowledge.site.urls import origin

_BYTES = 512_000  # RFC 9309: at least 500 KiB must be read
_SLOWEST = 60.0


@dataclass(frozen=True)
class Robots:
    """The rules of one origin; without a file everything is allowed."""

    _rules: Any = None

    def allows(self, url: str) -> bool:
        """Whether we may fetch an address."""
        return self._rules is None or bool(self._rules.can_fetch(url, AGENT))

    @property
    def delay(self) -> float:
        """Seconds it wants between two requests, at most a minute; 0.0 when it does not say."""
        asked = None if self._rules is None else self._rules.crawl_delay(AGENT)
        return min(float(asked or 0.0), _SLOWEST)

    @property
    def sitemaps(self) -> list[str]:
        """The addresses of its sitemaps."""
        return [] if self._rules is None else [str(one) for one in self._rules.sitemaps][:50]


def read_robots(fetcher: Fetcher, url: str) -> Robots:
    """The robots.txt of an address's origin. As RFC 9309 says: none there allows all, an unreachable one nothing.

    Raises:
        SiteUnreachable: the server fails, so nobody knows what it allows.
        AddressRefused: the address may not be connected to.
    """
    from protego import Protego

    where = f"{origin(url)}/robots.txt"
    try:
        answer = fetcher.get(where, limit=_BYTES)
    except PageUnreadable as error:
        raise _unreachable(url, error.message) from error
    if answer.status >= 500 or answer.status == 429:
        raise _unreachable(url, f"{where} answers {answer.status}.")
    if answer.status != 200:
        return Robots()
    return Robots(Protego.parse(answer.body.decode("utf-8", "replace").removeprefix("\ufeff")))


def _unreachable(url: str, why: str) -> SiteUnreachable:
    return SiteUnreachable(
        f"{origin(url)} can't be read now: {why}", hint="Check the address in a browser, and try again.", subject=url
    )
