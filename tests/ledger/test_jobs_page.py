"""docs/jobs.md names every field, kind, state, event and reason there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

from workers.errors import IdempotencyConflict, JobPoison, NotReplayable, QuotaExceeded
from workers.jobs import KINDS, RESULTS, AttemptRecord, Capability, Event, JobBase, Lane, State, Waiting
from workers.ledger import Limits

PAGE = (Path(__file__).parents[2] / "docs" / "jobs.md").read_text("utf-8")


@pytest.mark.parametrize(
    "names",
    [
        JobBase.model_fields,
        KINDS,
        [state.value for state in State],
        [lane.value for lane in Lane],
        [one.value for one in Capability],
        get_args(Event.model_fields["type"].annotation),
        [name for name in get_args(AttemptRecord.model_fields["outcome"].annotation) if name],
        *(result.model_fields for result in RESULTS.values()),
        re.findall(r"[a-z_]+", re.sub(r"\([^)]*\)", "", re.search(r"``reason``: ([^.]*)\.", Waiting.__doc__ or "")[1])),
        Limits.model_fields,
        ["alone", "death", "resumed", "deaths", "suspect", "retry_after", "expected_start"],
        [error.code for error in (JobPoison, NotReplayable, QuotaExceeded, IdempotencyConflict)],
    ],
)
def test_the_page_names_them_all(names):
    words = set(re.findall(r"\w+", PAGE))
    # "waiting" is the name of an answer as well; every name must stand there as code or in the diagram.
    assert [name for name in names if name not in words] == []
