"""Makes a tiny Phi-4-multimodal of the tiny Phi-3-vision: graphs and processors with the published folder's inputs.

A picture becomes as many rows as there, all made of its mean colour. Sound has a graph, since the library wants one,
and is never given any. Text weights are random.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

HIDDEN, PICTURE, SOUND = 128, 200010, 200011
_VISION_IN = {"pixel_values": "pixel_values", "attention_mask": "image_attention_mask", "image_sizes": "image_sizes"}
_SPEECH_IN = {
    "audio_embeds": "audio_embeds",
    "attention_mask": "audio_attention_mask",
    "audio_sizes": "audio_sizes",
    "audio_projection_mode": "audio_projection_mode",
}


def make(source: Path, target: Path) -> Path:
    """Write the folder."""
    shutil.copytree(source, target)
    held = onnx.load(str(target / "embedding.onnx")).graph.initializer
    table = next(numpy_helper.to_array(one) for one in held if one.name == "table")
    _vision(target / "vision.onnx")
    _speech(target / "speech.onnx")
    _embedding(target / "embedding.onnx", table)
    _write(target / "vision_processor.json", {"processor": _vision_processor()})
    _write(target / "speech_processor.json", {"feature_extraction": _speech_processor()})
    config = json.loads((target / "genai_config.json").read_text())
    model = config["model"]
    model["type"] = "phi4mm"
    model["embedding"]["inputs"]["audio_features"] = "audio_features"
    model["vision"] |= {"config_filename": "vision_processor.json", "inputs": _VISION_IN}
    model["speech"] = {
        "filename": "speech.onnx",
        "config_filename": "speech_processor.json",
        "inputs": _SPEECH_IN,
        "outputs": {"audio_features": "audio_features"},
    }
    _write(target / "genai_config.json", config)
    words = json.loads((target / "tokenizer.json").read_text())
    plain = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
    for number, name in ((PICTURE, "<|endoftext10|>"), (SOUND, "<|endoftext11|>")):
        words["added_tokens"].append({"id": number, "content": name, **plain, "special": True})
    _write(target / "tokenizer.json", words)
    return target


def _write(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value), encoding="utf-8")


def _number(name: str, value: Any, kind: Any = np.int64) -> Any:
    return numpy_helper.from_array(np.asarray(value, dtype=kind), name)


def _save(file: Path, nodes: list[Any], inputs: list[Any], output: Any, constants: list[Any]) -> None:
    graph = helper.make_graph(nodes, file.stem, inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
    onnx.checker.check_model(model)
    onnx.save(model, str(file))


def _vision(file: Path) -> None:
    """Pictures of h by w parts to 273 + 256 h w + 16 h rows each."""
    node, info = helper.make_node, helper.make_tensor_value_info
    _save(
        file,
        [
            node("ReduceMean", ["pixel_values"], ["colour"], axes=[1, 3, 4], keepdims=0),
            node("MatMul", ["colour", "to_hidden"], ["seen"]),
            node("ReduceMean", ["image_attention_mask"], ["share"], axes=[1, 2, 3], keepdims=0),
            node("Unsqueeze", ["share", "second"], ["shares"]),
            node("Mul", ["seen", "shares"], ["told"]),
            node("Div", ["image_sizes", "side"], ["grid"]),
            node("Gather", ["grid", "zero"], ["h"], axis=1),
            node("Gather", ["grid", "one"], ["w"], axis=1),
            node("Mul", ["h", "w"], ["area"]),
            node("Mul", ["area", "a_part"], ["dots"]),
            node("Mul", ["h", "a_line"], ["lines"]),
            node("Add", ["dots", "lines"], ["both"]),
            node("Add", ["both", "always"], ["rows"]),
            node("CumSum", ["rows", "zero"], ["until"]),
            node("ReduceSum", ["rows", "first"], ["total"], keepdims=0),
            node("Range", ["zero", "total", "one"], ["places"]),
            node("Unsqueeze", ["places", "second"], ["down"]),
            node("Unsqueeze", ["until", "first"], ["across"]),
            node("GreaterOrEqual", ["down", "across"], ["passed"]),
            node("Cast", ["passed"], ["passed_number"], to=TensorProto.INT64),
            node("ReduceSum", ["passed_number", "last"], ["picture"], keepdims=0),
            node("Gather", ["told", "picture"], ["image_features"], axis=0),
        ],
        [
            info("pixel_values", TensorProto.FLOAT, ["images", "parts", 3, 448, 448]),
            info("image_attention_mask", TensorProto.FLOAT, ["images", "parts", 32, 32]),
            info("image_sizes", TensorProto.INT64, ["images", 2]),
        ],
        info("image_features", TensorProto.FLOAT, ["tokens", HIDDEN]),
        [
            _number("to_hidden", np.random.default_rng(7).normal(0, 1, (3, HIDDEN)), np.float32),
            *(_number(name, value) for name, value in (("side", 448), ("zero", 0), ("one", 1), ("a_part", 256))),
            *(_number(name, value) for name, value in (("a_line", 16), ("always", 273), ("first", [0]))),
            *(_number(name, value) for name, value in (("second", [1]), ("last", [-1]))),
        ],
    )


def _speech(file: Path) -> None:
    node, info = helper.make_node, helper.make_tensor_value_info
    others = ("audio_projection_mode", "audio_sizes", "audio_attention_mask")
    _save(
        file,
        [
            node("MatMul", ["audio_embeds", "nothing"], ["zeros"]),
            *(node("Cast", [name], [f"{name}_real"], to=TensorProto.FLOAT) for name in others),
            *(node("ReduceSum", [f"{name}_real"], [f"{name}_sum"], keepdims=0) for name in others),
            node("Sum", [f"{name}_sum" for name in others], ["all"]),
            node("Mul", ["all", "zero"], ["none"]),
            node("Add", ["zeros", "none"], ["sounds"]),
            node("Reshape", ["sounds", "flat"], ["audio_features"]),
        ],
        [
            info("audio_embeds", TensorProto.FLOAT, ["sounds", "frames", 80]),
            info("audio_attention_mask", TensorProto.BOOL, ["sounds", "frames"]),
            info("audio_sizes", TensorProto.INT64, ["sounds"]),
            info("audio_projection_mode", TensorProto.INT64, [1]),
        ],
        info("audio_features", TensorProto.FLOAT, ["tokens", HIDDEN]),
        [
            _number("nothing", np.zeros((80, HIDDEN)), np.float32),
            _number("zero", 0, np.float32),
            _number("flat", [-1, HIDDEN]),
        ],
    )


def _embedding(file: Path, table: Any) -> None:
    """Ids to embeddings; those of pictures take the pictures' rows in turn."""
    node, info = helper.make_node, helper.make_tensor_value_info
    _save(
        file,
        [
            node("Equal", ["input_ids", "picture"], ["is_picture"]),
            node("Cast", ["is_picture"], ["flag"], to=TensorProto.INT64),
            node("CumSum", ["flag", "along"], ["count"]),
            node("Mul", ["count", "flag"], ["row"]),
            node("Concat", ["nothing", "image_features", "audio_features"], ["rows"], axis=0),
            node("Gather", ["rows", "row"], ["seen"], axis=0),
            node("Min", ["input_ids", "most"], ["words"]),
            node("Gather", ["table", "words"], ["read"], axis=0),
            node("Unsqueeze", ["is_picture", "last"], ["choice"]),
            node("Where", ["choice", "seen", "read"], ["inputs_embeds"]),
        ],
        [
            info("input_ids", TensorProto.INT64, ["batch", "sequence"]),
            info("image_features", TensorProto.FLOAT, ["tokens", HIDDEN]),
            info("audio_features", TensorProto.FLOAT, ["sounds", HIDDEN]),
        ],
        info("inputs_embeds", TensorProto.FLOAT, ["batch", "sequence", HIDDEN]),
        [
            _number("table", table, np.float32),
            _number("nothing", np.zeros((1, HIDDEN)), np.float32),
            *(_number(name, value) for name, value in (("picture", PICTURE), ("along", 1), ("last", [-1]))),
            _number("most", len(table) - 1),
        ],
    )


def _operation(name: str, kind: str, inputs: list[str] | None = None, **attributes: Any) -> dict[str, Any]:
    more = ({"inputs": inputs} if inputs else {}) | ({"attrs": attributes} if attributes else {})
    return {"operation": {"name": name, "type": kind, **more}}


def _vision_processor() -> dict[str, Any]:
    half = [0.5, 0.5, 0.5]
    return {
        "name": "phi_4_vision_processor",
        "transforms": [
            _operation("decode_image", "DecodeImage", color_space="RGB"),
            _operation("cut", "Phi4VisionDynamicPreprocess", dynamic_hd=36, dyhd_base_resolution=448),
            _operation("rescale", "Rescale", [":0"]),
            _operation("normalize", "Normalize", mean=half, std=half),
            _operation("see", "Phi4VisionProcessor", [":0", "cut:1"], dyhd_base_resolution=448, interpolation="CUBIC"),
        ],
        "output_aligner": "phi4-vision-aligner",
    }


def _speech_processor() -> dict[str, Any]:
    figures: dict[str, Any] = {"audio_compression_rate": 8}
    for end, fast, frame, hop in (("", 512, 400, 160), ("_8k", 256, 200, 80)):
        stft = {"n_fft": fast, "frame_length": frame, "hop_length": hop, "win_fn": "hamming"}
        mel = {"chunk_size": 30, "hop_length": hop, "n_fft": 512, "n_mel": 80, "feature_first": 0, "no_padding": 1}
        figures |= {f"stft_normal{end}/{name}": value for name, value in stft.items()}
        figures |= {f"logmel{end}/{name}": value for name, value in mel.items()}
    return {
        "sequence": [
            _operation("audio_decoder", "AudioDecoderEx", target_sample_rates=[8000, 16000]),
            _operation("embed", "Phi4AudioEmbed", **figures),
        ],
        "output_aligner": "phi4-audio-aligner",
    }
