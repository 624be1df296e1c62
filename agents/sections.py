"""What minutes and hand-overs say, heading by heading, and how much of a summary rests on which text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from agents.checks.words import content_words, shared_words
from agents.contract.summarize import SummaryPoint, SummarySection, SummarySource
from tools.sentences import split_sentences

Heading = Literal["summary", "decisions", "actions", "problem", "tried", "state", "next_step"]
HEADINGS: dict[str, Heading] = {
    "summary": "summary",
    "decisions": "decisions",
    "actions": "actions",
    "problem": "problem",
    "tried": "tried",
    "state": "state",
    "next step": "next_step",
    "next steps": "next_step",
}
_NAMES = "|".join(sorted(HEADINGS, key=len, reverse=True))
_HEADING = re.compile(rf"^[ \t#*]*({_NAMES})[ \t]*[:*]*[ \t]*$", re.IGNORECASE)
_MARK = re.compile(r"\s*(?:[-*•]|\d{1,2}[.)])\s+")
_WHO = re.compile(r"([^:()]{1,40}):\s+(?=\S)")
_WHEN = re.compile(r"\(([^()]{1,60})\)[.\s]*$")
_NONE = ("none", "n/a", "-", "")


def sections(text: str) -> list[SummarySection]:
    """The headed points of minutes or a hand-over, with their places; empty where no heading stands."""
    found: dict[Heading, list[SummaryPoint]] = {}
    heading: Heading | None = None
    at = 0
    for line in text.splitlines(keepends=True):
        if match := _HEADING.match(line.rstrip()):
            heading = HEADINGS[match[1].lower()]
            found.setdefault(heading, [])
        elif heading is not None and line.strip():
            mark = _MARK.match(line)
            begin, end = mark.end() if mark else len(line) - len(line.lstrip()), len(line.rstrip())
            said = line[begin:end]
            if said.strip(" .").lower() not in _NONE:
                found[heading].append(_point(said, at + begin, heading))
        at += len(line)
    return [SummarySection(heading=name, points=points) for name, points in found.items()]


def _point(said: str, start: int, heading: Heading) -> SummaryPoint:
    who, when = "", ""
    if heading == "actions":
        owner, due = _WHO.match(said), _WHEN.search(said)
        who = owner[1].strip() if owner else ""
        when = due[1].strip() if due else ""
    return SummaryPoint(text=said, start=start, end=start + len(said), who=who, when=when)


def shares(summary: str, texts: Sequence[tuple[str, str]]) -> list[SummarySource]:
    """How many sentences of a summary share most of their words with each text (name, text)."""
    words = [content_words(f"{name} {text}") for name, text in texts]
    kept = [0] * len(texts)
    for span in split_sentences(summary):
        own = content_words(span.text)
        counts = [len(shared_words(own, of)) for of in words]
        if max(counts):
            kept[counts.index(max(counts))] += 1
    return [
        SummarySource(name=name, sentences=len(split_sentences(text)), kept=count)
        for (name, text), count in zip(texts, kept, strict=True)
    ]
