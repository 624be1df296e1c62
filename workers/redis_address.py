"""The address of Redis: from the text in PHIQ_REDIS_URL to what each of the three libraries that connect wants.

The ledger speaks through redis-py, messages through kombu, the scheduler through RedBeat. Each reads addresses in its
own way (kombu takes a `rediss://` address without further words for one whose certificate need not be looked at), so
the text is read here, once, and nobody else sees it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from workers.errors import SettingsInvalid

_FORMS = "redis://HOST:PORT/DB, rediss://… for TLS, sentinel://HOST:PORT,HOST:PORT/MASTER/DB, unix:///PATH?db=DB"
_SCHEMES = {
    "redis": (False, False),
    "rediss": (False, True),
    "unix": (False, False),
    "sentinel": (True, False),
    "sentinels": (True, True),
    "redis+sentinel": (True, False),
    "rediss+sentinel": (True, True),
}
"""Whether Sentinel is asked for the master, and whether TLS is spoken."""
_TLS_FILES = {"ssl_ca_certs": "ca", "ssl_certfile": "certificate", "ssl_keyfile": "key"}
_NOT_REQUIRED = ("none", "cert_none", "optional", "cert_optional")
_ODD = "what follows the host is odd (a password with / ? # @ or % must have them as %2F %3F %23 %40 %25)"


@dataclass(frozen=True)
class Tls:
    """How to speak TLS. Paths; empty: the system's authorities, no certificate of ours."""

    ca: str = ""
    certificate: str = ""
    key: str = ""
    check_hostname: bool = True
    verify: bool = True


@dataclass(frozen=True)
class RedisAddress:
    """Where Redis is and who we are there. ``repr`` shows no password.

    Args:
        hosts: Of Redis, or of the Sentinels; empty with ``path``.
        db: The number of the database.
        username: Of Redis' access list; empty: its default user.
        password: For Redis.
        tls: None: plain.
        master: The name Sentinel knows the master by; empty without Sentinel.
        sentinel_username: For the Sentinels themselves, which have an access list of their own.
        sentinel_password: The same.
        path: A socket on this machine.
    """

    hosts: tuple[tuple[str, int], ...] = ()
    db: int = 0
    username: str = ""
    password: str = field(default="", repr=False)
    tls: Tls | None = None
    master: str = ""
    sentinel_username: str = ""
    sentinel_password: str = field(default="", repr=False)
    path: str = ""

    @property
    def local(self) -> bool:
        """Whether the server can only be on this machine."""
        return bool(self.path) or {host for host, _ in self.hosts} <= {"127.0.0.1", "localhost", "::1"}

    @property
    def shown(self) -> str:
        """For people: without user and password."""
        if self.path:
            return f"unix://{self.path}?db={self.db}"
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        scheme = ("sentinel" if self.master else "redis") + ("s" if self.tls else "")
        return f"{scheme}://{hosts}/{self.master + '/' if self.master else ''}{self.db}"


def parse(text: str, tls: Tls | None = None) -> RedisAddress:
    """Read an address.

    Args:
        text: As in PHIQ_REDIS_URL.
        tls: The files from the settings; what the address itself names goes before them.

    Raises:
        SettingsInvalid: it has not the form of one; without the text, which may hold a password.
    """
    try:
        return _parse(urlsplit(text.strip()), tls or Tls())
    except ValueError as error:
        raise SettingsInvalid(
            f"PHIQ_REDIS_URL is no address of a Redis server: {error}.",
            hint=f"Write one of {_FORMS}; or unset it and start `phiq up`. docs/operations.md has the whole form.",
            subject="PHIQ_REDIS_URL",
        ) from error


def _parse(parts: SplitResult, files: Tls) -> RedisAddress:
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"it begins with none of {', '.join(f'{one}://' for one in _SCHEMES)}")
    by_sentinel, secure = _SCHEMES[parts.scheme]
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    who, _, where = parts.netloc.rpartition("@")
    username, _, password = who.partition(":")
    steps = [unquote(step) for step in parts.path.split("/") if step]
    master = query.pop("master", "")
    if by_sentinel and not master:
        if not steps:
            raise ValueError("it does not name the master that Sentinel watches")
        master = steps.pop(0)
    path = ""
    if parts.scheme == "unix":
        path, steps = unquote(parts.path), []
    found = RedisAddress(
        hosts=() if path else tuple(_host(one, 26379 if by_sentinel else 6379) for one in where.split(",")),
        db=_number("the database", query.pop("db", "") or (steps.pop(0) if steps else "0")),
        username=unquote(username) or query.pop("username", ""),
        password=unquote(password) or query.pop("password", ""),
        tls=_tls(query, files) if secure else None,
        master=master,
        sentinel_username=query.pop("sentinel_username", "") if by_sentinel else "",
        sentinel_password=query.pop("sentinel_password", "") if by_sentinel else "",
        path=path,
    )
    if steps:
        raise ValueError("its path has more steps than it should")
    if len(found.hosts) > 1 and not by_sentinel:
        raise ValueError("several hosts are for sentinel:// only")
    if parts.fragment:
        raise ValueError(_ODD)
    if query:
        name = next(iter(query))
        # What is no name may be the rest of a password that was not written as an address wants it.
        raise ValueError(f"it has the unknown option {name!r}" if name.isidentifier() else _ODD)
    return found


def _host(text: str, default: int) -> tuple[str, int]:
    one = urlsplit(f"//{text}")
    if not one.hostname:
        raise ValueError("it names no host")
    try:
        return unquote(one.hostname), one.port or default
    except ValueError:
        raise ValueError(_ODD) from None


def _number(what: str, text: str) -> int:
    if not text.isdecimal():
        raise ValueError(f"{what} is not a number")
    return int(text)


def _tls(query: dict[str, str], files: Tls) -> Tls:
    named = {ours: query.pop(theirs, "") or getattr(files, ours) for theirs, ours in _TLS_FILES.items()}
    check = query.pop("ssl_check_hostname", "true").lower() not in ("false", "0", "no")
    verify = query.pop("ssl_cert_reqs", "required").lower() not in _NOT_REQUIRED
    return Tls(**named, check_hostname=check and verify, verify=verify)
