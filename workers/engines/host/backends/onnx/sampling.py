"""The next token of one row, from its logits and what its request says.

Draws depend on the request's seed and the token's place alone: neither the other rows nor a pause changes them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from workers.engines.host.backends.onnx.graph import Floats
from workers.engines.host.protocol import Request


def pick(logits: Floats, request: Request, tokens: Sequence[int], place: int) -> int:
    """Choose a token.

    Args:
        logits: Of the vocabulary; -inf for tokens that must not come.
        request: Says how.
        tokens: Prompt and answer so far, for the repetition penalty.
        place: The token's place in the answer, from 0.
    """
    if request.bias:
        logits = logits.copy()
        for token, more in request.bias:
            logits[token] += more
    if request.repetition_penalty != 1.0:
        logits = _penalised(logits, tokens, request.repetition_penalty)
    if request.temperature <= 0:
        return int(logits.argmax())
    scaled = logits.astype(np.float64) / request.temperature
    order = np.argsort(-scaled, kind="stable")
    if request.top_k:
        order = order[: request.top_k]
    chances = np.exp(scaled[order] - scaled[order[0]])
    chances /= chances.sum()
    keep = len(order)
    if request.top_p < 1.0:
        # The one that crosses the limit stays.
        keep = int(np.searchsorted(np.cumsum(chances), request.top_p)) + 1
    if request.min_p > 0:
        keep = min(keep, int((chances >= request.min_p * chances[0]).sum()))
    chances = np.cumsum(chances[: max(1, min(keep, len(order)))])
    drawn = np.random.Generator(np.random.Philox(key=request.seed, counter=place)).random()
    return int(order[min(int(np.searchsorted(chances, drawn * chances[-1], side="right")), len(chances) - 1)])


def _penalised(logits: Floats, tokens: Sequence[int], penalty: float) -> Floats:
    seen = np.unique(np.array(tokens))
    changed = logits.copy()
    said = changed[seen]
    changed[seen] = np.where(said > 0, said / penalty, said * penalty)
    return changed
