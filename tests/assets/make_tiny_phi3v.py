"""Makes the tiny random-weight model with vision that the tests run on: text, vision and embedding graphs.

Run it only to remake it; it needs what make_tiny_phi3.py needs, and onnx:

    python tests/assets/make_tiny_phi3v.py tests/assets

The text graph comes from GenAI's builder, without its embedding table. The other two are made here, with the inputs and
outputs of the published Phi-3-vision folders: a picture becomes as many rows as there, all made of its mean colour, so
that what the model writes depends on what it sees.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import torch
from make_tiny_phi3 import make_weights
from onnx import TensorProto, helper, numpy_helper
from onnxruntime_genai import models as builder

HIDDEN = 128
TEMPLATE = (
    "{% for message in messages %}{{'<|' + message['role'] + '|>' + '\n' + message['content'] + '<|end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{- '<|assistant|>\n' -}}{% endif %}"
)
PROCESSOR = {
    "processor": {
        "name": "phi-3-vision-image-processor",
        "transforms": [
            {
                "operation": {
                    "name": "decode_image",
                    "type": "DecodeImage",
                    "domain": "com.microsoft.extensions",
                    "attrs": {"color_space": "BGR"},
                }
            },
            {"operation": {"name": "convert_to_rgb", "domain": "com.microsoft.extensions", "type": "ConvertRGB"}},
            {
                "operation": {
                    "name": "phi3_image_transform",
                    "domain": "com.microsoft.extensions",
                    "type": "Phi3ImageTransform",
                    "attrs": {"num_crops": 16, "num_img_tokens": 144},
                }
            },
        ],
    }
}


def _constant(name: str, value: object, kind: type) -> onnx.TensorProto:
    return numpy_helper.from_array(np.asarray(value, dtype=kind), name)


def _save(path: Path, nodes: list[onnx.NodeProto], inputs: list, outputs: list, constants: list) -> None:
    graph = helper.make_graph(nodes, path.stem, inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def make_vision(path: Path) -> None:
    """Pictures of h by w crops to (h * w + 1) * 144 + 1 + (h + 1) * 12 rows each."""
    node = helper.make_node
    colours = np.random.default_rng(7).normal(0, 1.0, (3, HIDDEN))
    constants = [
        _constant("to_hidden", colours, np.float32),
        _constant("crop", 336, np.int64),
        _constant("one", 1, np.int64),
        _constant("of_crop", 144, np.int64),
        _constant("of_line", 12, np.int64),
        _constant("zero", 0, np.int64),
        _constant("first", [0], np.int64),
        _constant("second", [1], np.int64),
        _constant("last", [-1], np.int64),
    ]
    nodes = [
        node("ReduceMean", ["pixel_values"], ["colour"], axes=[1, 3, 4], keepdims=0),
        node("MatMul", ["colour", "to_hidden"], ["seen"]),
        node("Div", ["image_sizes", "crop"], ["grid"]),
        node("Gather", ["grid", "zero"], ["h"], axis=1),
        node("Gather", ["grid", "one"], ["w"], axis=1),
        node("Mul", ["h", "w"], ["area"]),
        node("Add", ["area", "one"], ["crops"]),
        node("Mul", ["crops", "of_crop"], ["dots"]),
        node("Add", ["h", "one"], ["lines"]),
        node("Mul", ["lines", "of_line"], ["ends"]),
        node("Add", ["dots", "ends"], ["most"]),
        node("Add", ["most", "one"], ["rows"]),
        node("CumSum", ["rows", "zero"], ["until"]),
        node("ReduceSum", ["rows", "first"], ["total"], keepdims=0),
        node("Range", ["zero", "total", "one"], ["places"]),
        node("Unsqueeze", ["places", "second"], ["column"]),
        node("Unsqueeze", ["until", "first"], ["line"]),
        node("GreaterOrEqual", ["column", "line"], ["passed"]),
        node("Cast", ["passed"], ["passed_number"], to=TensorProto.INT64),
        node("ReduceSum", ["passed_number", "last"], ["picture"], keepdims=0),
        node("Gather", ["seen", "picture"], ["image_features"], axis=0),
    ]
    _save(
        path,
        nodes,
        [
            helper.make_tensor_value_info("pixel_values", TensorProto.FLOAT, ["images", "crops", 3, 336, 336]),
            helper.make_tensor_value_info("image_sizes", TensorProto.INT64, ["images", 2]),
        ],
        [helper.make_tensor_value_info("image_features", TensorProto.FLOAT, ["tokens", HIDDEN])],
        constants,
    )


def make_embedding(path: Path, table: np.ndarray) -> None:
    """Ids to embeddings; negative ones take the pictures' rows in turn."""
    node = helper.make_node
    constants = [
        _constant("table", table, np.float32),
        _constant("nothing", np.zeros((1, HIDDEN)), np.float32),
        _constant("zero", 0, np.int64),
        _constant("along", 1, np.int64),
        _constant("last", [-1], np.int64),
    ]
    nodes = [
        node("Less", ["input_ids", "zero"], ["is_picture"]),
        node("Cast", ["is_picture"], ["flag"], to=TensorProto.INT64),
        node("CumSum", ["flag", "along"], ["count"]),
        node("Mul", ["count", "flag"], ["row"]),
        node("Concat", ["nothing", "image_features"], ["rows"], axis=0),
        node("Gather", ["rows", "row"], ["seen"], axis=0),
        node("Max", ["input_ids", "zero"], ["words"]),
        node("Gather", ["table", "words"], ["read"], axis=0),
        node("Unsqueeze", ["is_picture", "last"], ["choice"]),
        node("Where", ["choice", "seen", "read"], ["inputs_embeds"]),
    ]
    _save(
        path,
        nodes,
        [
            helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "sequence"]),
            helper.make_tensor_value_info("image_features", TensorProto.FLOAT, ["tokens", HIDDEN]),
        ],
        [helper.make_tensor_value_info("inputs_embeds", TensorProto.FLOAT, ["batch", "sequence", HIDDEN])],
        constants,
    )


def build(target: Path) -> None:
    """Make the folder, replacing what is there."""
    from transformers import Phi3ForCausalLM

    with tempfile.TemporaryDirectory() as work:
        source, out = Path(work, "hf"), Path(work, "onnx")
        source.mkdir()
        make_weights(source, longrope=False)
        model = Phi3ForCausalLM.from_pretrained(source, dtype=torch.float32)
        script = Path(builder.__file__).with_name("builder.py")
        command = [
            sys.executable,
            script,
            "-i",
            source,
            "-o",
            out,
            "-p",
            "int4",
            "-e",
            "cpu",
            "-c",
            Path(work, "cache"),
        ]
        options = ["--extra_options", "exclude_embeds=true", "filename=text.onnx"]
        subprocess.run([str(part) for part in [*command, *options]], check=True)
        make_vision(out / "vision.onnx")
        make_embedding(out / "embedding.onnx", model.model.embed_tokens.weight.detach().numpy())
        config = json.loads((out / "genai_config.json").read_text("utf-8"))
        config["model"]["type"] = "phi3v"
        config["model"]["embedding"] = {
            "filename": "embedding.onnx",
            "inputs": {"input_ids": "input_ids", "image_features": "image_features"},
            "outputs": {"inputs_embeds": "inputs_embeds"},
        }
        config["model"]["vision"] = {
            "filename": "vision.onnx",
            "config_filename": "processor_config.json",
            "inputs": {"pixel_values": "pixel_values", "image_sizes": "image_sizes"},
            "outputs": {"image_features": "image_features"},
        }
        (out / "genai_config.json").write_text(json.dumps(config, indent=4), "utf-8")
        (out / "processor_config.json").write_text(json.dumps(PROCESSOR, indent=1), "utf-8")
        words = json.loads((source / "tokenizer_config.json").read_text("utf-8"))
        words["chat_template"] = TEMPLATE
        (out / "tokenizer_config.json").write_text(json.dumps(words, indent=1), "utf-8")
        (out / "chat_template.jinja").unlink(missing_ok=True)
        shutil.copy(source / "config.json", out / "config.json")
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(out, target)


if __name__ == "__main__":
    build(Path(sys.argv[1]) / "tiny-phi3v")
