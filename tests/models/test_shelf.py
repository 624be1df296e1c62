"""The shelf: what is on it, and that nothing leads out of it."""

from __future__ import annotations

import errno
import os

import pytest

from knowledge.errors import ServiceError
from workers.errors import ModelBroken, ModelNotFound
from workers.models.folder import check_folder
from workers.models.shelf import Shelf


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "data")


def test_an_empty_shelf_makes_no_folder(shelf):
    assert shelf.list() == []
    assert not shelf.root.exists()


def test_a_linked_folder_is_found_and_survives_its_removal(shelf, whole):
    entry = shelf.add(whole)
    assert (entry.name, entry.path, entry.kind, entry.problem) == ("my-model", whole, "linked", "")
    assert shelf.path("my-model") == whole
    assert entry.size > 2_000_000
    shelf.remove("my-model")
    assert (whole / "model.onnx.data").exists()
    assert shelf.list() == []


def test_a_copy_is_the_shelfs_own(shelf, whole):
    entry = shelf.add(whole, "other", copy=True)
    assert entry.path == shelf.root / "other"
    shelf.remove("other")
    assert not entry.path.exists()
    assert whole.exists()


def test_a_phi_model_has_one_name_on_the_shelf(shelf, whole):
    assert shelf.add(whole, "Phi-3.5-mini-instruct").name == "phi-3.5-mini"
    for name in ("phi3.5", "phi-3.5-mini", "microsoft/Phi-3.5-mini-instruct-onnx"):
        assert shelf.path(name) == whole


def test_an_absolute_path_needs_no_shelf(shelf, whole):
    assert shelf.path(str(whole)) == whole
    with pytest.raises(ModelNotFound):
        shelf.path("/no/such/folder")


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "../other",
        "a/../b",
        ".partial",
        ".manifests",
        "",
        "a\\b",
        "a b",
        "x\n",
        "-rf",
        "a\0b",
        "ä",
        "n" * 101,
    ],
)
def test_names_that_lead_elsewhere_are_refused(shelf, whole, name):
    for act in (shelf.path, shelf.remove):
        with pytest.raises(ModelNotFound):
            act(name)
    if name:
        with pytest.raises(ModelNotFound):
            shelf.add(whole, name)


def test_a_missing_model_is_answered_with_the_command_that_gets_it(shelf):
    with pytest.raises(ModelNotFound) as caught:
        shelf.path("phi3.5")
    assert caught.value.hint == "phiq models pull phi-3.5-mini"
    with pytest.raises(ModelNotFound) as caught:
        shelf.path("unheard-of")
    assert caught.value.hint == "phiq models list"


def test_removing_does_not_follow_a_link_out_of_the_shelf(shelf, whole):
    shelf.root.mkdir(parents=True)
    (shelf.root / "linked").symlink_to(whole, target_is_directory=True)
    inner = shelf.add(whole, "inner", copy=True).path
    (inner / "out").symlink_to(whole, target_is_directory=True)
    shelf.remove("linked")
    shelf.remove("inner")
    assert not (shelf.root / "linked").is_symlink()
    assert sorted(path.name for path in whole.iterdir()) == [
        "genai_config.json",
        "model.onnx",
        "model.onnx.data",
        "tokenizer.json",
    ]


def test_a_taken_name_is_not_given_away(shelf, whole, tmp_path):
    shelf.add(whole, "mine")
    other = tmp_path / "other"
    other.mkdir()
    for path in whole.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    with pytest.raises(ModelBroken, match="already"):
        shelf.add(other, "mine")
    assert shelf.path("mine") == whole
    assert shelf.add(whole, "mine").path == whole


@pytest.mark.parametrize(
    ("file", "content", "reason"),
    [
        ("genai_config.json", None, "no genai_config.json"),
        ("genai_config.json", b"{", "can't be read"),
        ("genai_config.json", b"[]", "no model section"),
        ("genai_config.json", b'{"model": {}}', "names no .onnx"),
        ("genai_config.json", b'{"model": {"decoder": {"filename": "../m.onnx"}}}', "outside itself"),
        ("model.onnx", None, "model.onnx is missing"),
        ("model.onnx", b"", "model.onnx is empty"),
        ("model.onnx", b"nonsense", "no ONNX graph"),
        ("model.onnx.data", None, "model.onnx.data is missing"),
        ("tokenizer.json", None, "no tokenizer"),
    ],
)
def test_a_folder_that_is_not_a_whole_model_is_refused_with_what_it_lacks(shelf, whole, file, content, reason):
    if content is None:
        (whole / file).unlink()
    else:
        (whole / file).write_bytes(content)
    with pytest.raises(ModelBroken, match=reason):
        shelf.add(whole)
    assert shelf.list() == []


def test_a_model_that_broke_later_is_listed_with_its_problem(shelf, whole):
    shelf.add(whole)
    (whole / "model.onnx").unlink()
    assert "model.onnx is missing" in shelf.list()[0].problem
    with pytest.raises(ModelBroken):
        shelf.path("my-model")


def test_files_named_deep_in_a_decoder_pipeline_are_checked(whole):
    nested = b'{"model": {"decoder": {"pipeline": [{"a": {"filename": "model.onnx"}}, {"b": {"filename": "b.onnx"}}]}}}'
    (whole / "genai_config.json").write_bytes(nested)
    with pytest.raises(ModelBroken, match=r"b\.onnx is missing"):
        check_folder(whole)


@pytest.mark.parametrize(("number", "code"), [(errno.EROFS, "internal"), (errno.ENOSPC, "storage_full")])
def test_a_shelf_that_cannot_be_written_says_what_to_do(shelf, whole, monkeypatch, number, code):
    def refuse(*_args, **_kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    with pytest.raises(ServiceError) as caught:
        shelf.add(whole)
    assert caught.value.code == code
    assert str(shelf.root) in caught.value.message
    assert "PHIQ_DATA_DIR" in caught.value.hint
