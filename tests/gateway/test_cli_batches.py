"""`phiq batch`: documents and batch files from the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
Run = Callable[..., Any]


def lines(path: Path, *texts: str) -> Path:
    job = {"kind": "complete", "model": "fake:echo"}
    found = [{"custom_id": f"n-{at}", "job": {**job, "input": {"prompt": text}}} for at, text in enumerate(texts)]
    path.write_text("".join(json.dumps(one) + "\n" for one in found), encoding="utf-8")
    return path


def test_every_ticket_of_a_folder_is_summarised_once(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "results.csv"
    done = run("batch", "run", EXAMPLES / "tickets", "--task", "summarize", "--sentences", "1", "-o", out)
    assert done.code == 0, done.err
    with out.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["name"] for row in rows] == [ticket.name for ticket in sorted((EXAMPLES / "tickets").iterdir())]
    assert all(row["text"] and not row["error"] for row in rows)
    assert f"{len(rows)} rows in" in done.err
    again = run("batch", "run", EXAMPLES / "tickets", "--task", "summarize", "--sentences", "1", "-o", out, "--json")
    assert (again.code, again.json["total"]) == (0, 0)
    forced = run("batch", "run", EXAMPLES / "tickets", "--task", "summarize", "-o", out, "--again", "--json")
    assert forced.json["total"] == len(rows)


def test_a_batch_that_was_left_is_watched_and_brings_its_results(run: Run, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("one two")
    out = tmp_path / "out.md"
    started = run("batch", "run", tmp_path / "in", "--task", "complete", "-m", "fake:echo", "-o", out, "--no-wait")
    batch_id = started.out.strip()
    done = run("batch", "watch", batch_id)
    assert (done.code, out.read_text()) == (0, "## a.txt\n\none two\n\n")
    assert "1 of 1 done, 0 failed" in done.out


def test_a_batch_file_runs_and_its_errors_are_in_a_file_of_their_own(run: Run, tmp_path: Path) -> None:
    file = lines(tmp_path / "in.jsonl", "one", "two")
    with file.open("a") as more:
        more.write(json.dumps({"custom_id": "odd", "job": {"kind": "complete", "input": {}}}) + "\n")
    done = run("batch", "run", file, "-o", tmp_path / "out.jsonl")
    assert done.code == 3, done.err
    out = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [one["result"]["text"] for one in out] == ["one", "two"]
    error = json.loads((tmp_path / "out.errors.jsonl").read_text())
    assert (error["custom_id"], error["error"]["code"]) == ("odd", "job_invalid")
    batch_id = run("batch", "list", "--json", "-n", "1").json[0]["id"]
    assert [line["custom_id"] for line in run("batch", "results", batch_id).lines] == ["n-0", "n-1"]
    assert [line["custom_id"] for line in run("batch", "results", batch_id, "--errors").lines] == ["odd"]
    assert run("batch", "show", batch_id, "--json").json["failed"] == 1
    cancelled = run("batch", "cancel", batch_id)
    assert (cancelled.code, "error batch_ended" in cancelled.err) == (3, True)


def test_what_can_not_be_meant_is_told(run: Run, tmp_path: Path) -> None:
    bad = tmp_path / "bad.jsonl"
    bad.write_text("no json\n")
    for arguments, code, exit_code in (
        ((bad,), "batch_failed", 3),
        ((tmp_path / "none.jsonl",), "document_unreadable", 3),
        ((EXAMPLES / "tickets",), "usage", 2),
        ((bad, "--sentences", "3"), "usage", 2),
        ((EXAMPLES / "tickets", "--task", "chat"), "job_invalid", 3),
        ((EXAMPLES / "tickets", "--task", "summarize", "-o", "out.xls"), "batch_invalid", 3),
    ):
        done = run("batch", "run", *arguments)
        assert (done.code, f"error {code}:" in done.err) == (exit_code, True), done.err
    missing = run("batch", "show", "batch_x")
    assert "error batch_not_found" in missing.err
