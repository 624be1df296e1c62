"""The walk over a site, against a real web server on loopback."""

from __future__ import annotations

import gzip
import time
from typing import Any

import pytest

from knowledge.addresses import AddressRefused, Rules
from knowledge.site import Found, Known, Missed, Same, SiteLimits, SiteRefused, SiteUnreachable, Skipped, crawl
from knowledge.site.crawl import Visit
from knowledge.site.errors import PageUnreadable
from knowledge.site.sitemap import parse
from knowledge.site.urls import Scope, canonical

FAST = {"delay": 0.0, "page_seconds": 5.0}


def walk(web: Any, path: str = "/", known: Any = None, **limits: Any) -> tuple[dict[str, Any], Visit]:
    visit = Visit()
    found = crawl(
        web.base + path,
        rules=Rules.parse(web.host, plain=True),
        visit=visit,
        limits=SiteLimits(**(FAST | limits)),
        known=known,
    )
    seen: dict[str, Any] = {}
    for one in found:
        if hasattr(one, "source"):
            seen.setdefault(one.source.removeprefix(web.base), one)
    return seen, visit


def test_a_sitemap_names_the_pages(web) -> None:
    for path in ("/a", "/b"):
        web.page(path, "words")
    web.sitemap("/a", "/b?utm_source=x", "/missing", "https://elsewhere.example/c")
    web.page("/b", "words")
    seen, visit = walk(web)
    assert {path for path, one in seen.items() if isinstance(one, Found)} == {"/a", "/b"}
    assert isinstance(seen["/missing"], Missed)
    assert seen["/missing"].gone
    assert visit.whole
    assert "/" not in web.paths(), "the sitemap says what there is"
    assert all(headers["user-agent"].startswith("phiq/") for _, headers in web.asked)


def test_robots_names_an_index_of_packed_sitemaps_and_shuts_a_folder(web) -> None:
    index = f"<sitemapindex><sitemap><loc>{web.base}/maps/1.xml.gz</loc></sitemap></sitemapindex>"
    web.pages["/index.xml"] = _reply(index.encode())
    web.pages["/robots.txt"] = _reply(
        f"User-agent: *\nDisallow: /private\nSitemap: {web.base}/index.xml\n".encode(), "text/plain"
    )
    web.sitemap("/a", "/private/b", at="/maps/1.xml.gz", packed=True)
    web.page("/a", "words")
    web.page("/private/b", "secret")
    seen, visit = walk(web)
    assert isinstance(seen["/a"], Found)
    assert isinstance(seen["/private/b"], Skipped)
    assert "/private/b" not in web.paths()
    assert visit.whole


def _reply(body: bytes, kind: str = "application/xml", status: int = 200, **headers: str) -> Any:
    from types import SimpleNamespace

    return SimpleNamespace(body=body, kind=kind, status=status, headers=headers)


def test_without_a_sitemap_links_are_followed_to_a_depth(web) -> None:
    others = ("#top", "mailto:x@example.org", "/logo.png", "https://elsewhere.example/", "/one?fbclid=1")
    web.page("/", "start", "/one", *others)
    web.page("/one", "one", "two")
    web.page("/two", "two", "/three")
    web.page("/three", "three")
    seen, visit = walk(web, depth=2)
    assert set(seen) == {"/", "/one", "/two"}
    assert not visit.whole
    assert any("deeper than 2" in note for note in visit.notes)
    assert walk(web, depth=3)[1].whole


def test_a_folder_of_a_site_stays_in_it(web) -> None:
    web.sitemap("/docs/a", "/blog/b", "/docs")
    for path in ("/docs/a", "/blog/b", "/docs"):
        web.page(path, "words")
    assert set(walk(web, "/docs")[0]) == {"/docs/a", "/docs"}


def test_robots_that_shut_all_refuse_and_robots_that_fail_too(web) -> None:
    web.pages["/robots.txt"] = _reply(b"User-agent: phiq\nDisallow: /\n", "text/plain")
    with pytest.raises(SiteRefused, match=r"robots\.txt"):
        walk(web)
    web.pages["/robots.txt"] = _reply(b"oops", "text/plain", 500)
    with pytest.raises(SiteUnreachable):
        walk(web)
    assert "/" not in web.paths()


def test_the_crawl_delay_is_kept(web) -> None:
    web.pages["/robots.txt"] = _reply(b"User-agent: *\nCrawl-delay: 0.4\n", "text/plain")
    web.sitemap("/a", "/b")
    web.page("/a", "words")
    web.page("/b", "other")
    began = time.monotonic()
    walk(web)
    assert time.monotonic() - began >= 3 * 0.4 * 0.9, "sitemap, a and b each wait"


def test_unchanged_pages_are_asked_for_by_their_version_only(web) -> None:
    web.sitemap("/a")
    web.page("/a", "words", etag='"1"')
    known = {f"{web.base}/a": Known(f"{web.base}/a", '"1"', "")}
    assert isinstance(walk(web, known=known)[0]["/a"], Same)
    assert web.asked[-1][1]["if-none-match"] == '"1"'
    web.page("/a", "new words", etag='"2"')
    assert isinstance(walk(web, known=known)[0]["/a"], Found)


def test_what_lies_behind_an_unchanged_page_is_still_there(web) -> None:
    web.page("/", "start", "/one", etag='"1"')
    web.page("/one", "one", etag='"1"')
    known = {f"{web.base}{path}": Known(f"{web.base}{path}", '"1"', "") for path in ("/", "/one", "/gone")}
    seen, visit = walk(web, known=known)
    assert isinstance(seen["/"], Same)
    assert isinstance(seen["/one"], Same)
    assert isinstance(seen["/gone"], Missed)
    assert visit.whole


@pytest.mark.parametrize("to", ["http://169.254.169.254/latest/", "http://127.0.0.1:1/", "file:///etc/passwd", "/loop"])
def test_redirects_out_of_the_site_are_not_followed(web, to) -> None:
    web.sitemap("/loop")
    web.pages["/loop"] = _reply(b"", status=302, location=to)
    seen, _ = walk(web)
    assert isinstance(seen["/loop"], Missed)


def test_redirects_keep_to_the_site_and_its_robots(web) -> None:
    web.pages["/robots.txt"] = _reply(b"User-agent: *\nDisallow: /private\n", "text/plain")
    web.sitemap("/moved", "/hidden", "/near")
    other = f"http://localhost:{web.host.rpartition(':')[2]}/elsewhere"
    for path, to in (("/moved", other), ("/hidden", "/private/b"), ("/near", "/here")):
        web.pages[path] = _reply(b"", status=301, location=to)
    for path in ("/elsewhere", "/private/b", "/here"):
        web.page(path, "words")
    visit = Visit()
    rules = Rules.parse(f"{web.host},{other.split('/')[2]}", plain=True)
    seen = {type(one): one for one in crawl(web.base, rules=rules, visit=visit, limits=SiteLimits(**FAST))}
    assert seen[Found].source == f"{web.base}/here", "the address where the redirects end"
    assert Missed in seen
    assert not {"/elsewhere", "/private/b"} & set(web.paths())


def test_private_addresses_are_refused_before_anything_is_asked(web) -> None:
    for url in (web.base, "http://localhost/", "https://10.0.0.1/", "https://[::1]/", "http://169.254.169.254/"):
        with pytest.raises(AddressRefused):
            list(crawl(url, rules=Rules.parse("", plain=True, setting="PHIQ_SITE_ALLOW"), visit=Visit()))
    assert web.asked == []
    for url in ("ftp://example.org/", "nonsense", "https://user:secret@example.org/"):
        with pytest.raises(SiteRefused):
            list(crawl(url, rules=Rules(plain=True), visit=Visit()))


def test_canonical_pages_doubles_and_pages_that_want_no_index(web) -> None:
    web.sitemap("/print/a", "/a", "/quiet", "/far")
    web.page("/a", "words", head='<link rel="canonical" href="/a">')
    web.page("/print/a", "words", head='<link rel="canonical" href="/a#x">')
    web.page("/quiet", "words", head='<meta name="ROBOTS" content="noindex, follow">')
    web.page("/far", "words", head='<link rel="canonical" href="https://elsewhere.example/far">')
    seen, _ = walk(web)
    found = [path for path, one in seen.items() if isinstance(one, Found)]
    assert sorted(found) == ["/a", "/far"], "a page that names another site as its own address is taken as its own"
    assert isinstance(seen["/quiet"], Skipped)


def test_bombs_and_floods_end_at_their_limits(web) -> None:
    bomb = gzip.compress(b"a" * 30_000_000)
    web.sitemap("/bomb", "/endless", "/fine", "/strange")
    web.pages["/bomb"] = _reply(bomb, "text/html", **{"content-encoding": "gzip"})
    web.pages["/endless"] = _reply(b"b" * 200_000, "text/html")
    web.pages["/strange"] = _reply(b"b", "text/html", **{"content-encoding": "br"})
    web.page("/fine", "words")
    seen, visit = walk(web, page_bytes=100_000)
    assert isinstance(seen["/bomb"], Missed)
    assert isinstance(seen["/endless"], Missed)
    assert isinstance(seen["/strange"], Missed)
    assert isinstance(seen["/fine"], Found)
    assert visit.whole
    seen, visit = walk(web, pages=1)
    assert not visit.whole


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00\xff\xfe" * 100,
        b"<div>" * 50_000,
        b'<html><base href="http://[::1"><a href="http://[">x</a><a href="\xff\xfe">y</a>',
        b'<?xml version="1.0" encoding="nonsense"?><html><a href="/x">x</a></html>',
        b'<html><head><link rel="canonical" href="javascript:alert(1)"></head><body>'
        + b'<a href="/p?%d">' * 20
        + b"</a>",
    ],
)
def test_hostile_pages_stop_no_other(web, body) -> None:
    web.sitemap("/odd", "/fine")
    web.pages["/odd"] = _reply(body, "text/html")
    web.page("/fine", "words")
    assert isinstance(walk(web)[0]["/fine"], Found)


def test_sitemaps_that_are_hostile_or_none() -> None:
    bomb = (
        b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><urlset><url><loc>http://e.org/&b;</loc></url></urlset>'
    )
    for body in (bomb, b"<html></html>", b"", b"hello", b"<urlset><url>", b"\x1f\x8b\x08broken", b"<a>" * 1000):
        with pytest.raises(PageUnreadable):
            parse(body, "http://example.org/sitemap.xml")
    with pytest.raises(PageUnreadable, match="unpacks to more"):
        parse(gzip.compress(b"<urlset>" + b" " * 60_000_000), "http://example.org/sitemap.xml")
    assert parse(b"http://e.org/a\nnothing\nhttp://e.org/b#c\n", "http://e.org/s.txt") == (
        ["http://e.org/a", "http://e.org/b"],
        [],
    )


def test_a_sitemap_that_fails_for_now_forgets_nothing(web) -> None:
    web.pages["/sitemap.xml"] = _reply(b"", status=503, **{"retry-after": "0"})
    web.page("/", "start")
    seen, visit = walk(web)
    assert isinstance(seen["/"], Found)
    assert not visit.whole


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("HTTP://Example.ORG:80", "http://example.org/"),
        ("https://example.org/a/../b/./c#part", "https://example.org/b/c"),
        ("https://example.org/%7euser/%c3%a4 b", "https://example.org/~user/%C3%A4%20b"),
        ("https://bücher.example/ä?q=ü&utm_source=x", "https://xn--bcher-kva.example/%C3%A4?q=%C3%BC"),
        ("https://example.org/p;jsessionid=1A?b=1&a=2", "https://example.org/p?b=1&a=2"),
        ("mailto:someone@example.org", None),
        ("https://u:p@example.org/", None),
        ("https://[::1", None),
        ("https://example.org/" + "a" * 3000, None),
    ],
)
def test_one_spelling_an_address(given, meant) -> None:
    assert canonical(given) == meant


def test_what_belongs_to_a_site() -> None:
    docs = Scope.of("https://www.example.org/docs/index.html")
    assert docs.has("http://example.org/docs/a")
    assert not docs.has("https://example.org/docsx")
    assert not docs.has("https://example.org.evil.example/docs/a")
    assert Scope.of("https://example.org/sitemap.xml").has("https://example.org/x")
