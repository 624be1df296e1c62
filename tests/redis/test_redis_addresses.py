"""What PHIQ_REDIS_URL may say, and that what it can't is refused without telling a password."""

from __future__ import annotations

import pytest

from workers.errors import SettingsInvalid
from workers.redis_address import RedisAddress, Tls, parse
from workers.redis_libraries import broker, redbeat


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("redis://localhost", RedisAddress(hosts=(("localhost", 6379),))),
        ("redis://:p%40ss@h:1/2", RedisAddress(hosts=(("h", 1),), db=2, password="p@ss")),
        ("redis://u:p@[::1]:7/0", RedisAddress(hosts=(("::1", 7),), username="u", password="p")),
        (
            "rediss://u:p@h?ssl_ca_certs=/ca.pem&ssl_check_hostname=false&db=3",
            RedisAddress(
                hosts=(("h", 6379),), db=3, username="u", password="p", tls=Tls(ca="/ca.pem", check_hostname=False)
            ),
        ),
        (
            "sentinel://u:p@a,b:2/queue/1?sentinel_password=s",
            RedisAddress(
                hosts=(("a", 26379), ("b", 2)),
                db=1,
                username="u",
                password="p",
                master="queue",
                sentinel_password="s",
            ),
        ),
        ("rediss+sentinel://a/m", RedisAddress(hosts=(("a", 26379),), master="m", tls=Tls())),
        ("redis+sentinel://a/?master=m&db=4", RedisAddress(hosts=(("a", 26379),), db=4, master="m")),
        ("unix:///run/r.sock?db=1&password=p", RedisAddress(path="/run/r.sock", db=1, password="p")),
    ],
)
def test_an_address_is_read(text: str, address: RedisAddress) -> None:
    assert parse(text) == address


def test_files_of_the_settings_are_used_unless_the_address_names_others() -> None:
    files = Tls(ca="/ours.pem", certificate="/c.pem", key="/k.pem")
    assert parse("rediss://h?ssl_ca_certs=/theirs.pem", files).tls == Tls("/theirs.pem", "/c.pem", "/k.pem")
    assert parse("redis://h", files).tls is None


@pytest.mark.parametrize(
    "text",
    [
        "http://user:hidden@h",
        "redis://user:hidden@/0",
        "redis://user:hidden@h:port/0",
        "redis://user:hidden/hidden@h/0",
        "redis://user:1?hidden@h/0",
        "redis://user:1#hidden@h/0",
        "redis://user:hidden@h/zero",
        "redis://user:hidden@h/0/1",
        "redis://user:hidden@a,b/0",
        "redis://user:hidden@h/0?maxmemory=3",
        "sentinel://user:hidden@a:1",
        "hidden",
    ],
)
def test_what_is_no_address_is_refused_without_telling_the_password(text: str) -> None:
    with pytest.raises(SettingsInvalid) as refused:
        parse(text)
    assert refused.value.subject == "PHIQ_REDIS_URL"
    assert "hidden" not in f"{refused.value.message} {refused.value.hint}"
    assert "redis://HOST" in refused.value.hint


def test_an_address_never_shows_its_passwords() -> None:
    address = parse("sentinels://u:hidden@a,b/m?sentinel_password=hidden")
    assert "hidden" not in repr(address) + address.shown
    assert address.shown == "sentinels://a:26379,b:26379/m/0"


def test_without_more_words_tls_looks_at_certificates_in_every_library() -> None:
    import ssl

    address = parse("rediss://:p@h")
    url, _, tls = broker(address)
    # kombu alone would take rediss:// for TLS with anybody.
    assert tls is not None
    assert (tls["ssl_cert_reqs"], tls["ssl_check_hostname"]) == (ssl.CERT_REQUIRED, True)
    assert redbeat(address)["redbeat_redis_use_ssl"] == tls
    assert "ssl" not in url
