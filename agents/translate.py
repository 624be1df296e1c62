"""Translate with a generative model, segment by segment: structure is kept, what must not change is checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents.budget import Budget
from agents.checkpoints import Checkpoints
from agents.contract import Chunk, Progress, SegmentIssue, TranslateInput, TranslationResult
from agents.generate import Tally
from agents.prompts import translate as prompts
from agents.runnable import as_runnable
from agents.segments import Bit, split_bits
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
    """A runnable that translates Markdown or plain text and keeps its structure.

    Args:
        model: The chat model.
        checkpoints: Where finished calls and the tokens of the next are kept, so that a next attempt does only the
            rest.
        config: Sizes.

    The stream raises:
        ContextOverflow: when not even a single word fits the model's prompt.
    """
    config = config or TranslateConfig()

    def steps(request: TranslateInput) -> Iterator[Chunk]:
        tally = Tally()
        translator = Translator(model, prompts.Languages(request.source, request.target), tally, checkpoints)
        bits = split_bits(request.text)
        total = sum(bit.unit for bit in bits)
        issues: list[SegmentIssue] = []
        out: list[str] = []
        done = 0
        translations = _translations([bit for bit in bits if bit.unit], translator, Budget(model), config)
        for bit in bits:
            text = bit.text
            if bit.unit:
                yield Chunk(progress=Progress(done=done, total=total, note=f"segment {done + 1} of {total}"))
                translated = next(translations)
                done += 1
                text = bit.restored(translated.text)
                issues += [SegmentIssue(segment=done, problem=p.kind, detail=p.detail) for p in translated.problems]
            out.append(text)
            yield Chunk(delta=text)
        if not total:
            tally.note("There is nothing to translate in this text; it is returned as it is.")
        if flagged := len({issue.segment for issue in issues}):
            tally.note(f"{flagged} of {total} segments did not pass the checks; see issues.")
        result = TranslationResult(
            text="".join(out),
            usage=tally.usage,
            finish_reason="length" if any(issue.problem == "cut_off" for issue in issues) else "stop",
            notes=tally.notes,
            target=request.target,
            segments=total,
            issues=issues,
        )
        yield Chunk(progress=Progress(done=total, total=total), result=result)

    return as_runnable(steps, "translate")


def _translations(
    units: Sequence[Bit], translator: Translator, budget: Budget, config: TranslateConfig
) -> Iterator[Translated]:
    """The translation of each unit, in order."""
    for group in _groups(units, budget, config):
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
