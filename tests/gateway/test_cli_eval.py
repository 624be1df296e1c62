"""phiq eval, as people run it: real jobs through a real worker."""

import json
import re

import pytest

pytestmark = pytest.mark.service


def value(model, name):
    return next(one["value"] for one in model["scores"]["figures"] if one["name"] == name)


def test_the_example_is_measured_and_saved_for_two_models(run, tmp_path):
    arguments = ["eval", "example", "--task", "chat", "--task", "translate", "--limit", "3", "-o", tmp_path, "--json"]
    done = run(*arguments, "-m", "fake:faithful", "-m", "fake:faithful?corrupt=number")
    assert done.code == 0, done.err
    faithful, corrupt = done.json["models"]
    assert value(faithful, "hit@5") == value(faithful, "citations with exact spans") == 1
    assert value(faithful, "numbers kept") == value(faithful, "placeholders and tags kept") == 1
    assert value(corrupt, "numbers kept") < 1
    assert json.loads((tmp_path / "example.json").read_text())["digest"] == done.json["digest"]
    page = (tmp_path / "example.html").read_text()
    assert page.count("<svg") >= 2
    # Nothing is fetched: the page needs no network and tells nobody that it is read.
    assert not re.search(r"<(?:script|link|img|iframe)|\ssrc=|@import|https?://(?!www\.w3\.org/)", page)


def test_it_goes_on_where_it_was_and_asks_changed_records_again(run, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    rows = [{"id": name, "source": f"Line {name} of {{x}}.", "target": "de"} for name in "abc"]

    def ask(*more):
        (folder / "translate.jsonl").write_text("\n".join(map(json.dumps, rows)))
        done = run("eval", folder, "-m", "fake:faithful", "-o", tmp_path / "out", "--json", *more)
        assert done.code == 0, done.err
        (file,) = (tmp_path / "out" / "answers").iterdir()
        return [json.loads(line)["id"] for line in file.read_text().splitlines()]

    assert ask() == ["a", "b", "c"]
    assert ask() == ["a", "b", "c"]
    rows[1]["source"] = "Another line."
    assert ask() == ["a", "b", "c", "b"]
    (file,) = (tmp_path / "out" / "answers").iterdir()
    file.write_text(file.read_text() + '{"id": "c", "as')  # killed while it wrote
    rows[2]["source"] = "A third line."
    with pytest.raises(json.JSONDecodeError):
        ask()
    assert file.read_text().splitlines()[-1].startswith('{"id":"c"')
    assert ask("--fresh") == ["a", "b", "c"]


def test_what_fails_is_counted_by_its_code(run, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "translate.jsonl").write_text('{"source": "A line.", "target": "de", "reference": "Eine Zeile."}')
    done = run("eval", folder, "-m", "extractive", "-o", tmp_path / "out")
    assert done.code == 0, done.err
    assert "extractive, translate: 1 of 1 failed: needs_model" in done.err
    assert "phiq models pull" in done.err
    assert "needs_model" in (tmp_path / "out" / "mine.html").read_text()


def test_passages_of_a_set_are_loaded_asked_and_taken_out_again(run, stack, tmp_path):
    from gateway.client import Client

    folder = tmp_path / "mine"
    folder.mkdir()
    passage = {"id": "herons/1", "title": "Herons", "text": "A heron stands in the water for hours. It eats fish <b>."}
    row = {"question": "How long does a heron stand in the water?", "passages": [passage], "answer": "For hours."}
    (folder / "chat.jsonl").write_text(json.dumps(row))
    with Client(settings=stack) as client:
        before = [one.name for one in client.service.documents.collections("default")]
        done = run("eval", folder, "-m", "extractive", "-o", tmp_path / "out", "--json")
        assert done.code == 0, done.err
        assert [one.name for one in client.service.documents.collections("default")] == before
    (model,) = done.json["models"]
    assert value(model, "hit@1") == value(model, "citation precision") == value(model, "sentences verbatim") == 1


def test_a_set_that_is_not_there_is_the_users_mistake(run):
    done = run("eval", "nosuch", "--json")
    assert (done.code, done.json["error"]["code"]) == (3, "eval_set_invalid")
