"""Which language a question is asked in, and which its passages and answer are in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from agents.checks.orders import without_orders
from agents.checks.protect import without_items
from agents.contract import Message
from agents.generate import Answer, Tally
from agents.prompts.chat import query_translation
from agents.prompts.languages import language_code
from knowledge.types import Passage
from tools.detect_language import alike, detect, primary

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from agents.checkpoints import Checkpoints

_SAMPLE = 2000  # characters of a document, from which its language is told
_LONGEST = 400  # characters, beside four times the question's


def asked_language(conversation: Sequence[Message]) -> str:
    """The language of the last question, of the user's turns before it where it is too short to tell; else empty."""
    questions = [turn.content for turn in conversation if turn.role == "user"]
    for text in (questions[-1], "\n".join(questions)):
        found = detect(text)
        if found.sure:
            return found.language
    return ""


def passage_language(passage: Passage) -> str:
    """The language of a passage: as its document says, else by its words; empty when neither tells."""
    if passage.language:
        return primary(passage.language)
    # An order in another language must not change how its passage is read.
    found = detect(without_orders(passage.text))
    return found.language if found.sure else ""


def passages_language(passages: Sequence[Passage]) -> str:
    """The language that most passages are in; empty when that is not known."""
    known = Counter(language for passage in passages if (language := passage_language(passage)))
    return known.most_common(1)[0][0] if known else ""


def source_language(units: Iterable[str]) -> str:
    """The language that most of a document is in, by its first units; empty when that is not sure."""
    sample, letters = list[str](), 0
    for unit in units:
        sample.append(without_items(unit))
        letters += len(sample[-1])
        if letters >= _SAMPLE:
            break
    found = detect("\n".join(sample))
    return found.language if found.sure else ""


def is_already(source: str, target: str, units: Iterable[str]) -> bool:
    """Whether a document needs no translation: it is in the target's language, and no unit is in another one.

    A variant (pt-BR, en-GB) may be meant as another language.
    """
    if not source or "-" in target or "_" in target or source != language_code(target):
        return False
    others = (detect(without_items(unit)) for unit in units)
    return not any(found.sure and not alike(found.language, source) for found in others)


class LanguageWatch:
    """Says, as an answer's sentences come, whether it is in the language that was asked for.

    Attributes:
        found: What it is in, once that is known.
    """

    def __init__(self, wanted: str) -> None:
        self._wanted = wanted
        self._text = ""
        self.found = ""

    @property
    def known(self) -> bool:
        """Whether nothing more needs to be seen."""
        return not self._wanted or bool(self.found)

    @property
    def wrong(self) -> bool:
        """Whether it is another language than the wanted one."""
        return bool(self._wanted and self.found) and not alike(self.found, self._wanted)

    def see(self, sentence: str) -> None:
        """Take the next sentence into account."""
        if not self.known:
            self._text = f"{self._text}\n{sentence}".strip()
            found = detect(self._text)
            self.found = found.language if found.sure else ""


def translated_question(
    model: BaseChatModel, question: str, language: str, tally: Tally, kept: Checkpoints | None = None
) -> str:
    """The question in another language, by the model; empty when what it said can't be one."""
    answer = Answer(model, query_translation(question, language), kept).read(most=_LONGEST + 4 * len(question))
    tally.add(answer)
    text = " ".join(answer.text.split()).strip('"“”«»')
    return "" if answer.finish_reason == "length" else text
