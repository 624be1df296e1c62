from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class Reply:
    """What the server says of a path."""

    body: bytes = b""
    status: int = 200
    kind: str = "text/html; charset=utf-8"
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Web:
    """A website on this machine; ``asked`` are the paths and headers of its visitors."""

    base: str = ""
    pages: dict[str, Reply] = field(default_factory=dict)
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)

    @property
    def host(self) -> str:
        return self.base.removeprefix("http://")

    def page(self, path: str, words: str, *links: str, head: str = "", **headers: str) -> None:
        text = "".join(f'<a href="{link}">further</a> ' for link in links)
        top = f"<html><head><title>{path}</title>{head}</head>"
        body = f"{top}<body><article><p>{words}</p>{text}</article></body></html>"
        self.pages[path] = Reply(
            body.encode(), headers={name.replace("_", "-"): value for name, value in headers.items()}
        )

    def sitemap(self, *paths: str, at: str = "/sitemap.xml", packed: bool = False) -> None:
        body = (
            '<?xml version="1.0"?><urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">'
            + "".join(f"<url><loc>{path if '://' in path else self.base + path}</loc></url>" for path in paths)
            + "</urlset>"
        ).encode()
        self.pages[at] = Reply(gzip.compress(body) if packed else body, kind="application/xml")

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]


@pytest.fixture
def web() -> Iterator[Web]:
    site = Web()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            site.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            reply = site.pages.get(self.path, Reply(b"nothing", 404))
            etag = reply.headers.get("etag")
            if reply.status == 200 and etag and self.headers.get("if-none-match") == etag:
                reply = Reply(b"", 304)
            self.send_response(reply.status)
            if reply.status != 304:
                self.send_header("content-type", reply.kind)
                self.send_header("content-length", str(len(reply.body)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *_: object) -> None:
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    site.base = f"http://127.0.0.1:{made.server_address[1]}"
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield site
    finally:
        made.shutdown()
        made.server_close()
        thread.join()
