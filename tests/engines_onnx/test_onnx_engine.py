"""The engine as the worker gets it: by name or path, from the settings, with a status."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest
from langchain_core.messages import HumanMessage

from workers.engines.base import EngineURI
from workers.engines.onnx import OnnxEngine
from workers.engines.onnx.folder import ModelFolder
from workers.engines.onnx.memory import Plan
from workers.errors import ModelBroken, ModelNotFound, ModelTooLarge, OptionUnsupported
from workers.jobs import GenerationOptions
from workers.models.shelf import Shelf
from workers.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def test_a_name_on_the_shelf_and_a_path_give_the_same_words(tiny, tmp_path, stop):
    settings = Settings(data_dir=tmp_path, onnx_threads=1)
    Shelf(tmp_path).add(tiny, "tiny")
    words = []
    for name in ("tiny", str(tiny)):
        engine = OnnxEngine.from_settings(EngineURI.parse(f"onnx:{name}"), settings)
        try:
            assert engine.status().state == "idle"
            model = engine.chat_model(GenerationOptions(max_tokens=12), stop)
            result = model.invoke([HumanMessage("the customer")])
            assert engine.status().state == "ready"
            assert result.response_metadata["model_name"] == f"onnx:{name}"
            words.append(result.content)
        finally:
            engine.close()
        assert engine.status().state == "down"
    assert words[0] == words[1]


def test_a_missing_model_is_said_with_the_command_that_gets_it(tmp_path):
    with pytest.raises(ModelNotFound) as missing:
        OnnxEngine.from_settings(EngineURI.parse("onnx:phi-3.5-mini"), Settings(data_dir=tmp_path))
    assert missing.value.hint == "phiq models pull phi-3.5-mini"


def test_a_folder_without_tokenizer_is_said_before_anything_is_loaded(broken_copy, tmp_path):
    (broken_copy / "tokenizer.json").unlink()
    with pytest.raises(ModelBroken, match="tokenizer"):
        OnnxEngine.from_settings(EngineURI.parse(f"onnx:{broken_copy}"), Settings(data_dir=tmp_path))


def test_the_session_is_the_settings_and_bounded_by_the_model(tiny, longrope, tmp_path):
    def limit(path: Path, wanted: int) -> int:
        settings = Settings(data_dir=tmp_path, onnx_max_length=wanted)
        engine = OnnxEngine.from_settings(EngineURI.parse(f"onnx:{path}"), settings)
        profile = engine.chat_model(GenerationOptions(), threading.Event()).profile
        return profile["max_input_tokens"] + profile["max_output_tokens"]

    assert limit(tiny, 1000) == 1000
    assert limit(tiny, 100_000) == 4096
    assert limit(longrope, 100_000) == 4096


def test_memory_is_shared_out_before_the_model_is_loaded(tiny):
    folder = ModelFolder.read(tiny)
    session = 2048 * 4096
    plenty = Plan.of(folder, 4096, 8, 10**12)
    assert (plenty.sessions, plenty.prefixes) == (8 * session, session)
    assert plenty.weights > folder.weights
    little = Plan.of(folder, 4096, 8, plenty.weights + 4 * session)
    assert (little.sessions, little.prefixes) == (2 * session, session // 4)
    none = Plan.of(folder, 4096, 8, 0)
    assert (none.sessions, none.prefixes) == (session, 0), "one session is the least; loading then refuses"
    assert Plan.of(folder, 4096, 8, 10**12, 3 * session, 0).total == plenty.weights + 3 * session


def test_a_model_that_does_not_fit_is_refused_by_the_engine(tiny, stop, monkeypatch):
    monkeypatch.setattr("workers.engines.host.host.available_memory", lambda: 1_000_000)
    engine = OnnxEngine(EngineURI("onnx", "tiny"), ModelFolder.read(tiny))
    with pytest.raises(ModelTooLarge, match=r"0\.1 GB for its weights, 0\.1 GB for sessions"):
        engine.chat_model(GenerationOptions(max_tokens=2), stop).invoke("hi")
    assert engine.status().state == "down"
    assert "memory" in engine.status().message


@pytest.mark.parametrize(("provider", "words"), [("cuda", "onnxruntime-genai-cuda"), ("abacus", "there are cpu, cuda")])
def test_a_provider_that_is_not_here_is_said_by_name(tiny, stop, provider, words):
    engine = OnnxEngine(EngineURI("onnx", "tiny"), ModelFolder.read(tiny), provider=provider)
    try:
        with pytest.raises(OptionUnsupported, match=words):
            engine.chat_model(GenerationOptions(max_tokens=2), stop).invoke("hi")
    finally:
        engine.close()


def test_those_in_line_are_told(tiny, stop):
    engine = OnnxEngine(EngineURI("onnx", "tiny"), ModelFolder.read(tiny), threads=1, slots=1)
    model = engine.chat_model(GenerationOptions(max_tokens=3000), stop)
    first, second = model.stream("a"), model.stream("b")
    next(first)
    waiter = threading.Thread(target=lambda: next(second))
    waiter.start()
    told = threading.Event()
    for _ in range(500):
        if "1 waiting" in engine.status().message:
            told.set()
            break
        threading.Event().wait(0.005)
    first.close()
    waiter.join(20)
    second.close()
    engine.close()
    assert told.is_set()


def test_the_parents_side_imports_neither_the_library_nor_langchain():
    code = "import sys, workers.engines.host.host; print(' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not set(run.stdout.split()) & {"langchain_core", "onnxruntime_genai", "onnxruntime", "numpy"}
    code = "import sys, workers.engines.onnx; print(' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not set(run.stdout.split()) & {"onnxruntime_genai", "onnxruntime", "jinja2", "tokenizers", "transformers"}
