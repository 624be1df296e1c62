"""Walks a website page by page: by its sitemaps where it has any, else along its links."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from knowledge.addresses import AddressRefused, Rules
from knowledge.errors import UserError
from knowledge.site.errors import PageUnreadable, SiteRefused, SiteUnreachable
from knowledge.site.fetch import Answer, Fetcher, Stopped
from knowledge.site.page import file_name, read_page
from knowledge.site.robots import Robots, read_robots
from knowledge.site.sitemap import Listed, read_sitemaps
from knowledge.site.types import Known, SiteLimits
from knowledge.site.urls import Scope, canonical, origin

_GIVE_UP = 25
"""Pages that fail one after the other: by then it is the site that fails."""
_QUEUE = 20
"""Addresses kept in mind for each page that may be taken: a page's links may be without end."""
_GONE = (404, 410)


@dataclass(frozen=True)
class Found:
    """A page that is new or may have changed. ``asked`` is the address it was asked at, ``source`` its own."""

    source: str
    asked: str
    name: str
    data: bytes = field(repr=False)
    etag: str = ""
    modified: str = ""


@dataclass(frozen=True)
class Same:
    """A page that the server says is as it was stored."""

    source: str


@dataclass(frozen=True)
class Missed:
    """A page that could not be had; ``gone``: the server says there is none any more."""

    source: str
    error: UserError
    gone: bool = False


@dataclass(frozen=True)
class Skipped:
    """A page that is left out as its site wishes, or because it is no document or another page's double."""

    source: str
    why: str


@dataclass(frozen=True)
class Tried:
    """How far the visit is: ``done`` of ``total`` addresses known so far."""

    url: str
    done: int
    total: int


Seen = Found | Same | Missed | Skipped | Tried


@dataclass
class Visit:
    """What the visit as a whole found; complete when it has ended.

    Attributes:
        whole: All pages there are were looked at, so that stored ones not among them are gone.
        notes: Sentences for people.
    """

    whole: bool = True
    notes: list[str] = field(default_factory=list)

    def cut(self, why: str) -> None:
        """Say that pages are missing, and why."""
        self.whole = False
        if why not in self.notes:
            self.notes.append(why)


def crawl(
    url: str,
    *,
    rules: Rules,
    visit: Visit,
    limits: SiteLimits | None = None,
    known: Mapping[str, Known] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Iterator[Seen]:
    """The pages of a site, one after the other.

    Args:
        url: The site, a folder of it, or a sitemap.
        rules: Which addresses may be connected to.
        visit: Filled on the way; read it when the iteration has ended.
        limits: How much, how fast.
        known: Of stored pages, by the address they were asked at.
        should_stop: Ends the visit, which is then not whole.

    Raises:
        SiteRefused: the address is none, or the site's robots.txt shuts us out of it.
        SiteUnreachable: the site does not answer.
        AddressRefused: it may not be connected to.
    """
    limits = limits or SiteLimits()
    stop = should_stop or (lambda: False)
    fetcher = Fetcher(rules, limits, stop)
    try:
        yield from _Walk(url, fetcher, limits, known or {}, visit).pages()
    except Stopped:
        visit.cut("The visit was stopped before its end.")
    finally:
        fetcher.close()


class _Walk:
    """The state of one visit."""

    def __init__(
        self, url: str, fetcher: Fetcher, limits: SiteLimits, known: Mapping[str, Known], visit: Visit
    ) -> None:
        self._scope = Scope.of(url)
        self._start = canonical(url) or url
        self._fetcher = fetcher
        self._limits = limits
        self._known = known
        self._visit = visit
        self._robots: dict[str, Robots] = {}
        self._until = time.monotonic() + limits.seconds
        self._sources: set[str] = set()
        self._failing = 0
        self._todo: deque[tuple[str, int]] = deque()
        self._queued: set[str] = set()

    def pages(self) -> Iterator[Seen]:
        robots = self._rules_of(self._start)
        self._fetcher.allowed = lambda url: self._scope.same_host(url) and self._rules_of(url).allows(url)
        if not robots.allows(self._start):
            raise SiteRefused(
                f"The robots.txt of {origin(self._start)} does not let phiq read {self._start}.",
                hint="Ask the site's owner, or get the documents another way.",
                subject=self._start,
            )
        listed = self._listed(robots)
        self._visit.notes += listed.notes
        self._visit.whole = self._visit.whole and listed.whole
        self._todo.extend((page, -1) for page in listed.pages if self._scope.has(page))
        follow = not self._todo
        if follow:
            self._todo.append((self._start, 0))
        self._queued = {page for page, _ in self._todo}
        done, unchanged = 0, False
        while self._todo:
            page, deep = self._todo.popleft()
            if not self._goes_on(done):
                return
            done += 1
            for seen, links in self._one(page):
                yield seen
                unchanged = unchanged or isinstance(seen, Same)
                if follow:
                    self._follow(links, deep)
            yield Tried(page, done, min(len(self._queued), self._limits.pages))
            if follow and unchanged and not self._todo:
                # Pages that did not change came without their links: what lay behind these is asked for by itself.
                self._follow(tuple(self._known), -1)

    def _follow(self, links: tuple[str, ...], deep: int) -> None:
        new = [link for link in dict.fromkeys(links) if self._scope.has(link) and link not in self._queued]
        if new and deep >= self._limits.depth:
            self._visit.cut(f"Links deeper than {self._limits.depth} from the first page were not followed.")
            return
        room = max(0, _QUEUE * self._limits.pages - len(self._queued))
        self._queued.update(new[:room])
        self._todo.extend((link, deep + 1) for link in new[:room])

    def _listed(self, robots: Robots) -> Listed:
        """The pages by sitemap: that which was given, those that robots.txt names, or the one at the usual place."""
        named = [address for one in robots.sitemaps if (address := canonical(one, self._start)) is not None]
        most = self._limits.pages
        if not self._start.endswith((".xml", ".xml.gz", ".txt")):
            maps = [one for one in named if self._fetcher.allowed(one)]
            if maps:
                return read_sitemaps(self._fetcher, maps, most)
            return read_sitemaps(self._fetcher, [f"{origin(self._start)}/sitemap.xml"], most, guessed=True)
        return read_sitemaps(self._fetcher, [self._start], most, guessed=True)

    def _goes_on(self, done: int) -> bool:
        limits = self._limits
        if done >= limits.pages:
            self._visit.cut(
                f"The site has more than {limits.pages:,} pages; the rest was left. Raise the limit of pages."
            )
        elif time.monotonic() > self._until:
            self._visit.cut(f"The visit took longer than {limits.seconds:,.0f} seconds; the rest was left.")
        elif self._fetcher.bytes > limits.total_bytes:
            self._visit.cut(f"The site's pages have more than {limits.total_bytes:,} bytes; the rest was left.")
        elif self._failing >= _GIVE_UP:
            raise SiteUnreachable(
                f"{_GIVE_UP} pages of {origin(self._start)} failed one after the other.",
                hint="Try again later; what was read is kept.",
                subject=self._start,
            )
        else:
            return True
        return False

    def _one(self, page: str) -> Iterator[tuple[Seen, tuple[str, ...]]]:
        known = self._known.get(page)
        try:
            if not self._fetcher.allowed(page):
                yield Skipped(page, "the site's robots.txt does not let us read it"), ()
                return
            answer = self._fetcher.get(page, known)
        except (PageUnreadable, AddressRefused, SiteUnreachable) as error:
            self._failing += 1
            fault = error if isinstance(error, UserError) else PageUnreadable(error.message, subject=page)
            yield Missed(known.source if known else page, fault), ()
            return
        self._failing = self._failing + 1 if answer.status >= 500 or answer.status == 429 else 0
        if answer.status == 304 and known is not None:
            self._sources.add(known.source)
            yield Same(known.source), ()
        elif answer.status != 200:
            yield self._no_page(page, known, answer.status), ()
        else:
            yield from self._read(page, answer)

    def _read(self, asked: str, answer: Answer) -> Iterator[tuple[Seen, tuple[str, ...]]]:
        page = read_page(answer)
        source = answer.url
        if page.canonical is not None and self._scope.has(page.canonical):
            source = page.canonical
        name = file_name(answer.url, answer.kind)
        if page.noindex:
            yield Skipped(source, "the page asks not to be indexed"), page.links
        elif not self._scope.has(source):
            yield Skipped(source, f"{asked} leads out of {self._scope.folder}"), ()
        elif source in self._sources:
            yield Skipped(asked, f"the same page as {source}"), page.links
        elif name is None:
            yield Skipped(source, f"no document ({answer.kind or 'of no kind'})"), ()
        else:
            self._sources.add(source)
            yield Found(source, asked, name, answer.body, answer.etag, answer.modified), page.links

    def _no_page(self, page: str, known: Known | None, status: int) -> Missed:
        gone = status in _GONE
        hint = "Take it out of the sitemap, or mend the link." if gone else "Try again later."
        error = PageUnreadable(f"{page} answers {status}.", hint=hint, subject=page, status=status)
        return Missed(known.source if known else page, error, gone)

    def _rules_of(self, url: str) -> Robots:
        where = origin(url)
        if where not in self._robots:
            self._robots[where] = Robots()  # while its own redirects are judged
            self._robots[where] = read_robots(self._fetcher, url)
            self._fetcher.delay = max(self._fetcher.delay, self._robots[where].delay)
        return self._robots[where]
