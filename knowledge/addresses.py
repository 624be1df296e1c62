"""Which addresses this machine may be sent to when somebody else says where: webhooks, pages to fetch.

An address on this machine or its network is refused in every spelling, unless the operator allows it. Names are
judged by what they lead to, at the moment of connecting: `knowledge.outgoing` resolves once and connects to exactly
what was judged here.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from knowledge.errors import UserError

IP = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_LONGEST = 2048
_NAME = re.compile(r"(?=.{1,253}$)([a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
_NUMBER = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_HERE = ("localhost", "localdomain", "local", "internal", "intranet", "lan", "home.arpa", "in-addr.arpa", "ip6.arpa")
"""Endings of names that mean this machine or its network, whatever they resolve to."""
_NAMES_HERE = ("ip6-localhost", "ip6-loopback", "broadcasthost", "metadata", "instance-data", "kubernetes.default.svc")
_ODD = tuple(
    ipaddress.ip_network(one)
    for one in (
        # Public by the registry's word, but of the machine's own host or of no host at all.
        *("168.63.129.16/32", "192.88.99.0/24", "192.0.0.0/24", "100.64.0.0/10", "fec0::/10"),
        # Tunnels whose inner address is scrambled, and translations that only a local network makes.
        *("2001::/23", "64:ff9b:1::/48", "100::/64", "5f00::/16"),
    )
)
_PORTS_OF_OTHERS = frozenset(
    {1433, 1521, 2049, 2375, 2376, 3306, 3389, 5432, 5672, 5984, 6379, 6380, 6443, 8086, 9042, 9092, 9200, 11211, 27017}
)
"""Databases, brokers and the like, whose protocols a clever request can speak."""


class AddressRefused(UserError):
    """Raised when an address may not be sent to."""

    code = "address_refused"


@dataclass(frozen=True)
class Rules:
    """What is allowed beyond public addresses.

    Attributes:
        hosts: Names or literal addresses, each with a port or None for any.
        networks: Whose addresses are allowed on any port.
        plain: Whether http:// may be used to public addresses too; else only to what is allowed above.
        setting: The name of the setting that allows more, for hints.
    """

    hosts: frozenset[tuple[str, int | None]] = field(default_factory=frozenset)
    networks: tuple[_Network, ...] = ()
    plain: bool = False
    setting: str = ""

    @classmethod
    def parse(cls, text: str, *, plain: bool = False, setting: str = "") -> Rules:
        """Rules from a list with commas: networks (10.0.0.0/8), addresses, names, name:port.

        Raises:
            AddressRefused: a part is none of these.
        """
        hosts: set[tuple[str, int | None]] = set()
        networks: list[_Network] = []
        for part in (one.strip().lower() for one in text.split(",")):
            if not part:
                continue
            if "/" not in part:
                hosts.add(_allowed(part, setting))
                continue
            try:
                networks.append(ipaddress.ip_network(part))
            except ValueError as error:
                raise _misspelt(part, setting) from error
        return cls(frozenset(hosts), tuple(networks), plain, setting)

    def names(self, host: str, port: int) -> bool:
        """Whether a host is allowed by name."""
        return (host, None) in self.hosts or (host, port) in self.hosts

    def covers(self, address: IP) -> bool:
        """Whether an address lies in an allowed network."""
        return any(address in network for network in self.networks)

    @property
    def hint(self) -> str:
        """What to do about a refusal."""
        return f"Use a public https address, or let the operator name it in {self.setting}." if self.setting else ""


def check_url(url: str, rules: Rules) -> tuple[str, str, int]:
    """Look at an address without resolving it; returns its scheme, host and port.

    Raises:
        AddressRefused: its scheme, spelling, host or port is not allowed.
    """
    if len(url) > _LONGEST or not url.isascii() or re.search(r"[\x00-\x20\x7f\\]", url):
        raise _refused(rules, "it is too long, or holds spaces, backslashes or letters beyond ASCII")
    try:
        parts: SplitResult = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "https" else 80)
        host = (parts.hostname or "").lower().removesuffix(".")
    except ValueError as error:
        raise _refused(rules, "it is no address") from error
    if parts.scheme not in ("http", "https"):
        raise _refused(rules, "only https and http can be sent to")
    if parts.username is not None or parts.password is not None:
        raise _refused(rules, "it holds a user or password")
    if not host or "%" in parts.netloc or ("[" in parts.netloc) != (":" in host):
        raise _refused(rules, "it names no host, or one with a zone or escapes")
    literal = _literal(host, rules)
    host = host if literal is None else str(literal)
    allowed = rules.names(host, port) or (literal is not None and rules.covers(literal))
    if allowed:
        return parts.scheme, host, port
    if literal is not None:
        check_address(literal, rules)
    elif not _NAME.fullmatch(host) or (not rules.networks and _of_here(host)):
        raise _refused(rules, "its host is no public name")
    if port not in (80, 443) and (port < 1024 or port in _PORTS_OF_OTHERS):
        raise _refused(rules, f"port {port} belongs to something else")
    if parts.scheme == "http" and not rules.plain and not rules.networks:
        raise _refused(rules, "only https is allowed to public addresses")
    return parts.scheme, host, port


def check_address(address: IP, rules: Rules) -> None:
    """Refuse an address that is not public and in no allowed network.

    Raises:
        AddressRefused: whatever it is; the answer does not say where a name led.
    """
    if not rules.covers(address) and not is_public(address):
        raise _refused(rules, "it leads to an address that is not public")


def is_public(address: IP) -> bool:
    """Whether an address is somewhere on the internet, also when it is an IPv4 one wrapped in IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            return False
        inner = _inside(address)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast and not any(address in network for network in _ODD)


def resolve(host: str, port: int, rules: Rules, scheme: str = "https") -> list[str]:
    """The addresses of a host, all of which may be connected to.

    Raises:
        AddressRefused: one of them is not allowed: an answer that mixes is a trick.
        OSError: the name is not known, or nobody could be asked.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    if not rules.names(host, port):
        for text in addresses:
            address = ipaddress.ip_address(text)
            check_address(address, rules)
            if scheme == "http" and not rules.plain and not rules.covers(address):
                raise _refused(rules, "only https is allowed to public addresses")
    return addresses


def _of_here(host: str) -> bool:
    return "." not in host or host in _NAMES_HERE or host.endswith(tuple(f".{end}" for end in _HERE))


def _inside(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address in a mapped (::ffff:a.b.c.d), compatible, NAT64 (64:ff9b::) or 6to4 (2002::) one."""
    number = int(address)
    if number >> 32 in (0xFFFF, 0xFFFF0000, 0x0064_FF9B << 64) or (number >> 32 == 0 and number > 1):
        return ipaddress.IPv4Address(number & 0xFFFFFFFF)
    return address.sixtofour


def _literal(host: str, rules: Rules) -> IP | None:
    """The address that a host is written as; None for a name. Only the plain spelling is one.

    Raises:
        AddressRefused: a number in another spelling (decimal, octal, hex, fewer parts), which resolvers read as one.
    """
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    if ":" in host or _NUMBER.fullmatch(host.rpartition(".")[2]):
        raise _refused(rules, "its host is a number in an unusual spelling")
    return None


def _allowed(part: str, setting: str) -> tuple[str, int | None]:
    """A host with or without a port, as the operator wrote it."""
    host, colon, port = part.rpartition(":")
    if not colon or "]" in port or (":" in host and "[" not in host):
        host, port = part, ""
    host = (host[1:-1] if host[:1] == "[" and host[-1:] == "]" else host).removesuffix(".")
    if not host or (port and not (port.isdigit() and 0 < int(port) < 65536)):
        raise _misspelt(part, setting)
    try:
        host = str(ipaddress.ip_address(host))
    except ValueError as error:
        if not _NAME.fullmatch(host):
            raise _misspelt(part, setting) from error
    return host, int(port) if port else None


def _misspelt(part: str, setting: str) -> AddressRefused:
    return AddressRefused(
        f"'{part[:80]}' is no network, address, name or name:port.",
        hint=f"Write {setting or 'the list'} like 10.0.0.0/8,crm.internal,localhost:9000.",
        subject=setting,
    )


def _refused(rules: Rules, why: str) -> AddressRefused:
    return AddressRefused(f"This address can't be sent to: {why}.", hint=rules.hint)
