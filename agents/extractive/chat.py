"""Chat without a generative model: the sentences that answer, quoted, or an honest "not in here".

How near the best passage is and how well it bears an answer (agents/extractive/support.py) decide what is claimed:

    abstained  less, and the passage's cosine is below `near`: off the topic, and what would help is said
    passages   in between: show the nearest sentences and claim nothing
    answered   support from `answer_at`: the best sentences, verbatim, each with its citation

Both thresholds are fitted on ClapNQ, where the unanswerable questions come with a passage on the very matter: 10% of
them are answered all the same, with 78% of the answerable ones (benchmarks/bench_extractive.py, held out), unless
the collection has thresholds of its own (agents/calibration.py). So an answer can miss the question; it can't say
what no document says, because each sentence is a quotation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple

from agents.calibration import Calibration
from agents.checks.words import limits, negated_words
from agents.contract import ChatInput, ChatResult, Chunk, Citation, Message
from agents.extractive.evidence import Evidence, EvidenceConfig, choose, rank_sentences
from agents.extractive.question import Asked, understand
from agents.extractive.support import support
from agents.language import asked_language, passages_language
from agents.prompts.languages import language_name
from agents.runnable import as_runnable
from knowledge.types import Passage, Retriever
from tools.detect_language import alike

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings
    from langchain_core.runnables import Runnable

NO_MODEL = "No generative model was used: the sentences are quoted from the documents."
ABSTAINED = (
    "Nothing in the documents answers this question. It would help to ingest a document that covers it "
    "(phiq ingest PATH), or to ask again in the words that the documents use."
)
EMPTY = "There are no documents to answer from yet. Ingest some first: phiq ingest PATH."
CLAIMS_NOTHING = "The documents may not answer this question. These passages come nearest to it:"

Band = Literal["answered", "passages", "abstained"]


@dataclass(frozen=True)
class ChatConfig:
    """When to answer.

    Attributes:
        calibration: From which support and nearness on.
        beside: Further passages are quoted too when their score is at least this share of the best one's.
        shown: Passages to take sentences from, at most.
        evidence: How sentences are ranked.
    """

    calibration: Calibration = field(default_factory=Calibration)
    beside: float = 0.92
    shown: int = 3
    evidence: EvidenceConfig = field(default_factory=EvidenceConfig)


def _other_language(request: ChatInput, passages: Sequence[Passage]) -> list[str]:
    asked, written = asked_language(request.messages), passages_language(passages)
    if not asked or not written or alike(asked, written):
        return []
    names = f"The question is in {language_name(asked)}, the documents in {language_name(written)}"
    return [f"{names}: they are quoted as they stand; without a generative model little is found across languages."]


class Weighed(NamedTuple):
    """Support of the best passage (log-odds) and its cosine."""

    support: float
    score: float


def build_chat(
    retriever: Retriever, embeddings: Embeddings, config: ChatConfig | None = None
) -> Runnable[ChatInput, Chunk]:
    """A runnable that answers a conversation's last question with sentences of the documents.

    Text streams sentence by sentence; the deltas add up to the result's text.

    The stream raises:
        PhiqError: what the retriever raises (a collection that does not exist, a store that is down).
    """
    config = config or ChatConfig()

    def steps(request: ChatInput) -> Iterator[Chunk]:
        yield from _answer(request, retriever, embeddings, config)

    return as_runnable(steps, "extractive_chat")


def _answer(request: ChatInput, retriever: Retriever, embeddings: Embeddings, config: ChatConfig) -> Iterator[Chunk]:
    asked = understand(request.messages)
    passages = retriever.retrieve(asked.last_turn, request.top_k, asked.before)
    notes = [NO_MODEL, *asked.notes, *_other_language(request, passages)]
    if not passages:
        yield from _say(ChatResult(text=EMPTY, band="abstained", finish_reason="abstained", notes=notes))
        return
    shown = passages[: config.shown]
    ranked = rank_sentences(asked.question, shown, embeddings, config.evidence)
    best = nearest(shown)
    band = judge(asked, best, ranked, config)
    if band == "answered":
        near = [item for item in ranked if item.passage.score >= config.beside * best.score]
        yield from _quote("", choose(near, config.evidence), " ", band, passages, notes)
    elif band == "passages" and ranked:
        yield from _quote(CLAIMS_NOTHING, _one_each(ranked), "\n", band, passages, notes)
    else:
        result = ChatResult(text=ABSTAINED, band="abstained", finish_reason="abstained", notes=notes)
        yield from _say(result.model_copy(update={"passages": passages}))


def weigh(messages: Sequence[Message], retriever: Retriever, embeddings: Embeddings, top_k: int = 5) -> Weighed:
    """What an answer to a conversation's last question would be decided on; see :mod:`agents.calibration`."""
    config, asked = ChatConfig(), understand(messages)
    passages = retriever.retrieve(asked.last_turn, top_k, asked.before)
    if not passages:
        return Weighed(float("-inf"), -1.0)
    ranked = rank_sentences(asked.question, passages[: config.shown], embeddings, config.evidence)
    best = nearest(passages[: config.shown])
    return Weighed(support(asked.question, best, ranked), best.score)


def nearest(passages: Sequence[Passage]) -> Passage:
    """The passage with the best cosine: passages are found by words too, and thresholds are fitted on cosines."""
    return max(passages, key=lambda passage: passage.score)


def judge(asked: Asked, best: Passage, ranked: Sequence[Evidence], config: ChatConfig) -> Band:
    """What may be claimed on the strength of the best passage and its sentences."""
    found, edges = support(asked.question, best, ranked), config.calibration
    if found < edges.answer_at:
        return "passages" if best.score >= edges.near else "abstained"
    return "answered" if asked.is_met_by(best) and not _answers_the_opposite(asked, ranked) else "passages"


def _answers_the_opposite(asked: Asked, ranked: Sequence[Evidence]) -> bool:
    """Whether what is not was asked for ("what is not covered?"), and the best sentence says only what is."""
    return bool(negated_words(asked.question)) and not (
        negated_words(ranked[0].span.text) or limits(ranked[0].span.text)
    )


def _one_each(ranked: Sequence[Evidence]) -> list[Evidence]:
    """The best sentence of each passage, best passage first; the same words once."""
    best: dict[str, Evidence] = {}
    for item in ranked:
        best.setdefault(item.passage.id, item)
    ordered = sorted(best.values(), key=lambda item: item.passage.score)
    distinct = {" ".join(item.span.text.casefold().split()): item for item in ordered}
    return sorted(distinct.values(), key=lambda item: -item.passage.score)


def _quote(
    opening: str, chosen: Sequence[Evidence], glue: str, band: Band, passages: list[Passage], notes: list[str]
) -> Iterator[Chunk]:
    """Stream the sentences with their markers, and cite each where it stands in the answer."""
    text = opening
    if opening:
        yield Chunk(delta=opening)
    markers: dict[str, int] = {}
    citations: list[Citation] = []
    for item in chosen:
        marker = markers.setdefault(item.passage.id, len(markers) + 1)
        before = glue if text else ""
        delta = f"{before}{item.span.text} [{marker}]"
        citations.append(_cite(item, marker, len(text) + len(before)))
        text += delta
        yield Chunk(delta=delta)
    yield Chunk(result=ChatResult(text=text, band=band, citations=citations, passages=passages, notes=notes))


def _cite(item: Evidence, marker: int, at: int) -> Citation:
    passage, span = item.passage, item.span
    return Citation(
        marker=marker,
        passage_id=passage.id,
        source=passage.source,
        title=passage.title,
        page=passage.page,
        quote=span.text,
        start=span.start,
        end=span.end,
        answer_start=at,
        answer_end=at + len(span.text),
    )


def _say(result: ChatResult) -> Iterator[Chunk]:
    yield Chunk(delta=result.text)
    yield Chunk(result=result)
