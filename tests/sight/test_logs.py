"""Logs as JSON name job, tenant, attempt and trace; in no form do they hold what people wrote."""

from __future__ import annotations

import json
import logging
import secrets
import signal
import subprocess
import sys

import httpx
import pytest

from workers.app import beat_argv, worker_argv
from workers.settings import Settings, child_environment
from workers.sight.about import about, note
from workers.sight.logs import Discreet, JsonFormatter, dress
from workers.stack.ports import free_port

SECRET = "xylophone"
TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


def record(level=logging.INFO, message="job %s", args=("x",), exc_info=None):
    return logging.LogRecord("some.logger", level, __file__, 1, message, args, exc_info)


def raised():
    try:
        try:
            raise ValueError(SECRET)
        except ValueError as error:
            raise RuntimeError(f"on {SECRET}") from error
    except RuntimeError:
        return sys.exc_info()


def test_a_line_carries_what_it_is_about_and_only_inside_the_block():
    line = JsonFormatter("worker")
    with about(job="j1", tenant=None), about(attempt=2):
        note(trace="t1")
        said = json.loads(line.format(record()))
    assert (said["message"], said["level"], said["part"], said["logger"]) == ("job x", "info", "worker", "some.logger")
    assert (said["job"], said["attempt"], said["trace"]) == ("j1", 2, "t1")
    assert "tenant" not in said
    note(job="j2")  # outside of any block
    assert "job" not in json.loads(line.format(record()))


@pytest.mark.parametrize("form", ["json", "text"])
def test_an_exception_is_told_without_its_message(form):
    logger = logging.getLogger("sight.closed")
    handler = logging.StreamHandler()
    logger.addHandler(handler)
    dress(logger, Settings(log_format=form), "worker")
    one = record(logging.ERROR, "it failed", (), raised())
    handler.filter(one)
    text = handler.format(one)
    assert SECRET not in text
    assert "RuntimeError" in text
    assert "ValueError" in text
    assert "in raised" in text
    if form == "json":
        assert json.loads(text)["exception"] == "RuntimeError"
    # Whoever looks for a defect may ask for more.
    open_logger = logging.getLogger("sight.open")
    open_logger.addHandler(logging.StreamHandler())
    dress(open_logger, Settings(log_level="debug"), "worker")
    assert not any(isinstance(one, Discreet) for one in open_logger.handlers[0].filters)


@pytest.fixture
def start(tmp_path):
    """Start a part of ours; returns its process and its log. Each is ended by its id."""
    started = []

    def begin(settings, name, arguments):
        log = tmp_path / f"{name}.log"
        with log.open("w") as out:
            process = subprocess.Popen(
                [sys.executable, *arguments],
                # Celery warns of superusers before anything is set up.
                env=child_environment(settings, worker_name="w1") | {"PYTHONWARNINGS": "ignore"},
                stdout=out,
                stderr=out,
            )
        started.append(process)
        return process, log

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_secret_word_is_in_no_log(form, start, redis_server, tmp_path, wait_until):
    port = free_port()
    settings = Settings(
        data_dir=tmp_path,
        redis_url=redis_server,
        key_prefix=f"l{secrets.token_hex(4)}",
        allow_fake_engine=True,
        lease_seconds=2.0,
        drain_seconds=1.0,
        log_format=form,
    )
    parts = {
        "worker": start(settings, "worker", ["-m", "celery", *worker_argv(settings)]),
        "beat": start(settings, "beat", ["-m", "celery", *beat_argv(settings)]),
        "gateway": start(settings, "gateway", ["-m", "gateway.cli", "serve", "--port", str(port)]),
    }
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20, trust_env=False) as http:

        def ready():
            for process, log in parts.values():
                assert process.poll() is None, log.read_text()
            try:
                return http.get("/readyz").status_code == 200 and http.get("/v1/jobs").status_code == 200
            except httpx.TransportError:
                return False

        wait_until(ready, 60, "the gateway")
        jobs = []
        for model in ("fake:echo", "fake:echo?fail=engine_lost&at=1", "fake:echo?fail=nonsense"):
            body = {
                "kind": "complete",
                "model": model,
                "max_attempts": 1,
                "input": {"prompt": f"say {SECRET} now"},
                "metadata": {"name": SECRET},
            }
            answer = http.post("/v1/jobs", json=body, headers={"traceparent": TRACE})
            assert answer.status_code in (202, 400), answer.text
            jobs += [answer.json()["id"]] if answer.status_code == 202 else []
        wait_until(lambda: all(http.get(f"/v1/jobs/{job}").json()["finished_at"] for job in jobs), 60, "the jobs")
        # What does not fit, and what is nowhere.
        http.post("/v1/jobs", json={"kind": SECRET, "input": {SECRET: 1}})
        http.post("/v1/jobs", content=f'{{"{SECRET}'.encode(), headers={"Content-Type": "application/json"})
        http.get(f"/{SECRET}", params={"q": SECRET})
        http.get("/v1/jobs", params={"kind": SECRET})
    for process, _ in parts.values():
        process.send_signal(signal.SIGTERM)
    for process, _ in parts.values():
        process.wait(30)
    texts = {name: log.read_text() for name, (_, log) in parts.items()}
    for name, text in texts.items():
        assert SECRET not in text, f"{name}: {next(line for line in text.splitlines() if SECRET in line)}"
    assert jobs[0] in texts["worker"]
    if form == "json":
        celerys = {"", "worker: Warm shutdown (MainProcess)"}  # written inside its signal handler
        lines = {
            name: [json.loads(line) for line in text.splitlines() if line not in celerys]
            for name, text in texts.items()
        }
        assert all(line["part"] == name for name, some in lines.items() for line in some)
        ended = next(line for line in lines["worker"] if line.get("job") == jobs[0])
        assert (ended["tenant"], ended["attempt"], ended["trace"]) == ("default", 1, "a" * 32)
        taken = next(line for line in lines["gateway"] if line.get("job") == jobs[0])
        assert (taken["route"], taken["status"], taken["tenant"]) == ("/v1/jobs", 202, "default")
        assert taken["trace"] == "a" * 32
