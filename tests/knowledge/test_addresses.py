"""Addresses that may not be sent to, in every spelling, and the client that connects only where it may."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from knowledge import outgoing
from knowledge.addresses import AddressRefused, Rules, check_url, is_public, resolve

NONE = Rules()

REFUSED = [
    # This machine
    *("https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/"),
    *("https://0177.0.0.1/", "https://017700000001/", "https://127.0.0.01/", "https://0/", "https://0.0.0.0/"),
    *("https://localhost/", "https://LOCALHOST./", "https://foo.localhost/", "https://ip6-localhost/"),
    *("https://[::1]/", "https://[::]/", "https://[0:0:0:0:0:0:0:1]/", "https://[::ffff:127.0.0.1]/"),
    *("https://[::ffff:7f00:1]/", "https://[::127.0.0.1]/", "https://[::ffff:0:127.0.0.1]/"),
    *("https://[64:ff9b::127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://[64:ff9b:1::1]/"),
    *("https://[2002:7f00:1::]/", "https://[2001:0:7f00:1::]/", "https://[fe80::1%25eth0]/", "https://[fe80::1]/"),
    # Its network
    *("https://10.0.0.1/", "https://172.16.0.1/", "https://192.168.1.1/", "https://100.64.0.1/", "https://[fd00::1]/"),
    *("https://[fec0::1]/", "https://[ff02::1]/", "https://224.0.0.1/", "https://255.255.255.255/"),
    *("https://240.0.0.1/", "https://198.18.0.1/", "https://192.0.2.1/", "https://[2001:db8::1]/", "https://[100::1]/"),
    *("https://printer/", "https://nas.local/", "https://a.internal/", "https://x.home.arpa/", "https://a.b.lan/"),
    # The cloud's own
    *("https://169.254.169.254/latest/meta-data/", "https://[fd00:ec2::254]/", "https://metadata.google.internal/"),
    *("https://168.63.129.16/", "https://100.100.100.200/", "https://[::ffff:169.254.169.254]/", "https://metadata/"),
    # Other ways to say it
    *("https://user@example.com/", "https://user:pass@example.com/", "https://example.com@127.0.0.1/"),
    *("https://example.com\\@127.0.0.1/", "https://exa mple.com/", "https://example.com\n.evil/", "https:///path"),
    *("https://①②⑦.⓪.⓪.①/", "https://ⓛocalhost/", "https://127。0。0。1/", "https://%31%32%37.0.0.1/"),
    *("ftp://example.com/", "file:///etc/passwd", "gopher://example.com/", "javascript:alert(1)", "example.com", ""),
    *("https://example.com:22/", "https://example.com:6379/", "https://example.com:99999/", "https://example.com:x/"),
    *("https://[::1/", "https://a..b.com/", "https://-/", f"https://{'a' * 2100}.com/", "http://example.com/"),
    *("https://[v1.a]/", "https://1.2.3/", "https://1.2.3.4.5/", "https://0x7f.0x0.0x0.0x1/", "https://a.0x1/"),
]


@pytest.mark.parametrize("url", REFUSED)
def test_refused_before_anything_is_asked(url, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: pytest.fail("it was resolved"))
    with pytest.raises(AddressRefused):
        check_url(url, NONE)


@pytest.mark.parametrize(
    "url",
    ["https://example.com/x?y=1", "https://example.com:8443/", "https://1.1.1.1/", "https://[2606:4700::1111]/"],
)
def test_public_ones_are_taken(url):
    assert check_url(url, NONE)[0] == "https"


def test_what_the_operator_allows():
    rules = Rules.parse("10.0.0.0/8, crm.internal, localhost:9000,127.0.0.1:9001", setting="PHIQ_WEBHOOK_ALLOW")
    for url in ("http://10.2.3.4:6379/", "http://crm.internal/", "https://localhost:9000", "http://127.0.0.1:9001/"):
        check_url(url, rules)
    for url in ("https://127.0.0.1/", "https://127.0.0.1:9002/", "https://169.254.169.254/", "https://[::1]:9000/"):
        with pytest.raises(AddressRefused) as caught:
            check_url(url, rules)
        assert "PHIQ_WEBHOOK_ALLOW" in caught.value.hint
    for spelt in ("::1", "[::1]", "[::1]:9000", "[0::1]:9000"):
        check_url("http://[0:0::1]:9000/", Rules.parse(spelt))
    with pytest.raises(AddressRefused):
        check_url("http://[::1]:9001/", Rules.parse("[::1]:9000"))
    for wrong in ("[::1", "10.0.0.0/99", "http://x", "a b", "x:99999", "10.0.0.1/8"):
        with pytest.raises(AddressRefused):
            Rules.parse(wrong)


def test_ipv4_inside_ipv6_is_judged_by_itself():
    assert is_public(ipaddress.ip_address("64:ff9b::1.1.1.1"))
    assert is_public(ipaddress.ip_address("::ffff:1.1.1.1"))
    assert not is_public(ipaddress.ip_address("64:ff9b::10.0.0.1"))
    assert not is_public(ipaddress.ip_address("fe80::1%eth0"))


def answers(monkeypatch, *rounds):
    """Let names resolve to these addresses, one list a question, the last one for ever."""
    asked = []
    real = socket.getaddrinfo

    def fake(host, port, *args, **kwargs):
        if host[0].isdigit():
            return real(host, port, *args, **kwargs)
        found = rounds[min(len(asked), len(rounds) - 1)]
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in found]

    monkeypatch.setattr(socket, "getaddrinfo", fake)
    return asked


@pytest.mark.parametrize("found", [["10.0.0.1"], ["1.1.1.1", "127.0.0.1"], ["169.254.169.254"]])
def test_a_name_that_leads_inside(found, monkeypatch):
    answers(monkeypatch, found)
    with pytest.raises(AddressRefused) as caught:
        resolve("example.com", 443, NONE)
    assert found[-1] not in caught.value.message, "a stranger learns nothing of our names"
    with pytest.raises(AddressRefused), outgoing.client(NONE, seconds=2) as http:
        http.get("https://example.com/")


@contextmanager
def server(handle):
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            handle(self)

        def log_message(self, *_):
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    try:
        yield made.server_port
    finally:
        made.shutdown()
        thread.join()
        made.server_close()


def test_a_name_that_rebinds_is_asked_once_and_gains_nothing(monkeypatch):
    """What was judged is connected to; the second answer, which leads elsewhere, is never looked at."""
    seen = []

    def handle(request):
        seen.append(request.headers["Host"])
        request.send_response(204)
        request.end_headers()

    with server(handle) as port:
        asked = answers(monkeypatch, ["127.0.0.1"], ["10.99.99.99"])
        rules = Rules.parse("127.0.0.0/8")
        with outgoing.client(rules, seconds=5) as http:
            assert http.get(f"http://rebind.example:{port}/").status_code == 204
            assert (asked, seen) == (["rebind.example"], [f"rebind.example:{port}"])
            with pytest.raises(AddressRefused):  # no connection is kept: the next request is judged by itself
                http.get(f"http://rebind.example:{port}/")


def test_redirects_are_not_followed_and_judged_when_they_are():
    def handle(request):
        request.send_response(302)
        request.send_header("Location", "http://169.254.169.254/latest/")
        request.end_headers()

    with server(handle) as port, outgoing.client(Rules.parse(f"127.0.0.1:{port}"), seconds=5) as http:
        assert http.get(f"http://127.0.0.1:{port}/").status_code == 302
        with pytest.raises(AddressRefused):
            http.get(f"http://127.0.0.1:{port}/", follow_redirects=True)


def test_a_slow_answer_has_an_end():
    stop = threading.Event()

    def handle(request):
        request.send_response(200)
        request.end_headers()
        while not stop.wait(0.05):
            try:
                request.wfile.write(b"x")
            except OSError:
                return

    with server(handle) as port:
        began = time.monotonic()
        try:
            with (
                outgoing.client(Rules.parse("127.0.0.0/8"), seconds=0.6) as http,
                pytest.raises(httpx.TimeoutException),
            ):
                http.get(f"http://127.0.0.1:{port}/")
        finally:
            stop.set()
    assert time.monotonic() - began < 5


def test_proxies_of_the_environment_are_not_used(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    def handle(request):
        request.send_response(204)
        request.end_headers()

    with server(handle) as port, outgoing.client(Rules.parse("127.0.0.0/8"), seconds=5) as http:
        assert http.get(f"http://127.0.0.1:{port}/").status_code == 204
