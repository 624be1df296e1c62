"""Who may come in: a key looked at and counted in one step of Redis, or remembered for two seconds."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

from workers.access import tokens
from workers.access.errors import OriginRefused
from workers.access.principal import KeyInvalid, Principal, RateLimited
from workers.access.scripts import AccessScripts

REMEMBERED = 2.0
"""Seconds a key without a limit of requests is not looked at again; so soon a revocation is felt everywhere."""
_MANY = 4096


@dataclass(frozen=True)
class Rate:
    """A limit of a minute: how much, what is left, and seconds until all of it is back."""

    name: str
    most: int
    left: int
    full_in: float


@dataclass(frozen=True)
class Admitted:
    """A key that may come in, and what is left of its limits."""

    principal: Principal
    rates: tuple[Rate, ...] = ()


class Gate:
    """Safe between threads; one for each gateway process.

    Args:
        scripts: Over the Redis that has the keys.
        remembered: Seconds a key is not looked at again.
    """

    def __init__(self, scripts: AccessScripts, remembered: float = REMEMBERED) -> None:
        self._scripts = scripts
        self._remembered = remembered
        self._known: OrderedDict[str, tuple[float, Admitted]] = OrderedDict()
        self._lock = threading.Lock()

    def recall(self, text: str) -> Admitted | None:
        """The key, when it was looked at just now and needs no counting; asks nobody."""
        token = tokens.read(text)
        if token is None:
            return None
        with self._lock:
            found = self._known.get(token.digest)
        return found[1] if found is not None and time.monotonic() - found[0] < self._remembered else None

    def admit(self, text: str) -> Admitted:
        """Look at a key and take one request from its limits.

        Raises:
            KeyInvalid: it is none, or works no more.
            RateLimited: it has no request left in this minute.
            RedisUnavailable: nobody can say; a key is never taken on trust.
        """
        token = tokens.read(text)
        if token is None:
            raise KeyInvalid(
                "This is no key of this phiq.",
                hint="Send `Authorization: Bearer phiq_sk_…`; `phiq key create` makes one.",
            )
        asked = time.monotonic()
        reply = self._scripts.run("admit", token.key_id, token.digest)
        said = str(reply[0])
        shown = tokens.prefix(token.kind, token.key_id)
        if said not in ("ok", "limited"):
            with self._lock:
                self._known.pop(token.digest, None)
            raise _invalid(said, shown)
        rates = _rates(reply[1:7])
        if said == "limited":
            limit = rates[0]
            after = round(max(0.1, limit.full_in / limit.most), 1)
            raise RateLimited(
                f"The key {shown} may make {limit.most} requests a minute, and has made them.",
                hint=f"Come back in {after:g} s.",
                subject=shown,
                retry_after=after,
                limit=limit.most,
                rates=headers(rates),
            )
        fields = dict(zip(reply[7::2], reply[8::2], strict=True))
        admitted = Admitted(principal_of(token.key_id, fields), rates)
        if not any(rate.name == "requests" for rate in rates):
            self._remember(token.digest, asked, admitted)
        return admitted

    def visit(self, who: Principal, visitor: str, address: str) -> None:
        """Take one job from what a visitor of a page, and all at one address, may have.

        The id is what the page says; so the address counts too, and for several: many share one.

        Raises:
            RateLimited: one of the two has had its share.
        """
        if who.key_id is None:
            return
        names: list[str | int] = [_short(f"v {visitor}"), who.visitor, _short(f"a {_network(address)}"), who.address]
        said, *more = self._scripts.run("visit", who.key_id, *names)
        if not said:
            after = round(int(more[2]) / 1000, 1)
            raise RateLimited(
                f"One {more[0]} may start {more[1]} jobs a minute here.",
                hint=f"Come back in {after:g} s.",
                retry_after=after,
                limit=int(more[1]),
            )

    def _remember(self, digest: str, asked: float, admitted: Admitted) -> None:
        with self._lock:
            self._known[digest] = (asked, admitted)
            self._known.move_to_end(digest)
            while len(self._known) > _MANY:
                self._known.popitem(last=False)


def principal_of(key_id: str, fields: dict[str, str]) -> Principal:
    """Who stands behind a key, from its hash."""
    collections = fields.get("collections")
    return Principal(
        tenant=fields["tenant"],
        key_id=key_id,
        scopes=frozenset(fields.get("scopes", "").split()),
        name=fields.get("name", ""),
        collections=frozenset(json.loads(collections)) if collections else None,
        origin_limited=fields.get("kind") == "pk",
        origins=frozenset(fields.get("origins", "").split()),
        visitor=int(fields.get("visitor") or 0),
        address=int(fields.get("address") or 0),
    )


def check_origin(who: Principal, origin: str) -> None:
    """Refuse a publishable key from a page that is not one of its own.

    A program can say any origin: this keeps other people's pages out, the caps keep programs small.

    Raises:
        OriginRefused: it comes from elsewhere.
    """
    if who.origin_limited and origin not in who.origins:
        raise OriginRefused(
            f"This key is not for pages of {origin[:200] or 'nobody (no Origin header)'}.",
            hint="Publishable keys work in browsers, from the origins they were made for; make one with --origin.",
        )


def headers(rates: tuple[Rate, ...]) -> dict[str, str]:
    """The limits as the IETF's draft (ratelimit-headers, -10) says them, and as OpenAI's clients know them."""
    if not rates:
        return {}
    made = {
        "RateLimit-Policy": ", ".join(f'"{one.name}";q={one.most};w=60' for one in rates),
        "RateLimit": ", ".join(f'"{one.name}";r={one.left};t={-int(-one.full_in // 1)}' for one in rates),
    }
    for one in rates:
        made[f"x-ratelimit-limit-{one.name}"] = str(one.most)
        made[f"x-ratelimit-remaining-{one.name}"] = str(one.left)
        made[f"x-ratelimit-reset-{one.name}"] = f"{one.full_in:g}s"
    return made


def _rates(reply: list[Any]) -> tuple[Rate, ...]:
    pairs = (("requests", reply[0:3]), ("tokens", reply[3:6]))
    return tuple(
        Rate(name, int(most), int(left), round(int(full) / 1000, 3)) for name, (most, left, full) in pairs if int(most)
    )


def _invalid(said: str, shown: str) -> KeyInvalid:
    # One answer for a wrong secret and an unknown id: what exists is not told to who has no key.
    words = {"revoked": f"The key {shown} was revoked.", "expired": f"The key {shown} has expired."}
    return KeyInvalid(
        words.get(said, "There is no such key."), hint="Ask for a new one; `phiq key create` makes it.", subject=shown
    )


def _network(address: str) -> str:
    """An address, or for IPv6 the network that one customer has."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address):
        if found.ipv4_mapped:
            return str(found.ipv4_mapped)
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(found)


def _short(text: str) -> str:
    """A name in Redis that does not say whose it is."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:24]
