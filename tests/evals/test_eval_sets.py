"""Reading sets: what a line may be, and what is said when it can't be used."""

import json

import pytest

from workers.evals.corpus import corpus_of
from workers.evals.errors import ExtraMissing, SetInvalid, need_extra
from workers.evals.load import EXAMPLE, find_set, load_set


def write(folder, **files):
    for name, rows in files.items():
        (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in rows), "utf-8")
    return folder


def test_files_say_the_task_by_their_name_and_passages_get_ids_by_their_contents(tmp_path):
    write(
        tmp_path,
        answers=[
            {"question": "Why?", "passages": ["Because.", {"id": "b", "title": "T", "text": "So."}], "answer": "x"}
        ],
        mine=[{"task": "translate", "source": "Hello", "target": "de", "reference": "Hallo"}],
    )
    chosen = load_set(tmp_path)
    chat, translate = chosen.records
    assert chosen.tasks() == ["chat", "translate"]
    assert (chat.id, chat.answer, chat.answerable) == ("answers.jsonl:1", ["x"], True)
    assert chat.passages[0].id == load_set(tmp_path).records[0].passages[0].id
    assert translate.reference == ["Hallo"]
    files = corpus_of(chosen).files
    assert [(file.source, file.name, file.data) for file in files][1] == ("b", "T.txt", b"So.")


def test_a_collection_is_named_after_what_it_holds(tmp_path):
    write(tmp_path, chat=[{"question": "Why?", "passages": ["Because."]}])
    before = corpus_of(load_set(tmp_path))
    write(tmp_path, chat=[{"question": "Why not?", "passages": ["Because."]}])
    assert corpus_of(load_set(tmp_path)).collection == before.collection
    write(tmp_path, chat=[{"question": "Why not?", "passages": ["Because!"]}])
    assert corpus_of(load_set(tmp_path)).collection != before.collection


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("nothing", "chat.jsonl:1 is not JSON"),
        ("[1]", "chat.jsonl:1 is no object"),
        ('{"task": "sing"}', "does not say what is asked"),
        ("{}", "give either question or messages"),
        ('{"question": "x", "anwser": "y"}', "anwser"),
        ('{"task": "describe", "image": "../secret.png"}', "not in the set's folder"),
        ('{"id": "a", "question": "x"}\n{"id": "a", "question": "y"}', "chat.jsonl:2 has the id of chat.jsonl:1"),
        ('{"question": "x", "passages": [{"id": "p", "text": "1"}, {"id": "p", "text": "2"}]}', "called p and differ"),
        ("", "There is nothing to ask"),
    ],
)
def test_what_cant_be_used_is_named_with_its_line(tmp_path, line, said):
    (tmp_path / "secret.png").write_bytes(b"x")
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "chat.jsonl").write_text(line, "utf-8")
    with pytest.raises(SetInvalid) as caught:
        corpus_of(load_set(folder))
    assert said in caught.value.message


def test_a_limit_and_tasks_choose_from_a_set():
    chosen = load_set(EXAMPLE, limit=2, tasks=["chat", "search"])
    assert [record.task for record in chosen.records] == ["chat", "chat", "search", "search"]


def test_sets_are_found_by_folder_and_by_name(tmp_path):
    (tmp_path / "tickets").mkdir()
    assert find_set("tickets", tmp_path) == tmp_path / "tickets"
    assert find_set(str(tmp_path / "tickets"), tmp_path / "no").name == "tickets"
    assert find_set("example", tmp_path) == EXAMPLE
    with pytest.raises(SetInvalid) as caught:
        find_set("ticket", tmp_path)
    assert "example, tickets" in caught.value.hint


def test_the_example_names_documents_and_pictures_that_are_there():
    chosen = load_set(EXAMPLE)
    assert chosen.tasks() == ["chat", "search", "summarize", "translate", "describe"]
    sources = {file.source for file in corpus_of(chosen).files}
    wanted = {source for record in chosen.records if hasattr(record, "relevant") for source in record.relevant}
    assert wanted <= sources


def test_without_its_libraries_the_command_that_installs_them_is_named(monkeypatch):
    import importlib.util

    real = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "sacrebleu" else real(name))
    with pytest.raises(ExtraMissing, match="sacrebleu, which is not installed") as caught:
        need_extra()
    assert caught.value.hint == "pip install 'phiq[eval]'"
