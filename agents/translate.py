"""Translate with a generative model, segment by segment: structure is kept, what must not change is checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents.budget import Budget
from agents.checkpoints import Checkpoints
from agents.checks.formality import ALIKE, address
from agents.checks.terms import Term, Terms
from agents.contract import Chunk, Progress, SegmentIssue, TranslateInput, TranslationReport, TranslationResult
from agents.formats import open_text
from agents.generate import Tally
from agents.language import is_already, source_language
from agents.prompts import translate as prompts
from agents.prompts.languages import language_code, language_name
from agents.runnable import as_runnable
from agents.segments import Bit
from agents.translator import Translated, Translator

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.runnables import Runnable

_MARK = 4
"""Tokens of the number before a line."""


@dataclass(frozen=True)
class TranslateConfig:
    """How much is translated at once.

    Attributes:
        group_tokens: Tokens of the segments that share a call; small models lose lines in longer ones.
        group_segments: Segments that share a call, at most.
    """

    group_tokens: int = 350
    group_segments: int = 12


def build_translate(
    model: BaseChatModel, checkpoints: Checkpoints | None = None, config: TranslateConfig | None = None
) -> Runnable[TranslateInput, Chunk]:
    """A runnable that translates a document and keeps its structure.

    Args:
        model: The chat model.
        checkpoints: Where finished calls and the tokens of the next are kept, so that a next attempt does only the
            rest.
        config: Sizes.

    The stream raises:
        ContextOverflow: when not even a single word fits the model's prompt.
        FormatBroken: when the text is not what its ``format`` says.
    """
    config = config or TranslateConfig()

    def steps(request: TranslateInput) -> Iterator[Chunk]:
        kind, bits = open_text(request.text, request.format, request.target)
        units = [bit for bit in bits if bit.unit]
        source = language_code(request.source) if request.source else source_language(unit.asked for unit in units)
        languages = prompts.Languages(request.source or source, request.target, request.formality)
        terms = Terms(request.glossary, request.keep, source, languages.code)
        report = TranslationReport(
            format=kind,
            source=source,
            terms=dict(sum((_names(terms.within(unit.asked)) for unit in units), Counter[str]()) if terms else ()),
        )
        already = not request.source and is_already(source, request.target, (unit.asked for unit in units))
        tally = Tally()
        for note in _notes(request, source, languages, translatable=bool(units), already=already):
            tally.note(note)
        if already:
            yield _unchanged(request, report, tally)
            return
        translations = _translations(units, Translator(model, languages, tally, checkpoints, terms), config)
        issues, out, done, retried = list[SegmentIssue](), list[str](), 0, 0
        for bit in bits:
            text = bit.text
            if bit.unit:
                yield Chunk(progress=Progress(done=done, total=len(units), note=_segment(done + 1, len(units), bit)))
                translated = next(translations)
                done += 1
                retried += translated.again
                text = bit.restored(translated.text)
                issues += [
                    SegmentIssue(segment=done, problem=problem.kind, detail=problem.detail, place=bit.place)
                    for problem in translated.problems
                ]
            out.append(text)
            yield Chunk(delta=text)
        if flagged := len({issue.segment for issue in issues}):
            tally.note(f"{flagged} of {len(units)} segments did not pass the checks; see issues.")
        result = TranslationResult(
            text="".join(out),
            usage=tally.usage,
            finish_reason="length" if any(issue.problem == "cut_off" for issue in issues) else "stop",
            notes=tally.notes,
            target=request.target,
            segments=len(units),
            issues=issues,
            report=report.model_copy(update={"retried": retried, "flagged": flagged}),
        )
        yield Chunk(progress=Progress(done=len(units), total=len(units)), result=result)

    return as_runnable(steps, "translate")


def _segment(number: int, total: int, bit: Bit) -> str:
    return f"segment {number} of {total}" + (f" ({bit.place})" if bit.place else "")


def _names(found: Counter[Term]) -> Counter[str]:
    return Counter({term.source: count for term, count in found.items()})


def _notes(
    request: TranslateInput, source: str, languages: prompts.Languages, *, translatable: bool, already: bool
) -> Iterator[str]:
    """What a user should know beside the translation."""
    if not translatable:
        yield "There is nothing to translate in this text; it is returned as it is."
    elif already:
        yield (
            f"The text is in {language_name(source)} already and is returned as it is. "
            f"If it is not, say what it is in: --from LANGUAGE (source)."
        )
    if request.formality is None:
        return
    name = language_name(languages.code or request.target)
    if languages.code in ALIKE:
        yield f"{name} has one way to address people: {request.formality} changes nothing."
    elif not address(languages.code, request.formality):
        yield f"The model was asked for the {request.formality} address; whether it kept to it can't be told in {name}."


def _unchanged(request: TranslateInput, report: TranslationReport, tally: Tally) -> Chunk:
    result = TranslationResult(
        text=request.text,
        usage=tally.usage,
        finish_reason="stop",
        notes=tally.notes,
        target=request.target,
        report=report,
    )
    return Chunk(delta=request.text, result=result)


def _translations(units: Sequence[Bit], translator: Translator, config: TranslateConfig) -> Iterator[Translated]:
    """The translation of each unit, in order."""
    for group in _groups(units, translator.budget, config):
        yield from translator.translate([unit.asked for unit in group])


def _groups(units: Sequence[Bit], budget: Budget, config: TranslateConfig) -> Iterator[list[Bit]]:
    group: list[Bit] = []
    used = 0
    for unit in units:
        size = budget.tokens(unit.asked) + _MARK
        if group and (used + size > config.group_tokens or len(group) == config.group_segments):
            yield group
            group, used = [], 0
        group.append(unit)
        used += size
    if group:
        yield group
