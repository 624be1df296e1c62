"""Makes the tiny random-weight models that the tests of the ONNX engine run on.

Run it only to remake them; it needs torch, transformers, onnx-ir and onnxruntime-genai, the tests don't:

    python tests/assets/make_tiny_phi3.py tests/assets

``tiny-phi3`` has the Phi-3 architecture with plain rotary positions, ``tiny-phi3-longrope`` the scaled ones
that change at an original context (4096 tokens in the real models and here). The weights are random: what they write
means nothing. The tokenizer is trained on the sentences below, made like Phi-3's: BPE over "▁" with byte fallback, the
same eleven markers, the same chat template.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from itertools import product
from pathlib import Path

import torch
from tokenizers import AddedToken, Tokenizer, decoders, normalizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import Phi3Config, Phi3ForCausalLM

MARKERS = (
    ("<|endoftext|>", False),
    ("<|assistant|>", True),
    ("<|placeholder1|>", True),
    ("<|placeholder2|>", True),
    ("<|placeholder3|>", True),
    ("<|placeholder4|>", True),
    ("<|system|>", True),
    ("<|end|>", True),
    ("<|placeholder5|>", True),
    ("<|placeholder6|>", True),
    ("<|user|>", True),
)
"""Phi-3's markers in the order of their ids, and whether each swallows the white space after it."""

TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'system' and message['content'] %}"
    "{{'<|system|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'user' %}"
    "{{'<|user|>\n' + message['content'] + '<|end|>\n'}}{% elif message['role'] == 'assistant' %}"
    "{{'<|assistant|>\n' + message['content'] + '<|end|>\n'}}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}"
)

WHO = [
    "the customer",
    "our engineer",
    "a new reader",
    "the night shift",
    "every clerk",
    "her neighbour",
    "the small team",
]
DOES = [
    "writes down",
    "asks about",
    "repairs",
    "returns",
    "explains",
    "orders",
    "forgets",
    "checks again",
    "translates",
]
WHAT = [
    "the broken kettle",
    "an open invoice",
    "three blue tickets",
    "the delivery address",
    "a long summary",
    "the picture of the door",
    "last week's answer",
    "the warranty card",
    "seven hundred questions",
]
WHEN = [
    "before lunch.",
    "when it rains!",
    "on Monday, at 10:45.",
    "without any help?",
    "because the lamp is red;",
    "as the handbook (page 12) says.",
    "and then goes home.",
    "for 30 euros and 5 cents.",
]
OTHER = (
    "Die Straße führt über die Brücke. Où est la clé? ¿Dónde está el café? Grüße aus Köln.",
    "Привет, как дела? 你好,世界。 こんにちは。 Ελληνικά. naïve façade — “quoted” … done 🙂",
    "def total(items):\n    return sum(item.price for item in items)\n\n<b>bold</b> {x} [1] https://example.org/a?b=c",
)


def sentences() -> list[str]:
    """The training text: every combination of our own words, and a few lines in other scripts."""
    made = [f"{' '.join(words)}".capitalize() for words in product(WHO, DOES, WHAT, WHEN)]
    return [*made[::3], *OTHER * 30]


def make_tokenizer(folder: Path) -> int:
    """Write tokenizer.json and tokenizer_config.json; returns the size of the vocabulary."""
    normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    trained = Tokenizer(BPE(unk_token="<unk>"))
    # Like Phi-3's, no piece mixes letters with signs, joins two digits, or has a space but at its start.
    words = [
        piece for line in sentences() for word in line.split() for piece in re.findall(r"▁?[^\W\d_]+|\S", f"▁{word}")
    ]
    trained.train_from_iterator(words, BpeTrainer(vocab_size=1500, special_tokens=["<unk>", "<s>", "</s>"]))
    learned = json.loads(trained.to_str())["model"]

    pieces = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    pieces += [piece for piece in learned["vocab"] if piece not in pieces]
    vocab = {piece: index for index, piece in enumerate(pieces)}
    merges = [tuple(pair) for pair in learned["merges"]]
    tokenizer = Tokenizer(BPE(vocab, merges, unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizer
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    # Like the real one, "</s>" is no special token, but is cut out of text all the same.
    tokenizer.add_special_tokens([AddedToken(text, normalized=False) for text in ("<unk>", "<s>")])
    tokenizer.add_tokens([AddedToken("</s>", normalized=False, rstrip=True)])
    tokenizer.add_special_tokens([AddedToken(text, normalized=False, rstrip=strip) for text, strip in MARKERS])
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    added = {
        str(tokenizer.token_to_id(text)): {
            "content": text,
            "lstrip": False,
            "normalized": False,
            "rstrip": strip,
            "single_word": False,
            "special": text != "</s>",
        }
        for text, strip in (("<unk>", False), ("<s>", False), ("</s>", True), *MARKERS)
    }
    config = {
        "add_bos_token": False,
        "add_eos_token": False,
        "added_tokens_decoder": added,
        "bos_token": "<s>",
        "chat_template": TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": "<|endoftext|>",
        "legacy": False,
        "model_max_length": 4096,
        "pad_token": "<|endoftext|>",
        "padding_side": "left",
        "sp_model_kwargs": {},
        "tokenizer_class": "LlamaTokenizer",
        "unk_token": "<unk>",
        "use_default_system_prompt": False,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1), "utf-8")
    return tokenizer.get_vocab_size()


def make_weights(folder: Path, *, longrope: bool) -> None:
    """Write a random Phi-3 in the layout of transformers."""
    size = make_tokenizer(folder)
    end, over = size - 4, size - 11
    scaling = None
    if longrope:
        half = 16
        scaling = {"type": "longrope", "short_factor": [1.0] * half, "long_factor": [4.0] * half}
    config = Phi3Config(
        vocab_size=size,
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=5120 if longrope else 4096,
        original_max_position_embeddings=4096,
        rope_scaling=scaling,
        bos_token_id=1,
        eos_token_id=over,
        pad_token_id=over,
        tie_word_embeddings=False,
    )
    torch.manual_seed(7)
    Phi3ForCausalLM(config).eval().save_pretrained(folder)
    generation = {"bos_token_id": 1, "eos_token_id": [over, end], "pad_token_id": over, "do_sample": False}
    (folder / "generation_config.json").write_text(json.dumps(generation), "utf-8")


def build(target: Path, *, longrope: bool) -> None:
    """Make one model folder, replacing what is there."""
    from onnxruntime_genai import models as builder  # here: tests of other engines make weights without it

    with tempfile.TemporaryDirectory() as work:
        source, out = Path(work, "hf"), Path(work, "onnx")
        source.mkdir()
        make_weights(source, longrope=longrope)
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
        subprocess.run([str(part) for part in command], check=True)
        shutil.copy(source / "config.json", out / "config.json")
        if not longrope:
            # The builder writes the template apart, as newer models have it; the older way is tested with this one.
            shutil.copy(source / "tokenizer_config.json", out / "tokenizer_config.json")
            (out / "chat_template.jinja").unlink()
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(out, target)


if __name__ == "__main__":
    root = Path(sys.argv[1])
    build(root / "tiny-phi3", longrope=False)
    build(root / "tiny-phi3-longrope", longrope=True)
