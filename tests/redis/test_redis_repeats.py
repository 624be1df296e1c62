from __future__ import annotations

import logging

import pytest

from workers.lifecycle import repeats


def test_a_warning_that_comes_again_is_counted_and_not_written(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr(repeats.time, "monotonic", lambda: now[0])
    log = logging.getLogger("tests.repeats")
    caplog.handler.addFilter(repeats.Repeats())
    for number in range(7):
        log.warning("job %s: %s", number, "Redis is full.")
        log.error("job %s is ended", number)
    log.warning("job %s: %s", 7, "Redis does not answer.")
    now[0] = 11.0
    log.warning("job %s: %s", 8, "Redis is full.")
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warnings == [
        *(f"job {number}: Redis is full." for number in range(5)),
        "job 7: Redis does not answer.",
        "job 8: Redis is full. (and 2 more like it)",
    ]
    assert len([record for record in caplog.records if record.levelno == logging.ERROR]) == 7
