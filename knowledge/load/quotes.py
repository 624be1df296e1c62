"""Replies that quote what they answer: each message's words once, where they were written."""

from __future__ import annotations

import re

_QUOTED = re.compile(r"[ \t]*>")
_MARKS = re.compile(r"[\s>]+")
# "On Mon, 2 Jan 2026 at 10:00, Anna wrote:" and its like in other languages; it may run over two lines.
_SAID = re.compile(
    r"^(?=.{8,300}:[ \t]*$)(?:on|am|le|el|il|op|em|den|dnia)\b.*"
    r"(?:wrote|schrieb|écrit|escribió|scritto|schreef|escreveu|skrev|napisał\w*)\b.{0,60}:[ \t]*$",
    re.IGNORECASE,
)
_ORIGINAL = re.compile(
    r"^[ \t]*[-_]{3,}[ \t]*(?:original message|forwarded message|ursprüngliche nachricht|message d'origine|"
    r"mensaje original|messaggio originale)?[ \t]*[-_]*[ \t]*$",
    re.IGNORECASE,
)
_HEADER = re.compile(
    r"^[ \t]*\*?(?:from|von|de|da|van|sent|gesendet|envoyé|to|an|à|subject|betreff|objet|date)\*?\s?:", re.IGNORECASE
)
_LEAST = 0.8  # share of a quotation's lines that were seen before
_LONGEST = 200_000  # characters that are remembered of a thread; what is older is hardly quoted


class Quotes:
    """What has been said in a thread so far.

    A quotation of something that is here already is left out, with the line that introduces it; the quotation of
    something that is nowhere else stays, because it is the only copy.
    """

    def __init__(self) -> None:
        self._said = ""

    def seen(self, text: str) -> str:
        """The text as it is; it counts as said."""
        # Marks and line ends fall out on both sides, because quoting wraps lines anew.
        self._said = f"{self._said} {_bare(text)}"[-_LONGEST:]
        return text

    def without(self, text: str) -> str:
        """The text without quotations of what was said before; the rest counts as said."""
        lines = text.split("\n")
        kept: list[str] = []
        at = 0
        while at < len(lines):
            start, end = _quotation(lines, at)
            if end > at and self._known(lines[start:end]):
                at = end
                continue
            kept += lines[at : max(end, at + 1)]
            at = max(end, at + 1)
        return self.seen(re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip())

    def _known(self, lines: list[str]) -> bool:
        told = [bare for line in lines if (bare := _bare(line)) and not (_SAID.match(bare) or _HEADER.match(bare))]
        return bool(told) and sum(bare in self._said for bare in told) >= _LEAST * len(told)


def _quotation(lines: list[str], at: int) -> tuple[int, int]:
    """Where the quotation that a line begins or introduces has its words; twice ``at`` when there is none."""
    if _ORIGINAL.match(lines[at]):
        # Such a quotation has no marks: it begins with copied headers and goes on to the message's end.
        following = [line for line in lines[at + 1 : at + 4] if line.strip()]
        return (at + 1, len(lines)) if following and _HEADER.match(following[0]) else (at, at)
    start = at
    for height in (1, 2):
        said = " ".join(line.strip() for line in lines[at : at + height])
        if not _QUOTED.match(lines[at]) and _SAID.match(said):
            start = at + height
            while start < len(lines) and not lines[start].strip():
                start += 1
            break
    end = start
    while end < len(lines) and (_QUOTED.match(lines[end]) or (end > start and _blank_within(lines, end))):
        end += 1
    return (start, end) if end > start else (at, at)


def _blank_within(lines: list[str], at: int) -> bool:
    return not lines[at].strip() and at + 1 < len(lines) and bool(_QUOTED.match(lines[at + 1]))


def _bare(line: str) -> str:
    return _MARKS.sub(" ", line).strip().lower()
