"""Folders for OpenVINO: told apart from those for ONNX, checked, kept beside them, pulled."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from workers.engines.base import EngineURI
from workers.engines.openvino.engine import OpenVINOEngine, installed
from workers.engines.openvino.folder import OpenVINOFolder
from workers.engines.registry import Registry
from workers.errors import EngineNotInstalled, ModelBroken, ModelNotFound
from workers.models.folder import check_folder, form_of
from workers.models.profiles import find
from workers.models.pull import _openvino_source, pull, remove
from workers.models.shelf import Shelf
from workers.settings import Settings

ASSETS = Path(__file__).resolve().parents[1] / "assets"
OPENVINO, ONNX = ASSETS / "tiny-phi3-ov", ASSETS / "tiny-phi3"


@pytest.fixture
def folder(tmp_path):
    return Path(shutil.copytree(OPENVINO, tmp_path / "model"))


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "data")


def test_a_whole_folder_is_known_by_its_files():
    assert (form_of(OPENVINO), form_of(ONNX), form_of(ASSETS)) == ("openvino", "onnx", None)
    check_folder(OPENVINO, deep=True)


@pytest.mark.parametrize(
    "name",
    ["openvino_model.bin", "openvino_tokenizer.xml", "openvino_detokenizer.xml", "config.json", "tokenizer.json"],
)
def test_what_is_missing_or_empty_is_named(folder, name):
    (folder / name).write_bytes(b"")
    with pytest.raises(ModelBroken, match=f"{name} is empty"):
        check_folder(folder)
    (folder / name).unlink()
    with pytest.raises(ModelBroken, match=f"{name} is missing"):
        check_folder(folder)


@pytest.mark.parametrize("name", ["openvino_model.bin", "openvino_model.xml"])
def test_a_file_that_is_cut_off_is_noticed_before_the_library_reads_it(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ModelBroken, match=f"{name} is cut off"):
        check_folder(folder)


def test_its_configuration_tells_context_and_memory(folder):
    found = OpenVINOFolder.read(folder)
    assert (found.context, found.vocabulary, found.turning_point) == (4096, 756, None)
    assert found.cache_per_token == 2 * 2 * 4 * (32 + 8)
    assert found.session(10_000) == 4096
    assert found.memory(2) > 2 * 2**30 + found.weights


def test_a_session_of_a_long_model_ends_where_its_positions_change(folder):
    config = json.loads((folder / "config.json").read_text())
    config |= {"max_position_embeddings": 131072, "rope_scaling": {"type": "longrope"}}
    config["original_max_position_embeddings"] = 4096
    (folder / "config.json").write_text(json.dumps(config))
    assert OpenVINOFolder.read(folder).session(100_000) == 4096


@pytest.mark.parametrize("config", ["", "[]", "{}", '{"max_position_embeddings": "many"}'])
def test_a_configuration_that_says_nothing_is_refused(folder, config):
    (folder / "config.json").write_text(config)
    with pytest.raises(ModelBroken, match=r"config\.json"):
        OpenVINOFolder.read(folder)


def test_both_forms_of_a_model_stand_side_by_side(shelf):
    shelf.add(ONNX, "phi-3.5-mini")
    shelf.add(OPENVINO, "Phi-3.5-mini-instruct-int4-ov")
    shelf.add(OPENVINO, "own")
    entries = {entry.name: entry.uri for entry in shelf.list()}
    assert entries == {
        "phi-3.5-mini": "onnx:phi-3.5-mini",
        "phi-3.5-mini-ov": "openvino:phi-3.5-mini",
        "own": "openvino:own",
    }
    assert shelf.path("phi-3.5-mini") == ONNX
    assert shelf.path("phi-3.5", "openvino") == OPENVINO
    assert shelf.path("own", "openvino") == OPENVINO
    with pytest.raises(ModelNotFound, match="a model for openvino") as refused:
        shelf.path("own")
    assert refused.value.hint == "Name it openvino:own"
    shelf.remove("phi-3.5-mini-ov")
    assert [entry.name for entry in shelf.list()] == ["own", "phi-3.5-mini"]


def test_copies_of_both_forms_stand_side_by_side(shelf):
    shelf.add(OPENVINO, "phi-4-mini", copy=True)
    shelf.add(ONNX, "phi-4-mini", copy=True)
    assert shelf.path("phi-4-mini", "openvino").name == "phi-4-mini-ov"
    assert shelf.path("phi-4-mini").name == "phi-4-mini"
    registry = Registry(Settings(data_dir=shelf.root.parent))
    assert registry._key(EngineURI("openvino", "Phi-4-mini-instruct")) == "openvino:phi-4-mini-ov"
    assert registry._key(EngineURI("onnx", "Phi-4-mini-instruct")) == "onnx:phi-4-mini"


def test_what_is_not_here_comes_with_its_command(shelf):
    with pytest.raises(ModelNotFound) as missing:
        shelf.path("phi-4-mini", "openvino")
    assert missing.value.hint == "phiq models pull openvino:phi-4-mini"


def test_pulls_know_the_published_folders(tmp_path):
    assert (
        _openvino_source("phi-3.5").repo
        == find("phi-3.5-mini").openvino_repo
        == "OpenVINO/Phi-3.5-mini-instruct-int4-ov"
    )
    own = _openvino_source("OpenVINO/Phi-4-mini-instruct-int8-ov@main")
    assert (own.repo, own.revision, own.form) == ("OpenVINO/Phi-4-mini-instruct-int8-ov", "main", "openvino")
    with pytest.raises(ModelNotFound, match="Phi-3-small"):
        pull("openvino:phi-3-small-8k", Settings(data_dir=tmp_path))


@pytest.mark.skipif(installed(), reason="OpenVINO GenAI is installed here")
def test_without_the_library_the_extra_is_named(shelf):
    shelf.add(OPENVINO, "tiny")
    with pytest.raises(EngineNotInstalled) as missing:
        OpenVINOEngine.from_settings(EngineURI("openvino", "tiny"), Settings(data_dir=shelf.root.parent))
    assert missing.value.hint == "pip install 'phiq[openvino]'"


@pytest.mark.parametrize("name", ["openvino:phi-3.5-mini", "OpenVINO/Phi-3.5-mini-instruct-int4-ov"])
def test_a_published_folder_arrives_beside_the_other_form(hub, tmp_path, name):
    settings = Settings(data_dir=tmp_path / "data", hub_url=hub.url)
    Shelf(settings.data_dir).add(ONNX, "phi-3.5-mini")
    hub.repo = "OpenVINO/Phi-3.5-mini-instruct-int4-ov"
    hub.files = {path.name: path.read_bytes() for path in OPENVINO.iterdir()}
    pulled = pull(name, settings)
    assert pulled.path == Shelf(settings.data_dir).path("phi-3.5-mini", "openvino")
    assert pulled.path.name == "phi-3.5-mini-ov"
    assert pull(name, settings).fetched is False
    remove("openvino:phi-3.5-mini", settings)
    assert [entry.uri for entry in Shelf(settings.data_dir).list()] == ["onnx:phi-3.5-mini"]


def test_a_changed_file_of_an_openvino_folder_is_named(hub, tmp_path):
    settings = Settings(data_dir=tmp_path / "data", hub_url=hub.url)
    hub.repo = "OpenVINO/Phi-3.5-mini-instruct-int4-ov"
    hub.files = {path.name: path.read_bytes() for path in OPENVINO.iterdir()}
    path = pull("openvino:phi-3.5-mini", settings).path / "config.json"
    path.write_bytes(path.read_bytes()[:-1] + b" ")
    with pytest.raises(ModelBroken, match=r"config\.json") as caught:
        pull("openvino:phi-3.5-mini", settings)
    assert "phiq models pull openvino:phi-3.5-mini" in caught.value.hint


def test_a_repository_of_the_other_form_is_not_published(hub, tmp_path):
    settings = Settings(data_dir=tmp_path / "data", hub_url=hub.url)
    hub.repo = "someone/else"
    hub.files = {path.name: path.read_bytes() for path in ONNX.iterdir()}
    with pytest.raises(ModelBroken, match="no model for openvino"):
        pull("openvino:someone/else", settings)
    assert Shelf(settings.data_dir).list() == []
