"""The measurements of speed run, small, and count right. How fast things are is not asserted: machines differ."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.service


def test_the_overhead_bench_counts_every_job_of_both_sides(redis_binary: str) -> None:
    from benchmarks import bench_overhead

    found = bench_overhead.run(blocks=1, rounds=3, queued=12, slots=2)
    for side in ("bare", "phiq"):
        assert found[side]["done"] == 3 + 12
        assert found[side]["latency"]["n"] == 3
        assert found[side]["jobs_per_s"] > 0
        assert found[side]["latency_cpu_ms"] > 0
        assert 0 < found["redis"][side]["that write"] <= found["redis"][side]["round trips"]
    assert found["redis"]["bare"]["commands in scripts"] == 0
    assert found["redis"]["phiq"]["commands in scripts"] > 10
    assert "one at a time, median ms" in bench_overhead.printed(found)
