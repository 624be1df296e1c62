"""Whether a chat answers what it can and keeps quiet about what it can't."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from workers.evals.figures import Figure, mean, spread

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ALLOWED = 0.1
"""Share of unanswerable questions that may be answered where ``answered at 10% false`` is taken."""

_RANKS = {"answered": 2.0, "ungrounded": 2.0, "passages": 1.0, "abstained": 0.0}
_LEVELS = (0.5, 0.8)


def confidence(result: dict[str, Any]) -> float:
    """How sure an answer is: its own word for it where the result has one, else its band and then its best passage."""
    best = max((float(passage.get("score", 0.0)) for passage in result.get("passages", ())), default=0.0)
    sure = result.get("confidence")
    return _RANKS.get(result.get("band", ""), 0.0) + (best if sure is None else float(sure)) / 10


def abstaining(answerable: Sequence[bool], results: Sequence[dict[str, Any]]) -> list[Figure]:
    """What is answered of either kind, and how well the two are told apart at all."""
    import numpy as np

    said = [float(result.get("band") in ("answered", "ungrounded")) for result in results]
    figures = mean("chat", "answerable answered", [one for one, can in zip(said, answerable, strict=True) if can])
    wrong = [one for one, can in zip(said, answerable, strict=True) if not can]
    figures += mean("chat", "unanswerable answered", wrong, "lower")
    if not wrong or len(wrong) == len(said):
        return figures
    can, sure = np.asarray(answerable), np.asarray([confidence(result) for result in results])
    return [
        *figures,
        spread("chat", "abstention AUC", len(sure), lambda at: _auc(sure[at], can[at])),
        spread("chat", "answered at 10% false", len(sure), lambda at: _answered(sure[at], can[at])),
    ]


def risk(wrong: Sequence[bool], results: Sequence[dict[str, Any]]) -> tuple[list[Figure], list[tuple[float, float]]]:
    """The share of answers that are wrong when only the surest are given, at some shares of all and as a curve.

    Args:
        wrong: Whether what was said is wrong.
        results: Of as many chats; those that abstained count as the least sure.
    """
    import numpy as np

    bad, sure = np.asarray(wrong, dtype=float), np.asarray([confidence(result) for result in results])

    def at(picked: NDArray[np.int64], share: float) -> float:
        order = picked[np.argsort(-sure[picked], kind="stable")]
        return float(bad[order[: max(1, round(share * len(order)))]].mean())

    figures = [
        spread("chat", f"risk at {level:.0%} coverage", len(bad), partial(at, share=level), "lower")
        for level in _LEVELS
    ]
    ordered = bad[np.argsort(-sure, kind="stable")]
    means = np.cumsum(ordered) / np.arange(1, len(ordered) + 1)
    return figures, [((place + 1) / len(ordered), float(value)) for place, value in enumerate(means)]


def _auc(sure: NDArray[np.float64], can: NDArray[np.bool_]) -> float:
    """The chance that an answerable question is surer than an unanswerable one; ties count half."""
    import numpy as np

    ours, theirs = sure[can], sure[~can]
    if not len(ours) or not len(theirs):
        return float("nan")
    return float(
        ((ours[:, None] > theirs[None, :]) + 0.5 * (ours[:, None] == theirs[None, :])).mean().astype(np.float64)
    )


def _answered(sure: NDArray[np.float64], can: NDArray[np.bool_]) -> float:
    """The share of answerable questions above what all but a tenth of the unanswerable ones stay below."""
    import numpy as np

    ours, theirs = sure[can], np.sort(sure[~can])[::-1]
    if not len(ours) or not len(theirs):
        return float("nan")
    return float((ours > theirs[min(len(theirs) - 1, int(_ALLOWED * len(theirs)))]).mean())
