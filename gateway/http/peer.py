"""Where a request comes from: its address, the name it was sent to, and the page it was sent by."""

from __future__ import annotations

import ipaddress
from functools import cache

from starlette.datastructures import Headers
from starlette.types import Scope

from workers.access.errors import OriginRefused
from workers.access.key import normal_origin
from workers.errors import SettingsInvalid

_FORWARDING = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip", "via")
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def is_loopback(host: str) -> bool:
    """Whether a name or address can only be this machine."""
    name = host.strip("[]").rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)


@cache
def networks(text: str) -> tuple[Network, ...]:
    """PHIQ_TRUSTED_PROXIES as networks.

    Raises:
        SettingsInvalid: an entry is neither address nor network.
    """
    try:
        return tuple(ipaddress.ip_network(one) for one in text.replace(",", " ").split())
    except ValueError as error:
        raise SettingsInvalid(
            f"PHIQ_TRUSTED_PROXIES can't be used: {error}.",
            hint="Give addresses or networks such as 10.0.0.7 or 10.0.0.0/24, with spaces between.",
            subject="PHIQ_TRUSTED_PROXIES",
        ) from error


@cache
def origins(text: str) -> frozenset[str]:
    """PHIQ_CORS_ORIGINS as browsers say them.

    Raises:
        SettingsInvalid: an entry is no origin.
    """
    try:
        return frozenset(normal_origin(one) for one in text.replace(",", " ").split())
    except ValueError as error:
        raise SettingsInvalid(
            f"PHIQ_CORS_ORIGINS can't be used: {error}.",
            hint="Give origins such as https://app.example, with spaces between; there is no wildcard.",
            subject="PHIQ_CORS_ORIGINS",
        ) from error


def client_address(scope: Scope, trusted: tuple[Network, ...]) -> str:
    """Whose request it is. What X-Forwarded-For says counts as far as trusted proxies wrote it, from the right."""
    address = scope["client"][0] if scope.get("client") else ""
    if not _within(address, trusted):
        return address
    for one in reversed(",".join(Headers(scope=scope).getlist("x-forwarded-for")).split(",")):
        hop = one.strip()
        if not hop:
            continue
        try:
            address = str(ipaddress.ip_address(hop.strip("[]")))
        except ValueError:
            break  # a stranger's word from here on
        if not _within(address, trusted):
            break
    return address


def from_this_machine(scope: Scope) -> bool:
    """Whether both ends of the connection are this machine, and nobody says that it hands on for others."""
    ends = (scope.get("client"), scope.get("server"))
    headers = Headers(scope=scope)
    return all(end and is_loopback(str(end[0])) for end in ends) and not any(name in headers for name in _FORWARDING)


def check_browser(scope: Scope, allowed: frozenset[str]) -> None:
    """Refuse what a page from elsewhere makes a browser on this machine send: no key stops it, so this must.

    A Host that is not this machine's means that a stranger's name was pointed here (DNS rebinding); an Origin of
    elsewhere, or Sec-Fetch-Site where a browser sends no Origin, that a stranger's page asks.

    Raises:
        OriginRefused: it is one of these.
    """
    headers = Headers(scope=scope)
    host = headers.get("host", "")
    if not is_loopback(_name(host)):
        raise OriginRefused(
            f"Without a key this gateway answers by this machine's own names, not '{host[:100]}'.",
            hint="Use http://127.0.0.1 or http://localhost, or send a key (`phiq key create`).",
        )
    origin = headers.get("origin")
    site = headers.get("sec-fetch-site", "none")
    if origin is None and site in ("none", "same-origin"):
        return
    if origin is not None and (origin.lower() == f"{scope['scheme']}://{host}".lower() or origin in allowed):
        return
    raise OriginRefused(
        f"Pages of {(origin or 'other sites')[:100]} may not use this gateway without a key.",
        hint="Name the origin in PHIQ_CORS_ORIGINS if it is yours, or let the page use a publishable key.",
    )


def _name(host: str) -> str:
    """A Host header without its port."""
    return host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in network for network in networks)
