"""A job on the OpenVINO engine through a real queue and worker, by its own name and by ``auto``. `make test-extras`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from workers.jobs import State, parse_job
from workers.models.shelf import Shelf
from workers.service import Service
from workers.settings import Settings
from workers.stack import Stack

pytestmark = [pytest.mark.extras, pytest.mark.service]
if os.environ.get("CI", "").lower() not in {"1", "true", "yes"}:
    pytest.importorskip("openvino_genai")

TINY = Path(__file__).resolve().parents[1] / "assets" / "tiny-phi3-ov"


def test_jobs_run_together_and_auto_finds_the_model(tmp_path):
    settings = Settings(data_dir=tmp_path, openvino_threads=1)
    Shelf(settings.data_dir).add(TINY, "tiny")
    with Stack(settings, parts=["redis", "worker"]):
        service = Service.connect(settings)
        jobs = [
            service.submit(
                parse_job(
                    {
                        "kind": "complete",
                        "model": model,
                        "input": {"prompt": "the customer writes down"},
                        "options": {"max_tokens": 40},
                    }
                )
            ).id
            for model in ("openvino:tiny", "auto", "auto:tiny")
        ]
        records = [service.wait(job, timeout=90) for job in jobs]
    assert [record.state for record in records] == [State.SUCCEEDED] * 3
    results = [record.parsed_result() for record in records]
    assert {(result.engine, result.model) for result in results} == {("openvino", "tiny")}
    assert len({result.text for result in results}) == 1
    assert results[0].usage.completion_tokens == 40
