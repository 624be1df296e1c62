"""Addresses of pages: one spelling each, and which of them belong to a site."""

from __future__ import annotations

import re
from dataclasses import dataclass
from posixpath import normpath
from urllib.parse import quote, urljoin, urlsplit, urlunsplit

from knowledge.site.errors import SiteRefused

LONGEST = 2048
_TRACKING = re.compile(r"(?i)^(utm_\w+|gclid|gbraid|wbraid|fbclid|msclkid|mc_[ce]id|phpsessid|jsessionid|sid)(=|$)")
_SESSION = re.compile(r"(?i);jsessionid=[^/?#]*")
_KEPT = "!$&'()*+,;=:@~-._"
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def canonical(url: str, base: str = "") -> str | None:
    """An address in its one spelling, without fragment and without what only tracks visitors.

    Args:
        url: Absolute, or relative to ``base``.
        base: Where it was found.

    Returns:
        None when it is no http or https address.
    """
    try:
        parts = urlsplit(urljoin(base, url.strip()) if base else url.strip())
        host, port = (parts.hostname or "").rstrip("."), parts.port
        host = host.encode("idna").decode("ascii") if not host.isascii() else host
    except (ValueError, UnicodeError):
        return None
    scheme = parts.scheme.lower()
    if scheme not in ("http", "https") or not host or parts.username is not None or parts.password is not None:
        return None
    netloc = f"[{host}]" if ":" in host else host
    if port is not None and port != (443 if scheme == "https" else 80):
        netloc += f":{port}"
    query = "&".join(part for part in parts.query.split("&") if part and not _TRACKING.match(part))
    found = urlunsplit((scheme, netloc, _path(parts.path), _escaped(query, _KEPT + "/?"), ""))
    return found if len(found) <= LONGEST and found.isascii() else None


def _path(path: str) -> str:
    path = _SESSION.sub("", path) or "/"
    plain = normpath(path) if "/." in path else path
    if path.endswith(("/", "/.", "/..")) and not plain.endswith("/"):
        plain += "/"
    return _escaped("/" + plain.lstrip("/"), _KEPT + "/")


def _escaped(text: str, kept: str) -> str:
    """Percent-encoding as RFC 3986 wishes it: nothing twice, unreserved characters plain, hex in capitals."""

    def one(match: re.Match[str]) -> str:
        char = chr(int(match[1], 16))
        return char if char in _UNRESERVED else f"%{match[1].upper()}"

    return quote(_ESCAPE.sub(one, text), safe=kept + "%")


@dataclass(frozen=True)
class Scope:
    """Which addresses belong to a site: those of its host, below the folder it was entered by.

    ``www.example.org`` and ``example.org`` are one host, http and https one site.
    """

    host: str
    folder: str

    @classmethod
    def of(cls, url: str) -> Scope:
        """The scope of the address that was asked for: ``/docs/`` and ``/docs/index.html`` mean ``/docs/``.

        Raises:
            SiteRefused: it is no address of a website.
        """
        start = canonical(url)
        if start is None:
            raise SiteRefused(
                f"'{url[:200]}' is no address of a website.",
                hint="Give one like https://example.org/",
                subject=url[:200],
            )
        path = urlsplit(start).path
        if re.search(r"\.(xml|txt)(\.gz)?$", path):
            return cls(_host(start), "/")
        last = path.rpartition("/")[2]
        return cls(_host(start), path if not last else path[: -len(last)] if "." in last else f"{path}/")

    def has(self, url: str) -> bool:
        """Whether a canonical address belongs to the site."""
        path = urlsplit(url).path
        return _host(url) == self.host and (path.startswith(self.folder) or f"{path}/" == self.folder)

    def same_host(self, url: str) -> bool:
        """Whether a canonical address is on the site's host, whatever its folder."""
        return _host(url) == self.host


def origin(url: str) -> str:
    """Scheme, host and port of a canonical address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _host(url: str) -> str:
    return urlsplit(url).netloc.removeprefix("www.")
