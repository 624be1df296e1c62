"""What goes into a grounded chat's prompt: which passages, and how much of the conversation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agents.budget import Budget, most
from agents.contract import Message
from agents.prompts import chat as prompts
from knowledge.search import fuse
from knowledge.types import Passage, Retriever

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

SHORTEN = "Shorten the question, or choose a model with a longer context."


@dataclass(frozen=True)
class Prompt:
    """A prompt that fits, with what it holds; ``notes`` say what was left out."""

    messages: list[BaseMessage]
    passages: list[Passage] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_passages(retriever: Retriever, conversation: Sequence[Message], top_k: int) -> list[Passage]:
    """The passages for the last question, best first; a follow-up is understood from what was asked before it."""
    questions = [message.content for message in conversation if message.role == "user"]
    return retriever.retrieve(questions[-1], top_k, questions[:-1])


def find_more(retriever: Retriever, found: Sequence[Passage], alone: str, top_k: int) -> list[Passage]:
    """What was found, and what the question finds as it would be asked without the turns before it, by rank."""
    return _together(retriever.retrieve(alone, top_k), found)[:top_k]


def _together(*lists: Sequence[Passage]) -> list[Passage]:
    """Lists of passages as one by reciprocal ranks; of two that overlap the longer stays, with the better score."""
    ranked = fuse([[passage.id for passage in found] for found in lists])
    known: dict[str, Passage] = {}
    for passage in sorted((one for found in lists for one in found), key=lambda one: len(one.text)):
        other = known.get(passage.id, passage)
        known[passage.id] = passage.model_copy(update={"score": max(passage.score, other.score)})
    whole = [known[id_] for id_ in ranked]
    return [one for one in whole if not any(_within(one, other) for other in whole if other.id != one.id)]


def _within(one: Passage, other: Passage) -> bool:
    return one.source == other.source and len(one.text) < len(other.text) and one.text in other.text


def plan_plain(budget: Budget, conversation: Sequence[Message]) -> Prompt:
    """As much of the conversation as fits, the newest turns first.

    Raises:
        ContextOverflow: when the last question alone does not fit.
    """
    budget.require(prompts.plain(_latest(conversation, 0)), "The question", SHORTEN)
    earlier = _earlier(conversation)
    kept = most(earlier, lambda n: budget.fits(prompts.plain(_latest(conversation, n))))
    return Prompt(prompts.plain(_latest(conversation, kept)), notes=_left_out_turns(conversation, kept))


def plan_grounded(
    budget: Budget,
    passages: Sequence[Passage],
    conversation: Sequence[Message],
    tongue: prompts.Tongue | None = None,
) -> Prompt:
    """The best passages and the newest turns that fit together.

    The best passage and the question come first, then turns up to half of the prompt, then passages, then more turns.

    Raises:
        ContextOverflow: when the question, or the question with the best passage, does not fit.
    """

    def build(count: int, turns: int) -> list[BaseMessage]:
        return prompts.grounded(passages[:count], _latest(conversation, turns), tongue)

    budget.require(build(0, 0), "The question", SHORTEN)
    longer = "Choose a model with a longer context."
    budget.require(build(1, 0), "The question with the best passage", longer)
    earlier = _earlier(conversation)
    half = most(earlier, lambda n: budget.fits(build(1, n)) and budget.count(build(0, n)) <= budget.prompt // 2)
    turns = max(half, 0)
    count = most(len(passages), lambda n: budget.fits(build(n, turns)))
    turns = max(turns, most(earlier, lambda n: budget.fits(build(count, n))))
    notes = _left_out_turns(conversation, turns)
    if left := len(passages) - count:
        notes.append(f"{left} of {len(passages)} passages found did not fit the model's prompt and were left out.")
    return Prompt(build(count, turns), list(passages[:count]), notes)


def _earlier(conversation: Sequence[Message]) -> int:
    """How many turns stand before the question; system turns are no turns, they always stay."""
    return sum(message.role != "system" for message in conversation) - 1


def _latest(conversation: Sequence[Message], earlier: int) -> list[Message]:
    """The question and the ``earlier`` turns before it, system turns kept; never an answer without its question."""
    turns = [message for message in conversation if message.role != "system"]
    kept = turns[len(turns) - 1 - earlier :]
    if len(kept) < len(turns):
        while kept[0].role == "assistant":
            kept = kept[1:]
    return [*(message for message in conversation if message.role == "system"), *kept]


def _left_out_turns(conversation: Sequence[Message], kept: int) -> list[str]:
    turns = _earlier(conversation) + 1
    left = turns - sum(message.role != "system" for message in _latest(conversation, kept))
    return [f"The oldest {left} of {turns} turns did not fit the model's prompt and were left out."] if left else []
