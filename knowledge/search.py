"""A search: passages near in meaning and passages with the same words, put into one order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from knowledge.rank.neighbours import readable
from knowledge.rank.repeats import distinct
from knowledge.types import Filters, Found, Passage
from knowledge.words.terms import query_terms, terms

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from knowledge.collection import Collection
    from knowledge.embed.base import Embedder
    from knowledge.rank.cross import Reranker

NO_WORDS = "The word index does not answer: the passages were found by their meaning only."
_LEAST = 30
"""Candidates of each kind at least: what is tenth by both is better than what is first by one."""
_MOST = 2000
_SOFT = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke, Büttcher 2009)."""
_WORDS = 0.3
"""Weight of the order by words beside that by meaning. On ClapNQ hit@1 / hit@5 are .967 / 1.000 with .3, .947 / .987
with 1, .973 / 1.000 with 0; on MTRAG-UN's last turns .915 / .974, .921 / .984 and .894 / .974."""
_BEFORE = 0.8
"""Weight of the mean of earlier questions beside the last one (MTRAG-UN, hit@5: .905 with 0, .974 with .6 and .8,
.952 with 1.2)."""


@dataclass(frozen=True)
class Asked:
    """A query.

    Attributes:
        text: Its words.
        context: They and those of the questions before it; the same where there are none.
        latest: They and those of the one question before it.
        vector: Unit-length, float32 [dimensions], of them all, the last question first in weight.
        alone: The same of the query alone; passages' scores are their cosines to the nearer of the two.
    """

    text: str
    context: str
    latest: str
    vector: NDArray[np.float32]
    alone: NDArray[np.float32]


def ask(embedder: Embedder, query: str, before: Sequence[str] = ()) -> Asked:
    """A query with what was asked before it in the conversation, the oldest first."""
    import numpy as np

    earlier = [text for text in before if text.strip()]
    vectors = embedder.embed_array([query, *earlier])
    mixed = vectors[0] + _BEFORE * vectors[1:].mean(axis=0) if earlier else vectors[0]
    together = mixed / np.linalg.norm(mixed) if earlier else mixed
    return Asked(query, " ".join([*earlier, query]), " ".join([*earlier[-1:], query]), together, vectors[0])


def search(
    collection: Collection, asked: Asked, top_k: int, filters: Filters | None = None, reranker: Reranker | None = None
) -> Found:
    """The passages that answer a query best: repeated texts once, neighbours put together.

    Args:
        collection: Where.
        asked: What is looked for.
        top_k: How many passages at most.
        filters: Which passages may be found.
        reranker: Puts the best of them into an order of its own.
    """
    filters = filters or Filters()
    where = _where(collection, filters)
    wanted = max(_LEAST, 2 * top_k)
    while True:
        looked_at = collection.query(asked.vector, wanted, where)
        near = [passage for passage in looked_at if passage is not None]
        by_words = [collection.words(text, wanted, filters) for text in dict.fromkeys((asked.text, asked.context))]
        known = {passage.id: passage for passage in near}
        if missing := list(dict.fromkeys(id_ for ids in by_words for id_ in ids or [] if id_ not in known)):
            known |= collection.fetch(missing, asked.vector, where)
        rankings = [[id_ for id_ in ids or [] if id_ in known] for ids in by_words]
        coded = _with_codes(asked.text, [known[id_] for id_ in rankings[0]])
        weights = [1.0, *([_WORDS / len(rankings)] * len(rankings)), 1.0]
        best = fuse([[passage.id for passage in near], *rankings, coded], weights)
        once = distinct(known[id_] for id_ in best[:wanted])
        # Ask for more only while duplicates took the places of others.
        if len(once) >= top_k or len(looked_at) < wanted or wanted >= _MOST:
            silent = collection.has_words and None in by_words
            if reranker is not None:
                once = reranker.reorder(asked.latest, once, top_k)
            found = readable(collection, _scored(collection, asked, once[:top_k]))
            return Found(passages=found, notes=[NO_WORDS] if silent else [])
        wanted *= 4


def _scored(collection: Collection, asked: Asked, passages: list[Passage]) -> list[Passage]:
    """The passages with the better of their cosines to the query alone and in its context."""
    if asked.vector is asked.alone or not passages:
        return passages
    alone = collection.fetch([passage.id for passage in passages], asked.alone)
    better = ((one, alone[one.id].score) for one in passages if one.id in alone)
    return [one.model_copy(update={"score": max(one.score, score)}) for one, score in better]


def fuse(rankings: Sequence[Sequence[str]], weights: Sequence[float] = ()) -> list[str]:
    """One order of several by reciprocal ranks, best first; the earlier ranking's order decides between equals."""
    scores: dict[str, float] = {}
    for number, ranking in enumerate(rankings):
        weight = weights[number] if weights else 1.0
        for place, id_ in enumerate(ranking, 1):
            scores[id_] = scores.get(id_, 0.0) + weight / (_SOFT + place)
    return sorted(scores, key=lambda id_: -scores[id_])


def _with_codes(query: str, passages: Sequence[Passage]) -> list[str]:
    """The passages that hold all codes and numbers of the query (E-31, 2.4.1): who names one means just that."""
    codes = {term for term in query_terms(query, ()) if any(char.isdigit() for char in term)}
    if not codes:
        return []
    return [one.id for one in passages if codes <= set(terms(f"{one.title}\n{one.heading}\n{one.text}"))]


def _where(collection: Collection, filters: Filters) -> Mapping[str, Any] | None:
    """The filters in Chroma's form."""
    clauses: list[dict[str, Any]] = []
    if filters.languages:
        clauses.append({"language": {"$in": list(filters.languages)}})
    if filters.under:
        # Chroma can't compare beginnings, so it is given every source that has one of them.
        clauses.append({"source": {"$in": collection.sources_under(filters.under) or [""]}})
    if filters.since is not None:
        clauses.append({"modified": {"$gte": filters.since.timestamp()}})
    if filters.until is not None:
        clauses.append({"modified": {"$lte": filters.until.timestamp()}})
    return clauses[0] if len(clauses) == 1 else {"$and": clauses} if clauses else None
