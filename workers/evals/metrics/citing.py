"""Whether what an answer says stands where it says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from agents.checks.markers import without_markers
from agents.checks.numbers import foreign_numbers
from tools.sentences import split_sentences


def exact(result: dict[str, Any]) -> tuple[int, int]:
    """Citations whose quote is the passage's text at that place, of how many."""
    passages = {passage["id"]: passage["text"] for passage in result.get("passages", ())}
    citations = result.get("citations", ())
    right = sum(
        passages.get(one["passage_id"], "")[one["start"] : one["end"]] == one["quote"] != "" for one in citations
    )
    return right, len(citations)


def precision(result: dict[str, Any], relevant: Sequence[str]) -> tuple[int, int]:
    """Citations of relevant sources, of how many."""
    citations = result.get("citations", ())
    return sum(one["source"] in relevant for one in citations), len(citations)


def recall(result: dict[str, Any], relevant: Sequence[str]) -> tuple[int, int]:
    """Relevant sources that are cited, of how many."""
    cited = {one["source"] for one in result.get("citations", ())}
    return len(cited & set(relevant)), len(set(relevant))


def verbatim(result: dict[str, Any]) -> tuple[int, int]:
    """Sentences of the answer that stand word for word in a cited passage, of how many."""
    cited = {one["passage_id"] for one in result.get("citations", ())}
    texts = [_one_line(passage["text"]) for passage in result.get("passages", ()) if passage["id"] in cited]
    said = [_one_line(without_markers(span.text)) for span in split_sentences(result.get("text", ""))]
    said = [sentence for sentence in said if any(char.isalnum() for char in sentence)]
    return sum(any(sentence in text for text in texts) for sentence in said), len(said)


def numbers_borne_out(result: dict[str, Any]) -> bool:
    """Whether every number of the answer stands in its passages."""
    source = "\n".join(passage["text"] for passage in result.get("passages", ()))
    return not foreign_numbers(without_markers(result.get("text", "")), source)


def _one_line(text: str) -> str:
    return " ".join(text.split())
