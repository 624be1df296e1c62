"""Gets one address of a site: politely, within bounds, through redirects that are each looked at."""

from __future__ import annotations

import email.utils
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING

from knowledge.addresses import AddressRefused, Rules
from knowledge.site.errors import PageUnreadable
from knowledge.site.types import Known, SiteLimits
from knowledge.site.urls import canonical

if TYPE_CHECKING:
    import httpx

AGENT = "phiq"
"""The name by which a robots.txt may speak to us."""
_HOPS = 5
_LONGEST_WAIT = 60.0
_BLOCK = 65_536
_AGAIN = (429, 503)


@dataclass(frozen=True)
class Answer:
    """What a server said. ``url`` is where the redirects ended; ``body`` is empty for 304 and errors."""

    url: str
    status: int
    kind: str = ""
    body: bytes = b""
    etag: str = ""
    modified: str = ""
    robots: str = ""


class Stopped(Exception):
    """Raised when the visit was told to stop while it waited."""


class Fetcher:
    """One request at a time, ``delay`` apart.

    Args:
        rules: Which addresses may be connected to; every hop is judged.
        limits: Bounds of a request, and the delay.
        should_stop: Looked at while it waits.
    """

    def __init__(self, rules: Rules, limits: SiteLimits, should_stop: Callable[[], bool]) -> None:
        from knowledge import outgoing

        self._http: httpx.Client = outgoing.client(rules, seconds=limits.page_seconds)
        self._limits = limits
        self._should_stop = should_stop
        self._last = float("-inf")
        self._patience = 0.0
        self.delay = limits.delay
        self.allowed: Callable[[str], bool] = lambda _url: True
        self.bytes = 0

    def close(self) -> None:
        """Close the client."""
        self._http.close()

    def get(self, url: str, known: Known | None = None, limit: int | None = None) -> Answer:
        """Fetch an address.

        Args:
            url: Canonical.
            known: What an earlier visit stored; the server is asked for newer only.
            limit: Bytes of the body, unpacked, in place of the page's.

        Raises:
            PageUnreadable: it does not answer, in too many bytes, or leads in circles.
            AddressRefused: it, or where it leads, may not be connected to.
            Stopped: the visit shall end.
        """
        at = url
        for _ in range(_HOPS + 1):
            answer, to = self._once(at, known if at == url else None, limit or self._limits.page_bytes)
            if to is None:
                return answer
            target = canonical(to, at)
            if target is None:
                raise _unreadable(url, "redirects to what is no address")
            if target != at and not self.allowed(target):
                raise _unreadable(url, f"redirects to {target}, which its site does not let us read or is another site")
            at = target
        raise _unreadable(url, "redirects in circles")

    def _once(self, url: str, known: Known | None, limit: int) -> tuple[Answer, str | None]:
        """One request, tried again once where the server asks for patience; the target of a redirect beside it."""
        for again in (False, True):
            self._wait()
            answer, to, asked = self._request(url, known, limit)
            if answer.status not in _AGAIN or again:
                break
            self._patience = time.monotonic() + min(asked or 2 * self.delay + 1.0, _LONGEST_WAIT)
        return answer, to

    def _request(self, url: str, known: Known | None, limit: int) -> tuple[Answer, str | None, float]:
        import httpx

        headers = {
            "user-agent": f"{AGENT}/{version('phiq')}",
            "accept": "text/html,application/xhtml+xml,application/pdf,text/*;q=0.8,*/*;q=0.1",
            # Others could unpack to anything in one step; this one we unpack ourselves, within bounds.
            "accept-encoding": "gzip",
        }
        if known is not None:
            headers |= {"if-none-match": known.etag} if known.etag else {}
            headers |= {"if-modified-since": known.modified} if known.modified else {}
        try:
            with self._http.stream("GET", url, headers=headers) as got:
                about = got.headers
                to = about.get("location") if got.status_code in (301, 302, 303, 307, 308) else None
                body = self._body(got, url, limit) if got.status_code == 200 else b""
                answer = Answer(
                    url=url,
                    status=got.status_code,
                    kind=about.get("content-type", "").split(";")[0].strip().lower(),
                    body=body,
                    etag=about.get("etag", "")[:256],
                    modified=about.get("last-modified", "")[:64],
                    robots=about.get("x-robots-tag", "").lower(),
                )
                return answer, to, _asked(about.get("retry-after", ""))
        except AddressRefused as error:
            raise AddressRefused(error.message, hint=error.hint, subject=url) from error
        except httpx.TimeoutException as error:
            raise _unreadable(url, "did not answer in time", waits=True) from error
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise _unreadable(url, f"was not reached ({type(error).__name__})", waits=True) from error
        finally:
            self._last = time.monotonic()

    def _body(self, got: httpx.Response, url: str, limit: int) -> bytes:
        coding = got.headers.get("content-encoding", "identity").strip().lower()
        if coding not in ("identity", "", "gzip", "x-gzip"):
            raise _unreadable(url, f"answers in an encoding that was not asked for ({coding[:40]})")
        raw = got.iter_raw(_BLOCK)
        found = bytearray()
        for block in unpacked(raw, url) if "gzip" in coding else raw:
            found += block
            if len(found) > limit:
                raise _unreadable(url, f"has more than {limit:,} bytes")
        self.bytes += len(found)
        return bytes(found)

    def _wait(self) -> None:
        while (left := max(self._last + self.delay, self._patience) - time.monotonic()) > 0:
            if self._should_stop():
                raise Stopped
            time.sleep(min(left, 0.2))
        if self._should_stop():
            raise Stopped


def unpacked(blocks: Iterator[bytes], name: str) -> Iterator[bytes]:
    """Gzip unpacked in small steps, so that a bomb is noticed by whoever counts before it is large.

    Raises:
        PageUnreadable: it is damaged or cut off.
    """
    unpack = zlib.decompressobj(wbits=31)
    try:
        for block in blocks:
            left = block
            while left:
                yield unpack.decompress(left, _BLOCK)
                left = unpack.unconsumed_tail
                if unpack.eof:
                    return
        if not unpack.eof:
            raise _unreadable(name, "is cut off")
    except zlib.error as error:
        raise _unreadable(name, "is damaged: it can't be unpacked") from error


def _asked(header: str) -> float:
    """Seconds that Retry-After asks for, as a number or a date; 0.0 when it asks for nothing."""
    try:
        if header.strip().isdigit():
            return float(header)
        return max(0.0, email.utils.parsedate_to_datetime(header).timestamp() - time.time()) if header else 0.0
    except (ValueError, TypeError, OverflowError):
        return 0.0


def _unreadable(url: str, why: str, *, waits: bool = False) -> PageUnreadable:
    return PageUnreadable(
        f"{url} {why}.",
        hint="Try again later." if waits else "Open it in a browser; leave it out if that is how it is.",
        subject=url,
    )
