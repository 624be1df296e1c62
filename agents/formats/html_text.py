"""HTML: what a reader sees or hears is translated; tags, scripts, styles, code and everything else stay.

A scanner of our own, since no parser says where in the file a text stands. It goes over the page once, however broken
that is: what is never closed is kept as it is.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from agents.checks.protect import has_words
from agents.segments import Bit

_INLINE_TAGS = (
    "a abbr b bdi bdo big br cite code data del dfn em font i img ins kbd mark q s samp small span strike strong sub "
    "sup time tt u var wbr"
)
_INLINE = frozenset(_INLINE_TAGS.split())
_KEPT = frozenset({"pre", "textarea", "svg", "math", "template", "object"})
_RAW = frozenset({"script", "style", "noscript", "iframe", "xmp"})
_VOID_TAGS = "area base br col embed hr img input link meta source track wbr"
_VOID = frozenset(_VOID_TAGS.split())
_SAID = frozenset({"alt", "title", "placeholder", "aria-label"})
_META = frozenset({"description", "og:title", "og:description", "twitter:title", "twitter:description"})

_TAG = re.compile(r"""</?([A-Za-z][^\s/>]*+)(?:[^<>"']|"[^"]*+"|'[^']*+')*+>""")
_ATTRIBUTE = re.compile(r"""(?<=[\s"'])([A-Za-z][\w:-]*+)\s*+=\s*+(?:"([^"]*+)"|'([^']*+)'|([^\s"'<>=`]++))""")
_ANY_TAG = re.compile(r"</?[A-Za-z][^<>]*+>")
_ENTITY = re.compile(r"&(?!(?:lt|gt|amp|#60|#62|#38);)(?:#\d{1,7}|#x[0-9A-Fa-f]{1,6}|[A-Za-z]\w{1,30});")
_EDGE = re.compile("[<>]")
_MOST_BROKEN = 100
"""Tags that are no tags, before the rest of a page is kept: each may cost a look at the whole rest."""

_AMPERSAND = re.compile(r"&(?!(?:#\d{1,7}|#x[0-9A-Fa-f]{1,6}|[A-Za-z]\w{1,30});)")


@dataclass
class _Page:
    """What was read and not given out yet: the tags and text of a unit, from ``start`` on."""

    text: str
    line: int = 1
    counted: int = 0
    parts: list[tuple[str, bool]] = field(default_factory=list)
    broken: int = 0

    def place(self, at: int) -> str:
        """The line of a position; positions only grow."""
        self.line += self.text.count("\n", self.counted, at)
        self.counted = at
        return f"line {self.line}"


def html_bits(text: str, target: str = "") -> Iterator[Bit]:
    """The bits of a page or a piece of one.

    Args:
        text: The page.
        target: Code of the language translated into, for the page's ``lang``; empty leaves it.
    """
    page, at, start, lowered = _Page(text), 0, 0, text.lower()
    while at < len(text):
        opens = text.find("<", at)
        if opens < 0:
            page.parts.append((text[at:], False))
            break
        tag = _TAG.match(text, opens)
        if opens > at:
            page.parts.append((text[at:opens], False))
        if tag is None and not text.startswith(("<!", "<?", "</"), opens) and not text[opens + 1 : opens + 2].isalpha():
            page.parts.append(("<", False))  # a sign in the text
            at = opens + 1
            continue
        name = tag[1].lower() if tag else ""
        if tag and name in _INLINE and not _stays(tag[0], name) and not _says(tag[0], name):
            page.parts.append((tag[0], True))
            at = tag.end()
            continue
        # Whatever ends a unit is given out after it.
        yield from _unit(page, start)
        page.broken += tag is None and text[opens + 1 : opens + 2].isalpha()
        at = _end(text, lowered, opens, tag) if page.broken <= _MOST_BROKEN else len(text)
        first = text[opens : tag.end()] if tag else text[opens:at]
        yield from _tag_bits(first, name, page.place(opens), target) if tag else [Bit(first)]
        yield Bit(text[opens + len(first) : at])
        start = at
    yield from _unit(page, start)


def _end(text: str, lowered: str, opens: int, tag: re.Match[str] | None) -> int:
    """Where that ends which begins at a "<": a comment, a declaration, a tag, with all within it that is kept."""
    if tag is None:
        mark = "-->" if text.startswith("<!--", opens) else ">"
        if not text.startswith(("<!", "<?", "</"), opens):
            edge = _EDGE.search(text, opens + 1)
            return edge.start() if edge else len(text)
        closes = text.find(mark, opens + len(mark) - 1)
        # What is never closed hides the rest in a browser too.
        return closes + len(mark) if closes >= 0 else len(text)
    name = tag[1].lower()
    if tag[0].startswith("</") or name in _VOID or tag[0].endswith("/>"):
        return tag.end()
    if name in _RAW:
        closes = lowered.find(f"</{name}", tag.end())
        return closes if closes >= 0 else len(text)
    if not _stays(tag[0], name):
        return tag.end()
    depth = 1
    for inner in re.compile(rf"<(/?){re.escape(name)}(?=[\s/>])").finditer(lowered, tag.end()):
        depth += -1 if inner[1] else 1
        if not depth:
            return inner.start()
    return len(text)


def _stays(tag: str, name: str) -> bool:
    """Whether a tag opens something that is not translated."""
    if tag.startswith("</"):
        return False
    if name in _KEPT:
        return True
    if "translate" not in tag.lower():
        return False
    given = {key.lower(): value for key, value, _ in _attributes(tag)}
    return given.get("translate", "").lower() == "no" or "notranslate" in given.get("class", "").split()


def _says(tag: str, name: str) -> bool:
    """Whether a picture in a sentence has words of its own: then the sentence is divided there."""
    return name == "img" and any(key.lower() in _SAID and has_words(value) for key, value, _ in _attributes(tag))


def _attributes(tag: str) -> Iterator[tuple[str, str, tuple[int, int]]]:
    """Name, value and place of each attribute of a tag."""
    for match in _ATTRIBUTE.finditer(tag):
        group = next(number for number in (2, 3, 4) if match[number] is not None)
        yield match[1], html.unescape(match[group]), match.span(group)


def _tag_bits(tag: str, name: str, place: str, target: str) -> Iterator[Bit]:
    """A tag, with those of its attributes as units that are read or heard."""
    found = list(_attributes(tag))
    given = {key.lower(): value.lower() for key, value, _ in found}
    last = 0
    for key, value, (start, end) in found:
        key = key.lower()
        said = (
            key in _SAID
            or (name == "meta" and key == "content" and given.get("name", given.get("property", "")) in _META)
            or (name == "input" and key == "value" and given.get("type") in ("submit", "button", "reset"))
        )
        if said and has_words(value) and tag[start - 1] in "\"'":
            yield Bit(tag[last:start])
            yield Bit(
                tag[start:end], unit=True, asked=" ".join(value.split()), place=place, write=_quoted(tag[start - 1])
            )
        elif name == "html" and key == "lang" and target:
            yield Bit(tag[last:start] + target)
        else:
            continue
        last = end
    yield Bit(tag[last:])


def _quoted(mark: str) -> Callable[[str], str]:
    other = "&quot;" if mark == '"' else "&#39;"
    return lambda text: html.escape(text, quote=False).replace(mark, other)


def _unit(page: _Page, start: int) -> Iterator[Bit]:
    """The text and inline tags since ``start``; tags around all of it are no part of the unit."""
    parts, page.parts = page.parts, []
    if not parts:
        return
    words = [number for number, (part, is_tag) in enumerate(parts) if not is_tag and part.strip()]
    if not words or not has_words("".join(part for part, is_tag in parts if not is_tag)):
        yield Bit("".join(part for part, _ in parts))
        return
    first, last = words[0], words[-1]
    if any(is_tag for _, is_tag in parts[first:last]):
        # Which of the outer tags belongs to which of the inner ones is the whole's affair.
        first, last = 0, len(parts) - 1
    before = "".join(part for part, _ in parts[:first])
    raw = "".join(part for part, _ in parts[first : last + 1])
    core = raw.strip()
    lead = before + raw[: raw.index(core)]
    yield Bit(lead)
    tags = frozenset(part for part, is_tag in parts if is_tag)
    asked = " ".join(_ENTITY.sub(lambda match: html.unescape(match[0]), core).split())
    yield Bit(core, unit=True, asked=asked, place=page.place(start + len(lead)), write=_Written(tags))
    yield Bit(raw[raw.index(core) + len(core) :] + "".join(part for part, _ in parts[last + 1 :]))


class _Written:
    """Writes a translation: tags of the source as they are, everything else as text."""

    def __init__(self, tags: frozenset[str]) -> None:
        self._tags = tags

    def __call__(self, text: str) -> str:
        out, last = "", 0
        for match in _ANY_TAG.finditer(text):
            if match[0] in self._tags:
                out += _as_text(text[last : match.start()]) + match[0]
                last = match.end()
        return out + _as_text(text[last:])


def _as_text(text: str) -> str:
    return _AMPERSAND.sub("&amp;", text).replace("<", "&lt;").replace(">", "&gt;")
