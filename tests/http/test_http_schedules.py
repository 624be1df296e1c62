"""/v1/schedules over a real uvicorn and Redis."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

JOB = {"kind": "complete", "model": "fake:echo", "input": {"prompt": "on time"}}
NIGHTLY = {"name": "nightly", "cron": "0 6 * * 1-5", "tz": "Europe/Zagreb", "job": JOB}


@pytest.fixture
def schedules(gateway: Any):
    yield gateway.http
    for one in gateway.http.get("/v1/schedules").json()["data"]:
        gateway.http.delete(f"/v1/schedules/{one['name']}")


def test_from_adding_to_removing(schedules, gateway):
    made = schedules.post("/v1/schedules", json=NIGHTLY)
    assert (made.status_code, made.headers["location"]) == (201, "/v1/schedules/nightly")
    shown = schedules.get("/v1/schedules/nightly").json()
    assert shown == made.json()
    assert len(shown["following"]) == 5
    assert all("T06:00:00+0" in one for one in shown["following"])
    assert shown["spec"]["overlap"] == "skip"
    assert "uid" not in shown

    page = schedules.get("/v1/schedules").json()
    assert [one["name"] for one in page["data"]] == ["nightly"]
    assert page["scheduler_seen_at"] is None

    paused = schedules.post("/v1/schedules/nightly/pause").json()
    assert (paused["paused"], paused["next_at"]) == (True, None)
    resumed = schedules.post("/v1/schedules/nightly/resume").json()
    assert (resumed["paused"], resumed["next_at"]) == (False, shown["next_at"])

    changed = schedules.patch("/v1/schedules/nightly", json={"every": "15m", "overlap": "queue"}).json()
    assert (changed["spec"]["every"], changed["spec"]["cron"], changed["spec"]["overlap"]) == ("15m", None, "queue")
    assert changed["revision"] == 4

    fired = schedules.post("/v1/schedules/nightly/run")
    assert (fired.status_code, fired.json()["manual"]) == (202, True)
    [firing] = schedules.get("/v1/schedules/nightly/history").json()["data"]
    assert (firing["key"], firing["state"]) == (fired.json()["key"], "due")

    assert schedules.delete("/v1/schedules/nightly").status_code == 204
    assert schedules.get("/v1/schedules/nightly").status_code == 404


def test_a_name_is_taken_once(schedules):
    assert schedules.post("/v1/schedules", json=NIGHTLY).status_code == 201
    again = schedules.post("/v1/schedules", json=NIGHTLY)
    assert (again.status_code, again.json()["code"]) == (409, "schedule_exists")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"cron": "61 * * * *"}, "schedule_invalid"),
        ({"tz": "Mars/Olympus"}, "schedule_invalid"),
        ({"every": "5m"}, "schedule_invalid"),  # besides cron
        ({"cron": None, "at": "2001-01-01T00:00"}, "schedule_invalid"),
        ({"job": None}, "schedule_invalid"),
        ({"job": {"kind": "complete"}}, "job_invalid"),
        ({"job": {**JOB, "idempotency_key": "x"}}, "schedule_invalid"),
        ({"job": {**JOB, "tenant": "another"}}, "schedule_invalid"),
        ({"job": {**JOB, "model": "nothing:x"}}, "engine_unknown"),
        ({"job": {**JOB, "input": {"prompt": "x" * 300_000}}}, "job_too_large"),
        ({"name": "no/name"}, "request_invalid"),
        ({"surprise": 1}, "request_invalid"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_added(schedules, change, code):
    answer = schedules.post("/v1/schedules", json={**NIGHTLY, **change})
    assert answer.status_code in (400, 413)
    assert answer.json()["code"] == code
    assert schedules.get("/v1/schedules").json()["data"] == []


def test_changes_that_cannot_be_leave_it_as_it_was(schedules):
    before = schedules.post("/v1/schedules", json=NIGHTLY).json()
    for change in ({"cron": "x"}, {"surprise": 1}, {"job": None}, {"overlap": "sometimes"}, {"name": "other"}):
        assert schedules.patch("/v1/schedules/nightly", json=change).status_code == 400
    assert schedules.get("/v1/schedules/nightly").json() == before


@pytest.mark.parametrize("name", ["nothing", "x:y", "%00", "..%2f..", "%ff", "x" * 300])
def test_names_that_are_none(schedules, name):
    for answer in (schedules.get(f"/v1/schedules/{name}"), schedules.post(f"/v1/schedules/{name}/run")):
        assert answer.status_code == 404


def test_folders_are_refused_but_below_a_root(schedules, gateway, make_gateway, tmp_path: Path):
    root, secret = tmp_path / "open", tmp_path / "closed"
    for folder in (root, secret):
        folder.mkdir()
        (folder / "a.txt").write_text("A text.")
    (root / "link").symlink_to(secret)
    task = {"kind": "summarize", "input": {}}

    def ask(http: Any, path: str, to: str | None = None) -> Any:
        batch = {"paths": [path], "task": task, **({"to": to} if to else {})}
        return http.post("/v1/schedules", json={"name": "folder", "every": "1d", "batch": batch})

    assert ask(schedules, str(root)).json()["code"] == "folder_refused"
    opened = make_gateway(gateway.settings.model_copy(update={"batch_roots": os.pathsep.join([str(root), "/nowhere"])}))
    for path in (
        str(secret),
        f"{root}/../closed",
        f"{root}/link",
        f"{root}/*",
        "open",
        "/",
        f"{root}\0",
        str(root) + "x",
    ):
        refused = ask(opened.http, path)
        assert (refused.status_code, refused.json()["code"]) == (403, "folder_refused"), path
    assert ask(opened.http, str(root), str(secret / "out.jsonl")).status_code == 403
    assert ask(opened.http, str(root), str(root / "out.exe")).json()["code"] == "batch_invalid"
    made = ask(opened.http, str(root), str(root / "out.jsonl"))
    assert made.status_code == 201, made.text
    assert opened.http.patch("/v1/schedules/folder", json={"batch": {"paths": ["/"], "task": task}}).status_code == 403


@pytest.fixture
def remote(gateway: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Let commands speak to the gateway and to nothing else."""
    from gateway.cli import connection
    from gateway.client import Client
    from workers.settings import Settings

    with Client(settings=Settings(data_dir=tmp_path / "nothing", url=gateway.url)) as client:
        monkeypatch.setattr(connection, "connect", lambda: client)
        yield


@pytest.mark.usefixtures("remote")
def test_the_command_line_over_http(schedules):
    from typer.testing import CliRunner

    from gateway.cli import app

    def phiq(*arguments: str, code: int = 0) -> Any:
        result = CliRunner().invoke(app, ["schedule", *arguments])
        assert result.exit_code == code, (result.stdout, result.stderr)
        return result.stdout + result.stderr

    when, job = ("--cron", "0 6 * * *", "--tz", "Europe/Zagreb"), '{"kind": "complete", "input": {"prompt": "x"}}'
    assert "06:00:00 CE" in phiq("add", "s1", *when, "--job", job)
    assert "schedule_exists" in phiq("add", "s1", "--every", "1h", "--job", job, code=3)
    # A folder where phiq runs, not here.
    batch = ("--task", "summarize", "--input", "/nowhere/at/all", "--to", "/nowhere/out.md")
    assert "folder_refused" in phiq("add", "s2", "--every", "1h", *batch, code=3)
    assert "s1\topen\t" in phiq("list")
    assert "\tpaused\t" in (phiq("pause", "s1"), phiq("list"))[1]
    assert "every 2h" in (phiq("resume", "s1"), phiq("change", "s1", "--every", "2h"))[1]
    assert "run now" in (phiq("run", "s1"), phiq("history", "s1"))[1]
    assert phiq("show", "s1").count(" CE") == 5
    phiq("remove", "s1")
    assert "schedule_not_found" in phiq("show", "s1", code=3)
