"""Markdown."""

from __future__ import annotations

import re

from knowledge.load.content import Content
from knowledge.load.encoding import decode
from knowledge.load.limits import LoadLimits
from knowledge.load.sections import plain, sections_of

_FRONT_MATTER = re.compile(r"\A---[ \t]*\n(.*?)\n(?:---|\.\.\.)[ \t]*(?:\n|\Z)", re.DOTALL)
_TITLE = re.compile(r"^title:[ \t]*(['\"]?)(.{1,300}?)\1[ \t]{0,20}$", re.MULTILINE)


def load_markdown(data: bytes, name: str, limits: LoadLimits) -> Content:  # noqa: ARG001 - the form of every loader
    """Sections by heading; the title is the front matter's or the first heading of level 1."""
    text = decode(data, name)
    title, first = "", 1
    front = _FRONT_MATTER.match(text)
    # A text may begin with a rule; front matter has keys.
    if front and re.search(r"^[\w-]+:", front[1], re.MULTILINE):
        found = _TITLE.search(front[1])
        title = plain(found[2]) if found else ""
        first += text.count("\n", 0, front.end())
        text = text[front.end() :]
    heading, sections = sections_of(text, first)
    return Content(title or heading, sections)
