"""Which sentences stand for a text: LexRank over sentence embeddings, or nearness to a question.

LexRank (Erkan and Radev, 2004) walks at random from sentence to similar sentence; where the walk is most often,
the text's matter is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]


@dataclass(frozen=True)
class RankConfig:
    """How sentences are ranked and chosen.

    Attributes:
        floor: Cosine below which two sentences are not linked.
        damping: Share of steps that follow a link; the rest jump anywhere.
        redundancy: Weight of likeness to what was chosen already, against merit, both 0..1.
        block: Sentences ranked together at most; longer texts are ranked block by block, then among the winners.
    """

    floor: float = 0.1
    damping: float = 0.85
    redundancy: float = 0.3
    block: int = 2000


def lexrank(vectors: Vectors, config: RankConfig) -> NDArray[np.float32]:
    """The weight of each sentence, float32 [sentences], summing to 1. ``vectors`` have unit length."""
    import numpy as np

    count = len(vectors)
    likeness = vectors @ vectors.T
    np.fill_diagonal(likeness, 0.0)
    likeness[likeness < config.floor] = 0.0
    degrees = likeness.sum(axis=1, keepdims=True)
    # A sentence like no other leads everywhere alike.
    steps = np.where(degrees > 0, likeness / np.maximum(degrees, 1e-9), 1.0 / count)
    weights = np.full(count, 1.0 / count, dtype=np.float32)
    for _ in range(100):
        after = (1 - config.damping) / count + config.damping * (weights @ steps)
        moved = float(np.abs(after - weights).sum())
        weights = after.astype(np.float32)
        if moved < 1e-5:
            break
    return weights


def choose(vectors: Vectors, merit: NDArray[np.float32], count: int, config: RankConfig) -> list[int]:
    """Up to ``count`` sentences of merit that do not repeat each other (MMR), as indexes in reading order."""
    import numpy as np

    span = float(merit.max() - merit.min())
    scaled = (merit - merit.min()) / span if span > 0 else np.ones_like(merit)
    chosen: list[int] = []
    nearest = np.zeros(len(merit), dtype=np.float32)
    left = np.ones(len(merit), dtype=bool)
    while len(chosen) < min(count, len(merit)):
        gain = np.where(left, (1 - config.redundancy) * scaled - config.redundancy * nearest, -np.inf)
        best = int(gain.argmax())
        chosen.append(best)
        left[best] = False
        nearest = np.maximum(nearest, vectors @ vectors[best])
    return sorted(chosen)


def key_sentences(
    vectors: Vectors,
    count: int,
    config: RankConfig,
    question: Vectors | None = None,
    weights: NDArray[np.float32] | None = None,
) -> list[int]:
    """Indexes of the sentences that stand for the text (or answer ``question``, [dimensions]), in reading order.

    Args:
        vectors: Of the sentences, float32 [sentences, dimensions], unit length.
        count: How many are wanted.
        config: How they are chosen.
        question: What they should be near to; None: to each other.
        weights: What else speaks for each of them, float32 [sentences], not negative; not asked with a question.
    """
    import numpy as np

    if question is not None:
        return choose(vectors, np.asarray(vectors @ question, dtype=np.float32), count, config)
    candidates = np.arange(len(vectors))
    more = np.ones(len(vectors), dtype=np.float32) if weights is None else weights

    def merit(places: NDArray[np.int64]) -> NDArray[np.float32]:
        return lexrank(vectors[places], config) * more[places]

    while len(candidates) > config.block:
        # Quadratic in a block, linear in the text: each block sends as many as the summary may hold, and no more
        # than a half, so that this ends.
        winners = [
            block[choose(vectors[block], merit(block), min(count, len(block) // 2 or 1), config)]
            for block in np.array_split(candidates, -(-len(candidates) // config.block))
        ]
        candidates = np.concatenate(winners)
    picked = choose(vectors[candidates], merit(candidates), count, config)
    return [int(candidates[at]) for at in picked]
