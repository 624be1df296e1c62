"""Fine-tuning put on a model for one job: LoRA inputs added to the tiny model's graph, and a file of their values."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from workers.engines.base import EngineURI
from workers.engines.hosted.sampling import make_request
from workers.engines.onnx import OnnxEngine
from workers.engines.onnx.folder import ModelFolder
from workers.errors import OptionUnsupported
from workers.jobs import GenerationOptions
from workers.models.profiles import Sampling

RANK, HIDDEN, WORDS = 2, 128, 737


def add_inputs(file: Path) -> None:
    """Let the last layer add (x · A) · B; without an adapter both are zero."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    model = onnx.load(str(file), load_external_data=False)
    graph = model.graph
    last = [node for node in graph.node if node.op_type == "MatMulNBits"][-1]
    given, made = last.input[0], last.output[0]
    last.output[0] = f"{made}_base"
    for name, shape in (("lora_A.weight", [HIDDEN, RANK]), ("lora_B.weight", [RANK, WORDS])):
        graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        graph.initializer.append(numpy_helper.from_array(np.zeros(shape, np.float32), name))
    graph.node.extend(
        [
            helper.make_node("MatMul", [given, "lora_A.weight"], ["lora_middle"]),
            helper.make_node("MatMul", ["lora_middle", "lora_B.weight"], ["lora_more"]),
            helper.make_node("Add", [f"{made}_base", "lora_more"], [made]),
        ]
    )
    onnx.save(model, str(file))


def write_adapter(file: Path, seed: int) -> None:
    import onnxruntime as ort

    random = np.random.default_rng(seed)
    values = {"lora_A.weight": (HIDDEN, RANK), "lora_B.weight": (RANK, WORDS)}
    adapter = ort.AdapterFormat()
    adapter.set_adapter_version(1)
    adapter.set_model_version(1)
    # Held until they are written: the format keeps pointers to the arrays and no reference to them.
    held = {
        name: ort.OrtValue.ortvalue_from_numpy(random.normal(size=shape).astype(np.float32))
        for name, shape in values.items()
    }
    adapter.set_parameters(held)
    adapter.export_adapter(str(file))


@pytest.fixture
def tuned(broken_copy: Path) -> Iterator[OnnxEngine]:
    add_inputs(broken_copy / "model.onnx")
    for seed, name in enumerate(("support", "legal"), 1):
        write_adapter(broken_copy / f"{name}.onnx_adapter", seed)
    (broken_copy / "torn.onnx_adapter").write_bytes(b"none")
    engine = OnnxEngine(EngineURI("onnx", "tuned"), ModelFolder.read(broken_copy), threads=1)
    yield engine
    engine.close()


def say(engine: OnnxEngine, adapter: str = "") -> str:
    options = GenerationOptions(max_tokens=12, temperature=0.0, adapter=adapter)
    return str(engine.chat_model(options, threading.Event()).invoke("the customer").content)


def test_each_job_has_its_own_adapter(tuned: OnnxEngine, engine: OnnxEngine) -> None:
    plain = say(tuned)
    assert plain == say(engine)
    assert len({plain, say(tuned, "support"), say(tuned, "legal")}) == 3
    assert say(tuned) == plain
    assert say(tuned, "support") == say(tuned, "support")


def test_an_adapter_that_is_not_there_is_named_before_anything_runs(tuned: OnnxEngine, engine: OnnxEngine) -> None:
    with pytest.raises(OptionUnsupported, match="no adapter 'poet'") as caught:
        say(tuned, "poet")
    assert "legal, support, torn" in caught.value.hint
    with pytest.raises(OptionUnsupported, match="no adapter 'poet'") as caught:
        say(engine, "poet")
    assert "poet.onnx_adapter" in caught.value.hint or "NAME.onnx_adapter" in caught.value.hint


def test_a_broken_adapter_costs_its_own_job_only(tuned: OnnxEngine) -> None:
    before = say(tuned)
    pid = tuned.host.status().pid
    with pytest.raises(OptionUnsupported, match="torn"):
        say(tuned, "torn")
    assert say(tuned) == before
    assert tuned.host.status().pid == pid


def test_a_graph_without_its_inputs_refuses_it(engine: OnnxEngine, stop: threading.Event) -> None:
    request = make_request((300,) * 20, 5, GenerationOptions(), Sampling(), WORDS)
    with pytest.raises(OptionUnsupported, match="no inputs for the adapter"):
        list(engine.host.generate(replace(request, adapter="support"), stop))


@pytest.mark.parametrize("name", ["../x", "a b", "x" * 65, ".hidden"])
def test_a_name_is_no_path(name: str) -> None:
    with pytest.raises(ValueError, match="adapter"):
        GenerationOptions(adapter=name)
