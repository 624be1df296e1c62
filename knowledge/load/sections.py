"""Cut Markdown into sections by its headings, keeping the words between them as they are."""

from __future__ import annotations

import re

from knowledge.types import Section

_ATX = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*?))?(?:[ \t]+#+)?[ \t]*$")
_UNDERLINE = re.compile(r" {0,3}(=+|-+)[ \t]*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
# A paragraph's line; a list, quote, table or rule above "---" makes no heading of it.
_PARAGRAPH = re.compile(r" {0,3}(?![-*+>#|]|\d+[.)]\s)\S")
_MARKS = re.compile(r"!?\[([^\]]*)\]\([^)]*\)|[*_`]{1,3}(?=\S)|(?<=\S)[*_`]{1,3}")
SEPARATOR = " > "
_LONGEST_HEADING = 1000  # longer lines are no headings, and the patterns above are slow on them


def sections_of(markdown: str, first_line: int | None = None) -> tuple[str, tuple[Section, ...]]:
    """The first heading of the highest level (or an empty string), and the text below each heading.

    A section's ``heading`` is the path of headings above it. Sections without words are left out.

    Args:
        markdown: The text.
        first_line: The number of its first line in the file, where the text stands in the file as it is here.
    """
    title, path = "", list[tuple[int, str]]()
    sections: list[Section] = []
    body: list[str] = []
    fence = ""
    begins = 0  # the line that the body begins with, from 0

    def close() -> None:
        text = "\n".join(body)
        blank = len(text) - len(text.lstrip("\n"))
        text = text.strip("\n").rstrip()
        if text.strip():
            place = None if first_line is None else first_line + begins + blank
            sections.append(Section(text=text, heading=SEPARATOR.join(name for _, name in path), line=place))
        body.clear()

    for number, line in enumerate(markdown.split("\n")):
        mark = _FENCE.match(line)
        if mark and (not fence or (line.strip()[0] == fence[0] and len(mark[1]) >= len(fence))):
            fence = "" if fence else mark[1]
        level, name = (0, "") if fence or mark else _heading(line, body)
        if not level:
            body.append(line)
            continue
        close()
        begins = number + 1
        path = [step for step in path if step[0] < level]
        if name:
            path.append((level, name))
            title = title or (name if level == 1 else "")
    close()
    return title, tuple(sections)


def _heading(line: str, body: list[str]) -> tuple[int, str]:
    """Level and words of the heading that a line makes, 0 where it makes none; takes an underlined line back."""
    if len(line) > _LONGEST_HEADING:
        return 0, ""
    if found := _ATX.match(line):
        return len(found[1]), plain(found[2] or "")
    underline = _UNDERLINE.match(line)
    alone = len(body) == 1 or (len(body) > 1 and not body[-2].strip())
    if underline and body and alone and _PARAGRAPH.match(body[-1]):
        return (1 if underline[1][0] == "=" else 2), plain(body.pop())
    return 0, ""


def plain(words: str) -> str:
    """A heading without its marks, on one line and of bounded length."""
    return " ".join(_MARKS.sub(lambda found: found[1] or "", words[:2000]).split())[:200]
