"""Summarise with a generative model: one call where the texts fit, else parts first and then their summaries."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agents.budget import Budget
from agents.checkpoints import Checkpoints, NoCheckpoints
from agents.checks.claims import Claim, check_summary
from agents.complete import CUT_OFF
from agents.contract import Chunk, Coverage, Progress, SummarizeInput, SummaryIssue, SummaryResult
from agents.errors import ContextOverflow, ModelMisbehaved
from agents.generate import Answer, Tally, empty_answer, read_filled, trimmed
from agents.parts import Part, partition
from agents.prompts import summarize as prompts
from agents.runnable import as_runnable
from agents.sections import sections, shares
from knowledge.errors import DocumentEmpty
from tools.sentences import split_sentences

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import BaseMessage
    from langchain_core.runnables import Runnable

_TELL = (
    (("number",), "Numbers in the summary that the text does not contain"),
    (("name", "date"), "Names and dates in the summary that the text does not contain"),
    (("unsupported",), "Sentences of the summary that the text says nothing like"),
)


@dataclass(frozen=True)
class SummarizeConfig:
    """How long texts are worked through.

    Attributes:
        part_sentences: How many sentences the summary of a part may have, at most.
        rounds: How often summaries are merged, the last time into the answer.
        least_room: Tokens that must be left for text in a prompt; with less, work would crawl.
    """

    part_sentences: int = 8
    rounds: int = 4
    least_room: int = 64


def build_summarize(
    model: BaseChatModel, checkpoints: Checkpoints | None = None, config: SummarizeConfig | None = None
) -> Runnable[SummarizeInput, Chunk]:
    """A runnable that summarises texts of any length; every part of them is read.

    Args:
        model: The chat model.
        checkpoints: Where finished parts and the tokens of the next are kept, so that a next attempt does only the
            rest.
        config: Sizes and limits.

    The stream raises:
        DocumentEmpty: when there is no text.
        ContextOverflow: when not even a small part fits the model's prompt.
        ModelMisbehaved: when the model answers with nothing twice, or its summaries are no shorter than the text.
    """
    # A store that is still empty may well be falsy.
    kept = NoCheckpoints() if checkpoints is None else checkpoints

    def steps(request: SummarizeInput) -> Iterator[Chunk]:
        if not any(text.text.strip() for text in request.texts):
            raise DocumentEmpty("There is no text to summarise.", subject=request.texts[0].name)
        yield from _Summary(model, kept, config or SummarizeConfig(), request).run()

    return as_runnable(steps, "summarize")


class _Summary:
    """One summary in the making."""

    def __init__(
        self, model: BaseChatModel, checkpoints: Checkpoints, config: SummarizeConfig, request: SummarizeInput
    ) -> None:
        self._model = model
        self._checkpoints = checkpoints
        self._config = config
        self._texts = [text for text in request.texts if text.text.strip()]
        self._wish = prompts.Wish(request.about, request.focus, request.language, request.form, len(self._texts))
        self._form = request.form
        self._budget = Budget(model)
        self._tally = Tally()
        self._done = self._total = self._cut = 0

    def run(self) -> Iterator[Chunk]:
        sentences = sum(len(split_sentences(text.text)) for text in self._texts)
        messages = prompts.whole([(text.name, text.text) for text in self._texts], self._wish)
        if self._budget.fits(messages):
            yield from self._finish(messages, Coverage(parts=1, parts_read=1, rounds=0, sentences=sentences))
            return
        summaries = yield from self._map()
        parts, rounds = len(summaries), 1
        while not self._budget.fits(messages := prompts.merge(summaries, self._wish, self._wish.sentences, last=True)):
            rounds += 1
            summaries = yield from self._merge(summaries, rounds)
        yield from self._finish(messages, Coverage(parts=parts, parts_read=parts, rounds=rounds, sentences=sentences))

    def _map(self) -> Generator[Chunk, None, list[str]]:
        """Summarise every part; returns their summaries in order."""
        names = [text.name for text in self._texts]

        def prompt(texts: list[tuple[str, str]]) -> list[BaseMessage]:
            return prompts.part(texts, self._wish, self._config.part_sentences)

        parts = self._partition([text.text for text in self._texts], names, prompt([(max(names, key=len), "")]))
        self._total = len(parts) + 1
        summaries = []
        for number, part in enumerate(parts, 1):
            what = f"part {number} of {len(parts)}"
            yield self._progress(f"reading {what}")
            messages = prompt([(names[piece.source], piece.text) for piece in part.pieces])
            summaries.append(self._step(messages, what))
        return summaries

    def _merge(self, summaries: list[str], number: int) -> Generator[Chunk, None, list[str]]:
        """Make fewer summaries out of many; returns them in order."""
        names = [f"part {len(summaries)}"] * len(summaries)
        empty = prompts.merge([""], self._wish, self._config.part_sentences)
        groups = self._partition(summaries, names, empty)
        if len(groups) >= len(summaries) or number > self._config.rounds:
            raise ModelMisbehaved(
                f"The model's summaries of {len(summaries)} parts are too long to be merged into one.",
                hint="Choose a model with a longer context, or allow shorter answers (max_tokens).",
                parts=len(summaries),
                rounds=number - 1,
            )
        self._total += len(groups)
        merged = []
        for group in groups:
            yield self._progress(f"merging, round {number - 1}")
            texts = [piece.text for piece in group.pieces]
            messages = prompts.merge(texts, self._wish, self._config.part_sentences)
            merged.append(self._step(messages, "merged parts"))
        return merged

    def _partition(self, texts: list[str], names: list[str], empty: list[BaseMessage]) -> list[Part]:
        room = self._budget.prompt - self._budget.count(empty)
        if room < self._config.least_room:
            raise ContextOverflow(
                f"The task alone leaves {max(room, 0)} of {self._budget.prompt} tokens for text.",
                hint="Shorten the focus, lower max_tokens, or choose a model with a longer context.",
                tokens=self._budget.count(empty),
                limit=self._budget.prompt,
            )
        # The empty prompt frames one text already; each further one in a part brings its own frame.
        each = max(self._budget.tokens(f"{name}:\n<text2>\n\n</text2>\n\n") for name in set(names))
        each = min(each, room // 2)
        return partition(texts, room, self._budget.tokens, each)

    def _step(self, messages: list[BaseMessage], what: str) -> str:
        """The summary for one prompt, from the checkpoints where an earlier attempt made it."""
        answer = read_filled(self._model, messages, self._tally, f"the summary of {what}", self._checkpoints)
        self._cut += answer.finish_reason == "length"
        self._done += 1
        return answer.text.strip()

    def _finish(self, messages: list[BaseMessage], coverage: Coverage) -> Iterator[Chunk]:
        if self._total:
            yield self._progress("writing the summary")
        text = ""
        # A shown word can't be taken back: what may be asked for again is held until it has been checked.
        held = self._wish.language is not None or self._form != "paragraph"
        for _ in range(2):
            answer = Answer(self._model, messages, self._checkpoints)
            for piece in trimmed(answer):
                text += piece
                if not held:
                    yield Chunk(delta=piece)
            self._tally.add(answer)
            if text:
                break
        else:
            raise empty_answer("the summary")
        if held:
            text, answer = self._better(messages, text, answer)
            yield Chunk(delta=text)
        if self._cut:
            steps = f"{self._cut} of {self._done} summaries of parts"
            self._tally.note(f"{steps} were cut off at the model's limit: allow it more tokens (max_tokens).")
        if answer.finish_reason == "length":
            self._tally.note(CUT_OFF)
        issues = self._issues(text, cut=answer.finish_reason == "length")
        result = SummaryResult(
            text=text,
            usage=self._tally.usage,
            finish_reason=answer.finish_reason,
            notes=self._tally.notes,
            style="abstractive",
            coverage=coverage,
            issues=issues,
            sections=sections(text) if self._form in ("minutes", "handover") else [],
            sources=shares(text, [(one.name, one.text) for one in self._texts]) if len(self._texts) > 1 else [],
        )
        left_out = [one.name for one in result.sources if not one.kept]
        if left_out:
            result.notes.append(f"Nothing of the summary rests mainly on: {', '.join(left_out)}.")
        if self._form in ("minutes", "handover") and not result.sections:
            result.notes.append("The model did not keep to the headings asked for: there are no sections.")
        progress = Progress(done=self._total, total=self._total) if self._total else None
        yield Chunk(progress=progress, result=result)

    def _better(self, messages: list[BaseMessage], text: str, answer: Answer) -> tuple[str, Answer]:
        """The answer, or that to a second asking where the first has the wrong language or numbers of its own."""
        claims = [claim for claim in self._claims(text) if claim.kind in ("language", "number")]
        if not claims:
            return text, answer
        wrong = "; ".join(dict.fromkeys(claim.detail for claim in claims))
        second = Answer(self._model, prompts.again(messages, wrong), self._checkpoints)
        other = "".join(trimmed(second))
        self._tally.add(second)

        def badness(said: str) -> tuple[bool, int]:
            found = self._claims(said)
            return any(claim.kind == "language" for claim in found), len(found)

        if other and badness(other) < badness(text):
            return other, second
        return text, answer

    def _claims(self, text: str) -> list[Claim]:
        # The names of texts are in the prompt: a summary may name them.
        source = "\n".join(f"{one.name}\n{one.text}" for one in self._texts)
        return check_summary(text, source, self._wish.language or "")

    def _issues(self, text: str, *, cut: bool) -> list[SummaryIssue]:
        """What the checks find, and notes that say so."""
        found = [
            SummaryIssue(problem=claim.kind, detail=claim.detail, start=claim.start, end=claim.end)
            for claim in self._claims(text)
            if not (cut and claim.kind == "cut_off")  # said already
        ]
        for kinds, what in _TELL:
            words = dict.fromkeys(text[one.start : one.end] for one in found if one.problem in kinds)
            if words:
                self._tally.note(f"{what}: {', '.join(words)}.")
        for issue in found:
            if issue.problem in ("language", "cut_off"):
                self._tally.note(f"Something is wrong with the summary: {issue.detail}.")
        return found

    def _progress(self, note: str) -> Chunk:
        return Chunk(progress=Progress(done=self._done, total=self._total, note=note))
