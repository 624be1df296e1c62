"""phiq schedule, on a real Redis without workers or a scheduler."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.cli import app
from gateway.cli.connection import using
from gateway.errors import OK, USAGE, USER
from workers.settings import Settings

pytestmark = pytest.mark.service


@pytest.fixture
def phiq(redis_url: str, settings: Callable[..., Settings]) -> Callable[..., Any]:
    mine = settings(redis_url=redis_url, allow_fake_engine=True, webhook_allow="127.0.0.1")

    def run(*arguments: str, given: str | None = None) -> Any:
        with using(mine):
            return CliRunner().invoke(app, ["schedule", *arguments], input=given)

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tickets").mkdir()
    (tmp_path / "tickets" / "a.txt").write_text("A ticket.")
    return tmp_path / "tickets"


def test_a_nightly_batch_from_adding_to_removing(phiq, folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    when = ("--cron", "0 6 * * 1-5", "--tz", "Europe/Zagreb")
    what = (
        "--task",
        "summarize",
        "--sentences",
        "2",
        "--temperature",
        "0",
        "--input",
        "tickets",
        "--to",
        "out-{date}.md",
    )
    made = phiq("add", "nightly", *when, *what, "--json")
    assert made.exit_code == OK, made.output
    shown = json.loads(made.stdout)
    assert shown["spec"]["batch"]["paths"] == [str(folder)]
    assert shown["spec"]["batch"]["to"] == str(folder.parent / "out-{date}.md")
    assert shown["spec"]["batch"]["task"]["input"] == {"sentences": 2}
    assert shown["spec"]["batch"]["task"]["options"]["temperature"] == 0
    assert len(shown["following"]) == 5
    assert all("T06:00:00+0" in one for one in shown["following"])

    listed = phiq()
    assert "nightly\topen\t0 6 * * 1-5 (Europe/Zagreb)\t" in listed.stdout
    assert "No scheduler runs" in listed.stderr
    assert phiq("show", "nightly").stdout.count(" 06:00:00 CE") == 5

    assert phiq("pause", "nightly").exit_code == OK
    assert "\tpaused\t" in phiq("list").stdout
    assert phiq("resume", "nightly").exit_code == OK
    assert "made" not in phiq("run", "nightly").stdout
    assert "\tdue\t-\trun now" in phiq("history", "nightly").stdout
    assert "every 30m" in phiq("change", "nightly", "--every", "30m").stdout
    assert phiq("remove", "nightly").exit_code == OK
    gone = phiq("show", "nightly")
    assert (gone.exit_code, "schedule_not_found" in gone.stderr) == (USER, True)


def test_a_job_from_a_file_or_standard_input(phiq, tmp_path: Path):
    job = json.dumps({"kind": "complete", "model": "fake:echo", "input": {"prompt": "x"}})
    (tmp_path / "job.json").write_text(job)
    for number, text in enumerate((job, str(tmp_path / "job.json"), "-")):
        assert phiq("add", f"s{number}", "--every", "1h", "--job", text, given=job).exit_code == OK
    assert phiq("list").stdout.count("a complete job") == 3


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["--every", "1h"], USAGE, "--task"),
        (["--every", "1h", "--task", "summarize"], USER, "--input"),
        (["--every", "1h", "--task", "summarize", "--input", "nowhere"], USER, "nowhere"),
        (["--every", "1h", "--job", "{"], USER, "not JSON"),
        (["--every", "1h", "--job", "[]"], USER, "[]"),
        (["--every", "1h", "--job", "{}", "--sentences", "3"], USAGE, "--job"),
        (["--every", "soon", "--job", '{"kind": "complete", "input": {"prompt": "x"}}'], USER, "span"),
        (["--task", "summarize", "--input", "FOLDER"], USER, "exactly one of cron"),
        (["--every", "1h", "--task", "summarize", "--input", "FOLDER", "--to", "out.exe"], USER, ".exe"),
        (["--every", "1h", "--task", "summarize", "--input", "FOLDER", "--to", "webhook"], USAGE, "webhook:NAME"),
        (["--every", "1h", "--task", "summarize", "--input", "FOLDER", "--to", "webhook:nobody"], USER, "nobody"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_do(phiq, folder, arguments, code, word):
    refused = phiq("add", "x", *[str(folder) if one == "FOLDER" else one for one in arguments])
    assert refused.exit_code == code, refused.output
    assert word in refused.stderr
    assert phiq("list", "--json").stdout.strip() == "[]"
