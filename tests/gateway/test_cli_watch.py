"""ingest --watch and --report, and reembed, over a running stack."""

from __future__ import annotations

import csv
import json
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Any]


def found(run: Run, query: str) -> set[str]:
    done = run("search", query, "-c", "watched", "--json")
    return {Path(one["source"]).name for one in done.json["result"]["passages"]} if done.code == 0 else set()


def test_changes_are_followed_until_ctrl_c(
    run: Run, spawn: Callable[..., Any], tmp_path: Path, wait_until: Callable[..., None]
) -> None:
    folder, report = tmp_path / "papers", tmp_path / "report.json"
    (folder / "old").mkdir(parents=True)
    (folder / "shop.md").write_text("The shop opens at nine.")
    (folder / "old" / "lamp.md").write_text("The lamp costs thirty euros.")
    watching = spawn("ingest", folder, "-c", "watched", "--watch", "--report", report)
    wait_until(lambda: found(run, "shop") == {"shop.md", "lamp.md"}, 60, "both are there")
    (folder / "post.md").write_text("Postage is free of charge.")
    (folder / "broken.pdf").write_bytes(b"%PDF-1.7 broken")
    wait_until(lambda: found(run, "shop") == {"shop.md", "lamp.md", "post.md"}, 60, "the new one is there")
    wait_until(lambda: report.exists() and "broken.pdf" in report.read_text(), 30, "the report tells of the broken one")
    rows = {Path(row["source"]).name: row for row in json.loads(report.read_text())}
    assert (rows["broken.pdf"]["status"], rows["broken.pdf"]["code"]) == ("failed", "document_unreadable")
    (folder / "post.md").unlink()
    shutil.rmtree(folder / "old")
    wait_until(lambda: found(run, "shop") == {"shop.md"}, 60, "what is gone is forgotten")
    watching.send_signal(signal.SIGINT)
    assert watching.wait(20) == 0


def test_a_report_names_each_file(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("The shop opens at nine.")
    (tmp_path / "b.pdf").write_bytes(b"%PDF-1.7 broken")
    done = run("ingest", tmp_path, "-c", "reported", "--report", tmp_path / "report.csv")
    assert done.code == 3
    with (tmp_path / "report.csv").open(newline="") as stream:
        rows = {Path(row["source"]).name: (row["status"], row["code"]) for row in csv.DictReader(stream)}
    assert rows == {"a.md": ("added", ""), "b.pdf": ("failed", "document_unreadable")}


@pytest.mark.parametrize("name", ["report.txt", "nowhere/report.csv"])
def test_a_report_that_can_not_be_written_is_refused_before_the_work(run: Run, tmp_path: Path, name: str) -> None:
    (tmp_path / "a.md").write_text("The shop opens at nine.")
    assert run("ingest", tmp_path / "a.md", "--report", tmp_path / name).code == 2


def test_what_is_not_there_can_not_be_watched(run: Run, tmp_path: Path) -> None:
    done = run("ingest", tmp_path / "nothing", "--watch")
    assert done.code == 3
    assert "to watch" in done.err


def test_reembedding_says_when_there_is_nothing_to_do(run: Run) -> None:
    assert "already" in str(run("reembed", "default", "--json").json)
    assert run("reembed", "no such").code == 3
