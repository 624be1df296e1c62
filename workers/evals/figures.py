"""Figures with their 95% bootstrap intervals over the records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, Field

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLES = 1000
_SEED = 7

Better = Literal["higher", "lower", "neither"]


class Figure(BaseModel):
    """One measure of one task.

    Attributes:
        task: What was asked.
        name: The measure, for people and programs.
        value: What came out.
        low: Lower end of the interval that holds 95% of the values of samples drawn again.
        high: Its upper end.
        n: Records it rests on.
        better: Which way is better.
    """

    task: str
    name: str
    value: float
    low: float
    high: float
    n: int
    better: Better = "higher"


class Scores(BaseModel):
    """Figures, how well each record did (for showing the worst), and curves to plot."""

    figures: list[Figure] = Field(default_factory=list)
    by_record: dict[str, float] = Field(default_factory=dict)
    curves: dict[str, list[tuple[float, float]]] = Field(default_factory=dict)

    def add(self, other: Scores) -> None:
        """Take those of another task."""
        self.figures += other.figures
        self.by_record |= other.by_record
        self.curves |= other.curves


def mean(task: str, name: str, values: Sequence[float], better: Better = "higher") -> list[Figure]:
    """The mean of values, a record each; no figure without values."""
    return ratio(task, name, values, [1.0] * len(values), better)


def ratio(
    task: str, name: str, tops: Sequence[float], bottoms: Sequence[float], better: Better = "higher"
) -> list[Figure]:
    """The ratio of two sums, a pair a record; no figure where the lower sum is zero."""
    import numpy as np

    if not tops or sum(bottoms) == 0:
        return []
    above, below = np.asarray(tops, dtype=float), np.asarray(bottoms, dtype=float)

    def figure(picked: NDArray[np.int64]) -> float:
        whole = float(below[picked].sum())
        return float(above[picked].sum()) / whole if whole else float("nan")

    return [spread(task, name, len(tops), figure, better)]


def spread(
    task: str, name: str, count: int, figure: Callable[[NDArray[np.int64]], float], better: Better = "higher"
) -> Figure:
    """Any figure that can be had of some of the records.

    Args:
        task: What was asked.
        name: The measure.
        count: How many records there are.
        figure: From which of them (their places, some more than once) to the value; NaN where it can't be said.
        better: Which way is better.
    """
    import numpy as np

    drawn = np.random.default_rng(_SEED).integers(0, count, (SAMPLES, count))
    values = [figure(picked) for picked in drawn] if count > 1 else []
    value = figure(np.arange(count))
    low, high = np.nanpercentile(values, [2.5, 97.5]) if not np.all(np.isnan(values or [np.nan])) else (value, value)
    return Figure(task=task, name=name, value=value, low=float(low), high=float(high), n=count, better=better)
