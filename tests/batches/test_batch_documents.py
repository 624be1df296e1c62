"""A folder of documents with one task: its results in a file, and only new and changed documents the next time."""

from __future__ import annotations

import csv
import json

import pytest

from knowledge.errors import DocumentUnreadable
from workers.batches import BatchSpec, TaskSpec, collect, start
from workers.batches.errors import BatchInvalid
from workers.errors import JobInvalid

TASK = TaskSpec(kind="complete", model="fake:echo")


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "tickets"
    (place / "new").mkdir(parents=True)
    (place / "a.md").write_text("# Alpha\n\nThe door is red.")
    (place / "new" / "b.txt").write_text("=SUM(A1) is no formula")
    (place / "broken.pdf").write_bytes(b"%PDF-1.4 broken")
    return place


@pytest.fixture
def run(service, worker, ended):
    def go(folder, out, deliver=True, **fields):
        spec = BatchSpec(paths=[str(folder)], to=str(out), **{"task": TASK, **fields})
        batch = ended(start(service, spec, deliver=deliver))
        assert deliver or collect(service.batches, batch) >= 0
        return batch

    return go


def rows(out):
    return {row["name"]: row for row in map(json.loads, out.read_text().splitlines())}


def test_the_results_are_in_the_file_and_a_document_that_cannot_be_read_is_there_with_its_error(run, folder, tmp_path):
    out = tmp_path / "out.jsonl"
    batch = run(folder, out)
    assert (batch.state, batch.total, batch.completed, batch.failed, batch.errors) == ("completed", 3, 2, 1, [])
    found = rows(out)
    assert list(found) == ["a.md", "broken.pdf", "new/b.txt"]
    assert found["a.md"]["text"] == "# Alpha The door is red."
    assert found["broken.pdf"]["error"]["code"] == "document_unreadable"


@pytest.mark.parametrize("deliver", [True, False])
def test_only_new_and_changed_documents_are_worked_on_again(run, folder, tmp_path, deliver):
    out = tmp_path / "out.jsonl"
    (folder / "broken.pdf").unlink()
    assert run(folder, out, deliver).total == 2
    assert run(folder, out, deliver).total == 0
    (folder / "a.md").write_text("The door is green.")
    (folder / "c.txt").write_text("A third one.")
    (folder / "new" / "b.txt").unlink()
    assert run(folder, out, deliver).total == 2
    assert {name: row["text"] for name, row in rows(out).items()} == {
        "a.md": "The door is green.",
        "c.txt": "A third one.",
    }
    other = TaskSpec(kind="complete", model="fake:words?count=3")
    assert run(folder, out, deliver, task=other).total == 2, "another task is other work"


def test_a_table_holds_no_formulas_and_a_page_has_a_heading_each(run, folder, tmp_path):
    run(folder, tmp_path / "out.csv")
    with (tmp_path / "out.csv").open(newline="") as stream:
        found = {row["name"]: row for row in csv.DictReader(stream)}
    assert found["new/b.txt"]["text"] == "'=SUM(A1) is no formula"
    assert found["broken.pdf"]["error"].startswith("document_unreadable: ")
    run(folder, tmp_path / "out.md")
    assert "## a.md\n\n# Alpha The door is red.\n" in (tmp_path / "out.md").read_text()


def test_asking_twice_is_one_batch_and_one_that_runs_is_found_again(service, worker, ended, folder, tmp_path):
    slow = TaskSpec(kind="complete", model="fake:words?count=40&rate=40")
    spec = BatchSpec(paths=[str(folder / "*.md")], task=slow, to=str(tmp_path / "out.md"))
    batch_id = "batch_" + "ab" * 16
    first = start(service, spec, batch_id=batch_id)
    assert start(service, spec, batch_id=batch_id).id == start(service, spec).id == first.id
    assert ended(first).total == 1


def test_what_cannot_be_meant_is_refused_before_anything_is_written(service, folder, tmp_path):
    def begin(**fields):
        start(service, BatchSpec(**{"paths": [str(folder)], "task": TASK, "to": str(tmp_path / "out.csv"), **fields}))

    with pytest.raises(DocumentUnreadable):
        begin(paths=[str(folder / "none*")])
    with pytest.raises(BatchInvalid, match="no document"):
        begin(task=TaskSpec(kind="describe"))
    with pytest.raises(BatchInvalid, match="not clear"):
        begin(to=str(tmp_path / "out.xls"))
    with pytest.raises(JobInvalid, match="question"):
        begin(task=TaskSpec(kind="chat"))
    with pytest.raises(JobInvalid, match="target: Field required"):
        begin(task=TaskSpec(kind="translate"))
    assert list(tmp_path.iterdir()) == [folder]
