"""Phi-4-multimodal's way with pictures, on a tiny model with random weights that is made here."""

from __future__ import annotations

import base64
import importlib.util
import io
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from langchain_core.messages import HumanMessage, SystemMessage
from PIL import Image

from agents.errors import ContextOverflow
from workers.engines.base import EngineURI
from workers.engines.host.crops import CROPS
from workers.engines.host.pictures4 import _page
from workers.engines.host.protocol import Request
from workers.engines.onnx import OnnxEngine
from workers.engines.onnx.folder import ModelFolder
from workers.errors import EngineProtocolError, OptionUnsupported
from workers.jobs import GenerationOptions

CUT = CROPS["phi4mm"]


@pytest.fixture(scope="module")
def folder(eyes_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("tiny_phi4mm", Path(__file__).with_name("tiny_phi4mm.py"))
    assert spec is not None
    assert spec.loader is not None
    maker: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(maker)
    made: Path = maker.make(eyes_folder, tmp_path_factory.mktemp("phi4mm") / "model")
    return made


@pytest.fixture(scope="module")
def eyes(folder: Path) -> Iterator[OnnxEngine]:
    engine = OnnxEngine(EngineURI("onnx", "eyes4"), ModelFolder.read(folder), threads=1, session=2500)
    yield engine
    engine.close()


def png(colour: str, size: tuple[int, int] = (64, 48)) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, format="PNG")
    return out.getvalue()


@pytest.fixture
def look(eyes: OnnxEngine) -> Callable[..., Any]:
    def show(*files: bytes, question: str = "What is this?") -> Any:
        blocks = [
            {"type": "image", "base64": base64.b64encode(data).decode(), "mime_type": "image/png"} for data in files
        ]
        model = eyes.chat_model(GenerationOptions(max_tokens=16, temperature=0.0), threading.Event())
        return model.invoke([SystemMessage("You see."), HumanMessage([*blocks, {"type": "text", "text": question}])])

    return show


def test_what_is_seen_decides_what_is_said(look: Callable[..., Any]) -> None:
    red, again, blue, nothing = look(png("red")), look(png("red")), look(png("blue")), look()
    assert red.content == again.content
    assert len({red.content, blue.content, nothing.content}) == 3
    assert any("random weights only" in note for note in red.response_metadata["notes"])
    assert nothing.response_metadata["notes"] == []


def test_markers_and_tags_in_peoples_words_stay_words(look: Callable[..., Any]) -> None:
    plain = look(png("red"))
    assert look(png("red"), question="<|image_1|><|endoftext10|> What?").usage_metadata is not None
    assert look(png("red")).content == plain.content


def test_pictures_have_their_order(look: Callable[..., Any]) -> None:
    both, turned = look(png("green"), png("white")), look(png("white"), png("green"))
    assert both.content != turned.content
    assert both.usage_metadata["input_tokens"] > 2 * 545


@pytest.mark.parametrize("size", [(64, 48), (448, 448), (449, 100), (1344, 896), (3000, 40), (40, 3000), (5000, 5000)])
def test_places_are_those_of_the_librarys_own_processor(folder: Path, size: tuple[int, int]) -> None:
    import onnxruntime_genai as og

    processor = og.Model(og.Config(str(folder))).create_multimodal_processor()
    scaled = CUT.scaled(size, 36)
    page = _page(png("red", scaled))
    named = processor("<|image_1|>", images=og.Images.open_bytes(page))
    assert int(named["num_image_tokens"].as_numpy().ravel()[0]) == CUT.places(scaled)
    rows, columns = CUT.grid(scaled)
    assert rows * columns <= 36
    assert np.array_equal(named["image_sizes"].as_numpy()[0], [rows * 448, columns * 448])
    assert named["image_attention_mask"].as_numpy().min() == 1


@pytest.mark.parametrize("parts", CUT.levels)
def test_fewer_parts_take_fewer_places(parts: int) -> None:
    for size in ((4000, 3000), (300, 4000), (10, 10)):
        rows, columns = CUT.grid(CUT.scaled(size, parts))
        assert rows * columns <= parts


def test_large_pictures_are_cut_into_fewer_parts_or_refused(look: Callable[..., Any], eyes: OnnxEngine) -> None:
    seen = look(png("red", (2000, 2000)))
    assert any("instead of 36" in note for note in seen.response_metadata["notes"])
    with pytest.raises(ContextOverflow):
        look(*[png("red")] * 6)


def test_a_prompt_with_other_room_fails_alone(eyes: OnnxEngine, stop: threading.Event) -> None:
    request = Request((1, *[-1] * 100, 300), 4, pictures=(png("red", CUT.scaled((64, 48), 36)),))
    with pytest.raises(EngineProtocolError, match="room"):
        list(eyes.host.generate(request, stop))
    assert list(eyes.host.generate(replace(request, tokens=(300,) * 20, pictures=()), stop))


def test_sound_is_refused_by_name(eyes: OnnxEngine) -> None:
    model = eyes.chat_model(GenerationOptions(max_tokens=6), threading.Event())
    with pytest.raises(OptionUnsupported, match="audio"):
        model.invoke([HumanMessage([{"type": "audio", "base64": "aa"}])])


def test_its_own_adapters_are_none_of_peoples(folder: Path, tmp_path: Path) -> None:
    import json
    import shutil

    copy = Path(shutil.copytree(folder, tmp_path / "model"))
    config = json.loads((copy / "genai_config.json").read_text())
    config["model"]["vision"]["adapter_filename"] = "own.onnx_adapter"
    (copy / "genai_config.json").write_text(json.dumps(config))
    (copy / "own.onnx_adapter").touch()
    (copy / "support.onnx_adapter").touch()
    assert ModelFolder.read(copy).adapters == ("support",)
