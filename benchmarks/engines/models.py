"""Makes models of the right shape with random weights, one folder for each engine: the time does not depend on values.

    python -m benchmarks.engines.models FOLDER [--size mid] [--only onnx,openvino,gguf]

Needs torch, transformers, onnxruntime-genai, onnx-ir, optimum-intel, nncf and gguf, which measuring does not. ``mid``
takes two minutes, 6 GB of memory and 1.2 GB of disk. ``phi35`` takes 10 GB of memory; GenAI's builder would take 23 GB
for it, so its ONNX folder is only made when it is named. The tokenizer has a piece for every id, so that all that a
model makes is text.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Shape:
    """Phi-3's architecture in a size."""

    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int = 32064


SHAPES = {
    "small": Shape(256, 4, 4, 1024),
    "mid": Shape(1024, 24, 16, 4096),  # 468 million parameters
    "phi35": Shape(3072, 32, 32, 8192),  # Phi-3.5-mini's layers, 3.8 billion; its positions up to 4,096 only
}
BLOCK = 32


def make_hf(shape: Shape, folder: Path) -> None:
    """Weights and tokenizer in transformers' layout."""
    import torch
    from tokenizers import Tokenizer, decoders, normalizers
    from tokenizers.models import BPE
    from transformers import Phi3Config, Phi3ForCausalLM

    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += [f"▁w{number}" for number in range(shape.vocabulary - len(pieces) - 3)]
    pieces += ["<|user|>", "<|assistant|>", "<|end|>"]
    tokenizer = Tokenizer(
        BPE({piece: at for at, piece in enumerate(pieces)}, [], unk_token="<unk>", byte_fallback=True)
    )
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    tokenizer.add_special_tokens(["<unk>", "<s>", "</s>", "<|user|>", "<|assistant|>", "<|end|>"])
    folder.mkdir(parents=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    about = {
        "tokenizer_class": "LlamaTokenizer",
        "bos_token": "<s>",
        "eos_token": "<|end|>",
        "unk_token": "<unk>",
        "chat_template": "{% for m in messages %}{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    end = shape.vocabulary - 1
    config = Phi3Config(
        vocab_size=shape.vocabulary,
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=4096,
        original_max_position_embeddings=4096,
        bos_token_id=1,
        eos_token_id=end,
        pad_token_id=end,
        tie_word_embeddings=False,
    )
    torch.manual_seed(7)
    torch.set_default_dtype(torch.float16)  # made so at once: twice the size would not fit everywhere
    Phi3ForCausalLM(config).eval().save_pretrained(folder)
    torch.set_default_dtype(torch.float32)


def make_onnx(source: Path, target: Path, work: Path) -> None:
    """GenAI's builder, 4 bits in blocks of 32."""
    from onnxruntime_genai import models as builder

    script = Path(builder.__file__).with_name("builder.py")
    _run(sys.executable, script, "-i", source, "-o", target, "-p", "int4", "-e", "cpu", "-c", work / "cache")
    shutil.copy(source / "config.json", target / "config.json")


def make_openvino(source: Path, target: Path) -> None:
    """optimum's export, 4 bits in blocks of 32."""
    command = Path(sys.executable).with_name("optimum-cli")
    kind = ("--task", "text-generation-with-past", "--weight-format", "int4")
    _run(command, "export", "openvino", "-m", source, *kind, "--group-size", 32, "--sym", "--ratio", "1.0", target)


def make_gguf(shape: Shape, target: Path) -> None:
    """q4_0 blocks of random bytes under small scales: what llama.cpp reads is the same amount of the same kind."""
    import gguf

    target.mkdir(parents=True)
    writer = gguf.GGUFWriter(target / "model.gguf", "phi3")
    writer.add_context_length(4096)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    writer.add_head_count_kv(shape.heads)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(shape.hidden // shape.heads)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_scaling_orig_ctx_len(4096)
    writer.add_sliding_window(0)
    writer.add_vocab_size(shape.vocabulary)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q4_0)
    _gguf_words(gguf, writer, shape)
    random = np.random.default_rng(7)

    def weight(name: str, rows: int, columns: int) -> None:
        blocks = random.integers(0, 256, (rows, columns // BLOCK, 18), dtype=np.uint8)
        blocks[:, :, :2] = np.full((rows, columns // BLOCK, 1), 0.005, dtype=np.float16).view(np.uint8)
        writer.add_tensor(name, blocks.reshape(rows, -1), raw_dtype=gguf.GGMLQuantizationType.Q4_0)

    def norm(name: str) -> None:
        writer.add_tensor(name, np.ones(shape.hidden, dtype=np.float32))

    weight("token_embd.weight", shape.vocabulary, shape.hidden)
    for layer in range(shape.layers):
        norm(f"blk.{layer}.attn_norm.weight")
        weight(f"blk.{layer}.attn_qkv.weight", 3 * shape.hidden, shape.hidden)
        weight(f"blk.{layer}.attn_output.weight", shape.hidden, shape.hidden)
        norm(f"blk.{layer}.ffn_norm.weight")
        weight(f"blk.{layer}.ffn_up.weight", 2 * shape.inner, shape.hidden)
        weight(f"blk.{layer}.ffn_down.weight", shape.hidden, shape.inner)
    norm("output_norm.weight")
    weight("output.weight", shape.vocabulary, shape.hidden)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _gguf_words(gguf: Any, writer: Any, shape: Shape) -> None:
    kinds = gguf.TokenType
    words = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    types = [kinds.UNKNOWN, kinds.CONTROL, kinds.CONTROL, *[kinds.BYTE] * 256]
    rest = shape.vocabulary - len(words)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([*words, *(f"▁w{number}" for number in range(rest))])
    writer.add_token_scores([0.0] * shape.vocabulary)
    writer.add_token_types([*types, *[kinds.NORMAL] * rest])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)


def _run(*command: object) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    subprocess.run([str(part) for part in command], check=True, env=environment, stdout=subprocess.DEVNULL)


def main() -> None:
    """Make what is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", choices=sorted(SHAPES), default="mid")
    parser.add_argument("--only", help="onnx, openvino, gguf; all of them, of phi35 openvino and gguf")
    asked = parser.parse_args()
    asked.only = asked.only or ("openvino,gguf" if asked.size == "phi35" else "onnx,openvino,gguf")
    shape, root = SHAPES[asked.size], asked.folder / asked.size
    wanted = [form for form in asked.only.split(",") if not (root / form).exists()]
    with tempfile.TemporaryDirectory(dir=asked.folder) as work:
        if {"onnx", "openvino"} & set(wanted):
            make_hf(shape, Path(work, "hf"))
            gc.collect()  # the largest shape's weights and their export would not fit side by side
        if "onnx" in wanted:
            make_onnx(Path(work, "hf"), root / "onnx", Path(work))
        if "openvino" in wanted:
            make_openvino(Path(work, "hf"), root / "openvino")
        if "gguf" in wanted:
            make_gguf(shape, root / "gguf")
    print(f"{root}: {', '.join(sorted(path.name for path in root.iterdir()))}")


if __name__ == "__main__":
    main()
