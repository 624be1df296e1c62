"""Where the HTTP API is, and with which key."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from workers.errors import SettingsInvalid

if TYPE_CHECKING:
    from workers.settings import Settings

_HINT = "Use an address such as http://127.0.0.1:8420 or https://phiq.example.org."


@dataclass(frozen=True)
class Address:
    """A gateway.

    Attributes:
        base: Without a slash at the end.
        key: The API key; empty without one.
        loopback: Whether it is this machine: no proxy stands between.
    """

    base: str
    key: str = field(default="", repr=False)
    loopback: bool = False

    @property
    def headers(self) -> dict[str, str]:
        """For every request."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}


def parse(url: str, key: str = "") -> Address:
    """An address from text.

    Raises:
        SettingsInvalid: it is none, or the key can't be one.
    """
    plain = url.strip()
    try:
        parts = urlsplit(plain)
        host, _port = parts.hostname, parts.port
    except ValueError as error:
        raise _invalid(f"PHIQ_URL can't be read: {error}.") from error
    if parts.scheme not in ("http", "https") or not host:
        raise _invalid(f"PHIQ_URL is no http address: {_shown(plain)}.")
    if parts.username or parts.password:
        raise _invalid("PHIQ_URL holds a name or password.", "Take them out; the key goes into PHIQ_API_KEY.")
    if parts.query or parts.fragment:
        raise _invalid(f"PHIQ_URL holds more than an address: {_shown(plain)}.")
    key = key.strip()
    if not key.isascii() or not key.isprintable() or " " in key:
        raise SettingsInvalid(
            "PHIQ_API_KEY holds characters that no key has.", hint="Copy the key again.", subject="PHIQ_API_KEY"
        )
    return Address(plain.rstrip("/").removesuffix("/v1"), key, _is_loopback(host))


def of(settings: Settings, url: str | None, key: str | None, *, beside_redis: bool) -> Address | None:
    """The gateway that is meant; None: speak to Redis.

    Args:
        settings: What else is set: PHIQ_URL, PHIQ_API_KEY.
        url: Goes before all.
        key: Goes before the settings'.
        beside_redis: Whether Redis is preferred to the gateway of this machine's `phiq up`. It is too where a setting
            asks for another Redis or tenant than that one's.

    Raises:
        SettingsInvalid: the address or the key can't be used.
    """
    if key is None:
        key = settings.api_key.get_secret_value() if settings.api_key is not None else ""
    if url is None:
        url = settings.url
    if url is not None and url.strip():
        return parse(url, key)
    if beside_redis or settings.redis_url is not None or "tenant" in settings.model_fields_set:
        return None
    from workers.connections import http_url
    from workers.errors import NotRunning

    try:
        return parse(http_url(settings), key)
    except NotRunning:
        return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _shown(text: str) -> str:
    return repr(text if len(text) <= 80 else text[:79] + "…")


def _invalid(message: str, hint: str = _HINT) -> SettingsInvalid:
    return SettingsInvalid(message, hint=hint, subject="PHIQ_URL")
