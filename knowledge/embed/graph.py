"""MiniLM as an ONNX graph, written node by node out of its safetensors; no torch is involved.

Inputs: ``input_ids`` and ``attention_mask``, int64 [texts, tokens]. Output: ``embeddings``, float32 [texts, 384],
mean-pooled over the mask and scaled to length 1.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx

    from knowledge.embed.config import Precision

OPSET = 20  # the first with Gelu
GRAPH_VERSION = 1  # raise when the graph below changes, so that cached ones are built anew
HEADS = 12
HIDDEN = 384
LAYERS = 6
_EPSILON = 1e-12


class _Builder:
    """Collects nodes and constants; each method returns the name of what it made."""

    def __init__(self, weights: dict[str, np.ndarray[Any, Any]]) -> None:
        from onnx import helper, numpy_helper

        self._helper, self._numpy = helper, numpy_helper
        self.weights = weights
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, *inputs: str, out: str = "", **attributes: Any) -> str:
        name = out or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(self._helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def constant(self, value: np.ndarray[Any, Any] | list[int] | float, name: str = "") -> str:
        name = name or f"const_{len(self.constants)}"
        if isinstance(value, list):
            value = np.array(value, dtype=np.int64)
        elif isinstance(value, float):
            value = np.array(value, dtype=np.float32)
        self.constants.append(self._numpy.from_array(np.array(value, order="C"), name))
        return name

    def dense(self, x: str, *names: str) -> str:
        """One product for several layers that read the same input; torch keeps weights as [out, in]."""
        weight = np.concatenate([self.weights[f"{name}.weight"].T for name in names], axis=1)
        bias = np.concatenate([self.weights[f"{name}.bias"] for name in names])
        product = self.node("MatMul", x, self.constant(weight, f"{names[0]}.weight"))
        return self.node("Add", product, self.constant(bias, f"{names[0]}.bias"))

    def normalise(self, x: str, name: str) -> str:
        scale = self.constant(self.weights[f"{name}.weight"], f"{name}.weight")
        shift = self.constant(self.weights[f"{name}.bias"], f"{name}.bias")
        return self.node("LayerNormalization", x, scale, shift, axis=-1, epsilon=_EPSILON)


def build_graph(weights: dict[str, np.ndarray[Any, Any]]) -> onnx.ModelProto:
    """The whole model.

    Args:
        weights: Tensors by their names in the official file.
    """
    from onnx import TensorProto, checker, helper

    b = _Builder(weights)
    x = _embeddings(b)
    mask = b.node("Cast", "attention_mask", to=TensorProto.FLOAT)
    # [texts, 1, 1, tokens]: 0 where there is text, a very low number where there is padding.
    gap = b.node("Mul", b.node("Sub", mask, b.constant(1.0)), b.constant(1e9))
    bias = b.node("Unsqueeze", gap, b.constant([1, 2]))
    for layer in range(LAYERS):
        x = _layer(b, x, bias, f"encoder.layer.{layer}")
    _pool(b, x, mask)
    ids = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    vectors = helper.make_tensor_value_info("embeddings", TensorProto.FLOAT, ["texts", HIDDEN])
    graph = helper.make_graph(b.nodes, "all-MiniLM-L6-v2", ids, [vectors], b.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], producer_name="phiq")
    # Of the format that belongs to the opset, so that older runtimes read it too.
    model.ir_version = helper.find_min_ir_version_for(list(model.opset_import))
    checker.check_model(model, full_check=True)
    return model


def _embeddings(b: _Builder) -> str:
    words = b.node("Gather", b.constant(b.weights["embeddings.word_embeddings.weight"], "words"), "input_ids")
    # All tokens are of type 0 here, so its vector is added to the positions once and for all.
    places = (
        b.weights["embeddings.position_embeddings.weight"] + b.weights["embeddings.token_type_embeddings.weight"][0]
    )
    # Slice takes its ends as 1-D tensors: this is [tokens], not tokens.
    tokens = b.node("Shape", "input_ids", start=1, end=2)
    position = b.node("Slice", b.constant(places, "positions"), b.constant([0]), tokens, b.constant([0]))
    return b.normalise(b.node("Add", words, position), "embeddings.LayerNorm")


def _layer(b: _Builder, x: str, bias: str, name: str) -> str:
    own = f"{name}.attention.self"
    projected = b.dense(x, f"{own}.query", f"{own}.key", f"{own}.value")
    # [texts, tokens, 3, heads, size] → [3, texts, heads, tokens, size]
    size = HIDDEN // HEADS
    split = b.node("Reshape", projected, b.constant([0, 0, 3, HEADS, size]))
    stacked = b.node("Transpose", split, perm=[2, 0, 3, 1, 4])
    query, key, value = (
        b.node("Gather", stacked, b.constant(np.array(part, dtype=np.int64)), axis=0) for part in range(3)
    )
    turned = b.node("Transpose", key, perm=[0, 1, 3, 2])
    scores = b.node("Mul", b.node("MatMul", query, turned), b.constant(float(size**-0.5)))
    shares = b.node("Softmax", b.node("Add", scores, bias), axis=-1)
    seen = b.node("Transpose", b.node("MatMul", shares, value), perm=[0, 2, 1, 3])
    joined = b.node("Reshape", seen, b.constant([0, 0, HIDDEN]))
    out = b.dense(joined, f"{name}.attention.output.dense")
    x = b.normalise(b.node("Add", out, x), f"{name}.attention.output.LayerNorm")
    inner = b.node("Gelu", b.dense(x, f"{name}.intermediate.dense"))
    return b.normalise(b.node("Add", b.dense(inner, f"{name}.output.dense"), x), f"{name}.output.LayerNorm")


def _pool(b: _Builder, x: str, mask: str) -> None:
    weights = b.node("Unsqueeze", mask, b.constant([2]))
    total = b.node("ReduceSum", b.node("Mul", x, weights), b.constant([1]), keepdims=0)
    count = b.node("ReduceSum", mask, b.constant([1]), keepdims=1)
    mean = b.node("Div", total, b.node("Max", count, b.constant(1e-9)))
    length = b.node("ReduceL2", mean, b.constant([1]), keepdims=1)
    b.node("Div", mean, b.node("Max", length, b.constant(1e-12)), out="embeddings")


def write_graph(safetensors: Path, target: Path, precision: Precision) -> None:
    """Build the graph and write it to ``target``.

    int8 only with these options: onnxruntime's defaults (per tensor, all kinds of nodes) fall to a cosine of .887.
    """
    import onnx
    from safetensors.numpy import load_file

    model = build_graph(load_file(safetensors))
    # Nothing is left to prepare in a graph written like this; without the mark the quantiser warns on the root logger.
    onnx.helper.set_model_props(model, {"onnx.quant.pre_process": "onnxruntime.quant"})
    onnx.save(model, target)
    if precision == "f32":
        return
    from onnxruntime.quantization import QuantType, quantize_dynamic

    whole = target.with_suffix(".f32")
    target.replace(whole)
    try:
        quantize_dynamic(whole, target, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul"])
    finally:
        whole.unlink()
