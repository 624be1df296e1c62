"""Fits the thresholds of a collection's chats on questions of which it is known whether it answers them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from agents.calibration import LEAST, NOTE, Calibration, Judged, Rates, fit, held_out, rates
from agents.contract import Message
from workers.errors import CalibrationImpossible
from workers.evals.load import load_set
from workers.evals.records import ChatRecord
from workers.resources import Resources
from workers.settings import Settings


@dataclass(frozen=True)
class Fitted:
    """What was fitted, and what it brings; ``before`` are the thresholds that were in force, on the same questions."""

    calibration: Calibration
    answerable: int
    unanswerable: int
    held_out: Rates
    before: Rates


def questions(folder: Path) -> list[ChatRecord]:
    """The questions of a set (docs/quality.md says what its files hold).

    Raises:
        SetInvalid: naming the line that can't be used.
        CalibrationImpossible: there are too few of a kind.
    """
    found = [record for record in load_set(folder, tasks=["chat"]).records if isinstance(record, ChatRecord)]
    answerable = sum(record.answerable for record in found)
    fewest = min(answerable, len(found) - answerable)
    if fewest < LEAST:
        raise CalibrationImpossible(
            f"{folder} has {answerable} questions that can be answered and {len(found) - answerable} that can't.",
            hint=f'At least {LEAST} of each are needed. Mark the others: {{"question": "…", "answerable": false}}',
            subject=str(folder),
        )
    return found


def look_up(settings: Settings, tenant: str, collection: str, asked: Sequence[ChatRecord]) -> Iterator[Judged]:
    """Look each question up, as the chat would.

    Raises:
        PhiqError: the collection or the store can't be read.
    """
    from agents.extractive.chat import weigh

    have = Resources(settings)
    try:
        retriever, embedder = have.store(tenant).retriever(collection), have.embedder
        for record in asked:
            turns = [Message.model_validate(turn) for turn in record.turns]
            found = weigh(turns, retriever, embedder)
            yield Judged(record.answerable, found.support, found.score)
    finally:
        have.close()


def fit_for(
    settings: Settings, tenant: str, collection: str, judged: Sequence[Judged], at_most: float, *, keep: bool = True
) -> Fitted:
    """Fit thresholds and keep them with the collection.

    Args:
        settings: Where Chroma is.
        tenant: Whose collection it is.
        collection: Its name.
        judged: The questions, looked up.
        at_most: The share 0..1 of unanswerable questions that may be answered.
        keep: Write the thresholds; else they are only shown.

    Raises:
        PhiqError: the store can't be read or written.
    """
    have = Resources(settings)
    try:
        before = have.calibration(tenant, collection) or Calibration()
        fitted = fit(judged, at_most)
        if keep:
            have.store(tenant).note(collection, NOTE, fitted.dump())
    finally:
        have.close()
    answerable = sum(one.answerable for one in judged)
    return Fitted(fitted, answerable, len(judged) - answerable, held_out(judged, at_most), rates(judged, before))


def forget(settings: Settings, tenant: str, collection: str) -> None:
    """Go back to the thresholds that phiq comes with.

    Raises:
        PhiqError: the collection or the store can't be written.
    """
    have = Resources(settings)
    try:
        have.store(tenant).note(collection, NOTE, "")
    finally:
        have.close()
