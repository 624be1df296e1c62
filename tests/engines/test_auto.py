"""What ``auto`` means: what was pulled, what is installed, what the machine is, and why."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
from pathlib import Path

import pytest

from workers.engines import auto
from workers.engines.auto import choose, resolve
from workers.engines.base import EngineURI
from workers.errors import ModelNotFound
from workers.models.shelf import Shelf
from workers.resources import Resources
from workers.settings import Settings

ASSETS = Path(__file__).resolve().parents[1] / "assets"
OPENVINO, ONNX = ASSETS / "tiny-phi3-ov", ASSETS / "tiny-phi3"


@pytest.fixture
def settings(tmp_path):
    return Settings(data_dir=tmp_path, ollama_url="http://127.0.0.1:9")


@pytest.fixture
def machine(monkeypatch):
    """Makes this machine another one: its processor, and which libraries it has."""

    def make(processor: str = "x86_64", *, openvino: bool = True, onnx: bool = True) -> None:
        has = {"openvino_genai": openvino, "onnxruntime_genai": onnx}
        monkeypatch.setattr(platform, "machine", lambda: processor)
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if has.get(name, True) else None)

    make()
    return make


def add(settings, folder, name, since):
    shelf = Shelf(settings.data_dir)
    entry = shelf.add(folder, name)
    os.utime(shelf._manifest_path(entry.name), (since, since))


def test_where_nothing_was_pulled_sentences_are_picked(settings, machine):
    choice = choose(settings)
    assert str(choice.uri) == "extractive"
    assert "no model" in choice.why


def test_the_model_that_came_last_runs(settings, machine):
    add(settings, ONNX, "phi-4-mini", 1000)
    add(settings, ONNX, "phi-3.5-mini", 2000)
    assert str(choose(settings).uri) == "onnx:phi-3.5-mini"
    assert "put here last" in choose(settings).why
    assert str(choose(settings, "phi-4-mini").uri) == "onnx:phi-4-mini"


def test_one_that_thinks_first_comes_after_others(settings, machine):
    add(settings, ONNX, "phi-3.5-mini", 1000)
    add(settings, ONNX, "phi-4-mini-reasoning", 2000)
    assert str(choose(settings).uri) == "onnx:phi-3.5-mini"


@pytest.mark.parametrize(
    ("processor", "more", "expected", "why"),
    [
        ("x86_64", {}, "openvino:phi-3.5-mini", "x86"),
        ("arm64", {}, "onnx:phi-3.5-mini", "arm64"),
        ("x86_64", {"onnx_provider": "cuda"}, "onnx:phi-3.5-mini", "cuda"),
    ],
)
def test_a_model_in_both_forms_runs_where_it_is_faster(settings, machine, processor, more, expected, why):
    machine(processor)
    add(settings, ONNX, "phi-3.5-mini", 2000)
    add(settings, OPENVINO, "phi-3.5-mini", 1000)
    choice = choose(settings.model_copy(update=more))
    assert str(choice.uri) == expected
    assert why in choice.why


def test_what_no_library_here_can_run_is_passed_over_and_said(settings, machine):
    machine(openvino=False)
    add(settings, OPENVINO, "phi-3.5-mini", 1000)
    choice = choose(settings)
    assert str(choice.uri) == "extractive"
    assert "openvino-genai" in choice.why
    add(settings, ONNX, "phi-4-mini", 500)
    assert str(choose(settings).uri) == "onnx:phi-4-mini"


def test_a_broken_model_and_one_beyond_the_memory_are_passed_over(settings, machine, monkeypatch):
    add(settings, ONNX, "whole", 1000)
    folder = settings.data_dir / "models" / "cut"
    folder.mkdir(parents=True)
    (folder / "genai_config.json").write_text(json.dumps({"model": {}}))
    assert str(choose(settings).uri) == "onnx:whole"
    monkeypatch.setattr(auto, "_OVERHEAD", 1e9)
    assert "more memory" in choose(settings).why


def test_a_model_that_was_named_is_no_other(settings, machine):
    add(settings, ONNX, "phi-4-mini", 1000)
    with pytest.raises(ModelNotFound) as missing:
        resolve(EngineURI.parse("auto:phi-3.5-mini"), settings)
    assert missing.value.hint == "phiq models pull phi-3.5-mini"
    assert str(resolve(EngineURI.parse("ollama:phi3"), settings)) == "ollama:phi3"


def test_pictures_go_to_no_model_that_reads_only(settings, machine):
    add(settings, ONNX, "phi-4-mini", 1000)
    assert str(choose(settings, sees=True).uri) == "extractive"


def test_a_worker_keeps_to_its_choice_while_the_model_is_there(settings, machine):
    have = Resources(settings)
    uri = EngineURI.parse("auto")
    assert str(have.chosen(uri, sees=False)) == "extractive"
    add(settings, ONNX, "phi-4-mini", 1000)
    assert str(have.chosen(uri, sees=False)) == "onnx:phi-4-mini"
    add(settings, ONNX, "phi-3.5-mini", 2000)
    assert str(have.chosen(uri, sees=False)) == "onnx:phi-4-mini"
    Shelf(settings.data_dir).remove("phi-4-mini")
    assert str(have.chosen(uri, sees=False)) == "onnx:phi-3.5-mini"
    have.close()


def test_a_phi_of_an_ollama_on_this_machine_runs_where_no_folder_does(settings, machine, server, say):
    names = ["mistral:latest", "phi4-reasoning:latest", "phi3.5:latest"]
    server.replies["/api/tags"] = say.json(200, {"models": [{"name": name} for name in names]})
    ours = settings.model_copy(update={"ollama_url": server.url})
    choice = choose(ours)
    assert str(choice.uri) == "ollama:phi3.5:latest"
    assert "Ollama runs on this machine" in choice.why
    assert str(choose(ours, "phi-4-reasoning").uri) == "ollama:phi4-reasoning:latest"
    assert str(choose(ours, sees=True).uri) == "extractive"
    add(ours, ONNX, "phi-4-mini", 1000)
    asked = len(server.requests)
    assert str(choose(ours).uri) == "onnx:phi-4-mini"
    assert len(server.requests) == asked, "Ollama is asked only where it matters"


def test_an_ollama_elsewhere_is_never_taken_by_itself(settings, machine, monkeypatch):
    monkeypatch.setattr(auto, "ollama_names", lambda *_, **__: pytest.fail("it was asked"))
    far = settings.model_copy(update={"ollama_url": "http://ollama.example:11434", "local_only": False})
    assert str(choose(far).uri) == "extractive"
