"""Frames text that others wrote, so that a model can tell where it begins and ends and takes it as data."""

from __future__ import annotations

from collections.abc import Iterable


def tag_for(texts: Iterable[str], name: str) -> str:
    """A tag that none of the texts contains, so that none can close its own frame.

    Args:
        texts: What will stand inside frames of this tag.
        name: The tag wished for; a number is added where a text contains it.
    """
    lowered = [text.lower() for text in texts]
    tag, number = name, 1
    while any(f"<{tag}" in text or f"</{tag}" in text for text in lowered):
        number += 1
        tag = f"{name}{number}"
    return tag


def frame(text: str, tag: str) -> str:
    """The text between an opening and a closing tag, each on a line of its own."""
    return f"<{tag}>\n{text}\n</{tag}>"


def one_line(text: str) -> str:
    """A title or name without line breaks, so that it can't imitate the lines around it."""
    return " ".join(text.split())
