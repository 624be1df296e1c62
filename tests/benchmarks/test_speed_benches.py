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
    # A look of phiq's worker may fall into the other side's job: it is frozen at its turn's end, not within a step.
    assert found["redis"]["bare"]["commands in scripts"] < 30 < found["redis"]["phiq"]["commands in scripts"]
    assert "one at a time, median ms" in bench_overhead.printed(found)


def test_the_cancel_bench_times_every_cancelled_job_of_both_engines(redis_binary: str) -> None:
    from benchmarks import bench_cancel

    found = bench_cancel.run(rounds=3)
    assert len(found["engines"]) == 2
    for figures in found["engines"].values():
        for what in ("told", "idle"):
            assert figures[what]["n"] == 3
            assert 0 < figures[what]["median_ms"] <= figures[what]["worst_ms"]
    assert "ONNX" in bench_cancel.printed(found)


def test_the_backlog_bench_finds_every_job_it_queued(redis_binary: str) -> None:
    from benchmarks import bench_backlog

    found = bench_backlog.run(jobs=60, tenants=7, submitters=2, sample=10)
    assert found["queued"] >= 60
    assert found["counted"] == found["queued"] + found["looks"]
    assert found["bytes_a_job"] > 500
    assert found["first_pick_up_ms"] > 0
    assert found["jobs_per_s_then"] * 3 <= found["counted"]
    assert "memory a job" in bench_backlog.printed([found])
