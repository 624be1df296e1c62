"""The tasks called directly, and the configuration Celery is given."""

from __future__ import annotations

import subprocess
import sys

import pytest
from celery.exceptions import Reject

from workers import tasks
from workers.celery_config import configuration, consumed
from workers.errors import NotRunning, SettingsInvalid, StorageFull

JOB = {"kind": "complete", "input": {"prompt": "x"}}


class Refusing:
    def __init__(self, error):
        self._error = error

    def submit(self, job, *, job_id):
        raise self._error


def test_a_message_goes_back_while_nothing_is_accepted(monkeypatch):
    monkeypatch.setattr(tasks, "_PAUSE", 0)
    monkeypatch.setattr(tasks, "_service", lambda: Refusing(StorageFull("Full.")))
    with pytest.raises(Reject) as caught:
        tasks.take(JOB, "t")
    assert caught.value.requeue


@pytest.mark.parametrize("job", [{"kind": "nonsense"}, "{", None, [], {"kind": "complete", "input": {}, "more": 1}])
def test_what_is_no_job_is_dropped_with_a_reason(monkeypatch, caplog, job):
    monkeypatch.setattr(tasks, "_service", lambda: pytest.fail("must not come so far"))
    assert tasks.take(job, "t") is None
    assert "job_invalid" in caplog.text


def test_interactive_queues_come_before_batch_ones(settings):
    assert consumed(settings(queues="generate, core,generate")) == [
        "phiq.generate.interactive",
        "phiq.core.interactive",
        "phiq.generate.batch",
        "phiq.core.batch",
    ]


@pytest.mark.parametrize("queues", ["", " , ", "core,gpu"])
def test_queues_that_do_not_exist_are_refused(settings, queues):
    with pytest.raises(SettingsInvalid) as caught:
        consumed(settings(queues=queues))
    assert caught.value.subject == "PHIQ_QUEUES"


def test_celery_carries_ids_and_nothing_else(settings):
    conf = configuration(settings(redis_url="redis://127.0.0.1:1/0"))
    assert conf["accept_content"] == ["json"]
    assert conf["result_backend"] is None
    assert conf["worker_disable_prefetch"] is True
    assert conf["task_acks_late"] is False
    assert conf["broker_transport_options"]["global_keyprefix"] == "phiq:broker:"


def test_without_a_redis_the_error_names_the_command(settings):
    with pytest.raises(NotRunning) as caught:
        configuration(settings())
    assert caught.value.hint == "phiq up"


def test_importing_the_application_reads_nothing():
    """Neither the environment nor Redis: a broken setting shows when Celery needs it, with our error."""
    code = "import workers.app, workers.settings as s; assert s.get_settings.cache_info().misses == 0"
    subprocess.run([sys.executable, "-c", code], check=True, env={"PHIQ_REDIS_URL": "nonsense", "PATH": ""}, timeout=60)
