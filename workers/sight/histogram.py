"""Times in a few buckets: enough for a median and a 95th percentile, few enough to be kept by the hour."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

BOUNDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0)
"""Upper bounds of the buckets in seconds; one more takes what is longer."""


def bucket(seconds: float) -> int:
    """The number of the bucket that a time falls into."""
    return bisect_left(BOUNDS, seconds)


def quantile(counts: Sequence[int], share: float) -> float | None:
    """About the time in seconds below which so much of all times lies; None when there are none.

    Inside a bucket times are taken as spread evenly; of the last one only the lower bound is known.
    """
    total = sum(counts)
    if not total:
        return None
    wanted, passed = share * total, 0
    for number, count in enumerate(counts):
        if count and passed + count >= wanted:
            low = BOUNDS[number - 1] if number else 0.0
            if number == len(BOUNDS):
                return low
            return low + (BOUNDS[number] - low) * (wanted - passed) / count
        passed += count
    return BOUNDS[-1]
