"""A follow-up question ("and for children?"), put by the model so that it can be looked up without its conversation.

It is only looked up: the answer is to the user's own words. What the model wrote is used when it can't be far from
them, and beside what the extractive rule finds, so that neither a weak model nor an order in an earlier turn can make
the search miss what it would have found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agents.budget import Budget
from agents.checks.numbers import foreign_numbers
from agents.checks.orders import is_order
from agents.checks.words import content_words, shared_words
from agents.contract import Message
from agents.generate import Answer, Tally
from agents.prompts.chat import question_alone
from tools.detect_language import alike, detect, primary

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from agents.checkpoints import Checkpoints

_TURNS = 6
"""Earlier turns that the model sees: a prompt is paid for by its length, and what is meant was seldom said long ago."""
_LONGER = 4
_SHORTEST = 200  # characters that any question may grow to: "And for her?" says next to nothing itself
_LABEL = re.compile(r"^(?:(?:rewritten|standalone|stand-alone) )?(?:question|query)\s*:\s*", re.IGNORECASE)
_WORD = re.compile(r"\w+")
_ASKING = frozenset(
    ["tell", "list", "explain", "describe", "give", "show", "compare", "summarize", "name", "find", "please"]
)


def standalone(
    model: BaseChatModel, conversation: Sequence[Message], tally: Tally, kept: Checkpoints | None = None
) -> str:
    """The last question as it would be asked without the turns before it.

    Args:
        model: The chat model.
        conversation: The turns, the question last.
        tally: Takes the call's cost.
        kept: Where the answer is kept for a next attempt.

    Returns:
        Empty where nothing was asked before it, or the model wrote nothing that can be used.
    """
    *earlier, last = [turn for turn in conversation if turn.role != "system"]
    if not any(turn.role == "user" for turn in earlier):
        return ""
    prompt = question_alone(earlier[-_TURNS:], last.content)
    if not Budget(model).fits(prompt):
        return ""
    longest = max(_SHORTEST, _LONGER * len(last.content))
    answer = Answer(model, prompt, kept).read(most=longest + len("Rewritten question: "))
    tally.add(answer)
    line, broken, _ = answer.text.strip().partition("\n")
    text = " ".join(_LABEL.sub("", line).split()).strip("\"'`*“”«» ")
    whole = broken or answer.finish_reason != "length"
    said = "\n".join(turn.content for turn in (*earlier, last))
    return text if whole and len(text) <= longest and can_stand_for(text, last.content, said) else ""


def can_stand_for(text: str, question: str, said: str) -> bool:
    """Whether a text may be looked up in the place of a question.

    It must keep half of the question's content words and its language, order nothing, and bring no number, code or
    name that was not said.

    Args:
        text: What the model made of the question.
        question: As it was asked.
        said: The whole conversation, the question included.
    """
    if not any(char.isalnum() for char in text) or is_order(text):
        return False
    if any(mark in text and mark not in question for mark in "<>{}[]|"):
        return False
    asked, theirs = content_words(question), content_words(text)
    if 2 * len(shared_words(asked, theirs)) < len(asked):
        return False
    mine, other = detect(question), detect(text)
    if mine.sure and other.sure and not alike(mine.language, other.language):
        return False
    return not foreign_numbers(text, said) and not _unsaid(text, said, other.language)


def _unsaid(text: str, said: str, language: str) -> list[str]:
    """Words of a text that look like names or codes and that were not said; a first word has a capital anyway."""
    known = {word.casefold() for word in _WORD.findall(said)}
    heads = {word[:5] for word in known if len(word) > 4}
    unsaid = []
    for place, word in enumerate(_WORD.findall(text)):
        folded = word.casefold()
        code = any(char.isdigit() for char in word) and any(char.isalpha() for char in word)
        named = word[0].isupper() and len(word) > 1
        if place == 0 and named:
            named = primary(language) == "en" and bool(content_words(word)) and folded not in _ASKING
        if (code and folded not in known) or (named and folded not in known and folded[:5] not in heads):
            unsaid.append(word)
    return unsaid
