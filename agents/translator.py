"""Asks a model for translations and insists: a bad one is asked for again, alone, then kept and flagged."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from agents.budget import Budget
from agents.checkpoints import Checkpoints
from agents.checks.formality import check_formality
from agents.checks.numbers import numbers
from agents.checks.protect import Problem, longest, protected_items, without_items
from agents.checks.terms import Terms
from agents.checks.whole import check_translation
from agents.generate import Answer, Tally
from agents.parts import halve
from agents.prompts import translate as prompts

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage

LONGER = 2
"""How many tokens of translation a token of text may need: many scripts take more than English does."""

MOST_CUTS = 3
"""How often a segment whose translation is cut off is divided before it is kept and flagged."""


class Translated(NamedTuple):
    """A translation, what is still wrong with it, and whether it was asked for once more."""

    text: str
    problems: tuple[Problem, ...] = ()
    again: bool = False

    @property
    def was_cut(self) -> bool:
        """Whether the model did not come to an end."""
        return any(problem.kind == "cut_off" for problem in self.problems)


class Translator:
    """Translates texts of one line each.

    Args:
        model: The chat model.
        languages: From which into which.
        tally: Takes the cost of every call.
        kept: Where the answer of each call is kept for later attempts.
        terms: What has one translation, or none.

    Attributes:
        budget: The model's room.
    """

    def __init__(
        self,
        model: BaseChatModel,
        languages: prompts.Languages,
        tally: Tally,
        kept: Checkpoints | None = None,
        terms: Terms | None = None,
    ) -> None:
        self._model = model
        self._languages = languages
        self._tally = tally
        self._kept = kept
        self._terms = terms or Terms({}, ())
        self.budget = Budget(model)

    def prompt(self, texts: Sequence[str]) -> list[BaseMessage]:
        """The first prompt for these texts."""
        if len(texts) == 1:
            return prompts.alone(texts[0], self._languages, self._terms.within(texts[0]))
        return prompts.numbered(texts, self._languages, self._terms.within("\n".join(texts)))

    def translate(self, texts: Sequence[str]) -> Iterator[Translated]:
        """The translation of each text, in order."""
        found = self._together(texts) if len(texts) > 1 else None
        for number, text in enumerate(texts):
            if found is not None and not self._check(text, found[number]):
                yield Translated(found[number])
            else:
                # One that was bad among others has had its first try.
                translated = self._alone(text)
                yield translated if found is None else translated._replace(again=True)

    def _together(self, texts: Sequence[str]) -> list[str] | None:
        """All texts in one call; None when the answer can't be told apart line by line."""
        messages = self.prompt(texts)
        if not self._fits(messages, "\n".join(texts)):
            return None
        answer = self._ask(messages, longest("\n".join(texts)))
        return None if answer.finish_reason == "length" else prompts.read_numbered(answer.text, len(texts))

    def _alone(self, text: str, cuts: int = 0) -> Translated:
        """Translate one text; ``cuts`` counts how often what it belongs to was cut off and divided."""
        messages = self.prompt([text])
        if not self._fits(messages, text) and (parts := halve(text)):
            return self._divided(parts, cuts)
        self.budget.require(messages, "A single word with the task", "Choose a model with a longer context.")
        first = self._attempt(messages, text)
        if first.was_cut:
            # A model that never ends would otherwise be asked for each word.
            parts = halve(text) if cuts < MOST_CUTS else None
            return self._divided(parts, cuts + 1) if parts else first
        if not first.problems:
            return first
        bare = without_items(text)
        keep = [item.text for item in protected_items(text)] + [number for number in numbers(bare) if number in bare]
        details = [problem.detail for problem in first.problems]
        again = prompts.strict(text, self._languages, details, keep, self._terms.within(text))
        if not self.budget.fits(again):
            return first if first.text else Translated(text, first.problems)
        second = self._attempt(again, text)
        best = min(first, second, key=lambda translated: (translated.was_cut, len(translated.problems)))
        # An empty translation would lose what the text says: the text itself is kept, and flagged.
        return Translated(best.text or text, best.problems, again=True)

    def _attempt(self, messages: list[BaseMessage], text: str) -> Translated:
        answer = self._ask(messages, longest(text))
        translation = prompts.read_alone(answer.text, text)
        if answer.finish_reason == "length":
            return Translated(translation or text, (Problem("cut_off", "the translation was cut off at its limit"),))
        return Translated(translation, tuple(self._check(text, translation)))

    def _check(self, text: str, translation: str) -> list[Problem]:
        languages = self._languages
        problems = check_translation(text, translation, languages.code)
        if any(problem.kind in ("empty", "length", "language") for problem in problems):
            return problems
        problems += self._terms.check(text, translation)
        if languages.formality is not None:
            problems += check_formality(translation, languages.code, languages.formality)
        return problems

    def _divided(self, pieces: Sequence[str], cuts: int) -> Translated:
        out, problems, again = "", list[Problem](), False
        for piece in pieces:
            core = piece.strip()
            translated = self._alone(core, cuts) if core else Translated("")
            start = piece.index(core)
            out += piece[:start] + translated.text + piece[start + len(core) :]
            problems += translated.problems
            again = again or translated.again
        return Translated(out, tuple(dict.fromkeys(problems)), again)

    def _fits(self, messages: list[BaseMessage], text: str) -> bool:
        return self.budget.fits(messages) and LONGER * self.budget.tokens(text) <= self.budget.answer

    def _ask(self, messages: list[BaseMessage], most: int) -> Answer:
        answer = Answer(self._model, messages, self._kept).read(most)
        self._tally.add(answer)
        return answer
