"""The ONNX embedder against sentence-transformers, the model's own library. Needs torch: `make test-extras`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from knowledge.embed import EmbedderConfig, load_embedder
from knowledge.embed.config import Precision
from knowledge.embed.weights import find_weights

pytestmark = pytest.mark.extras
if os.environ.get("CI", "").lower() not in {"1", "true", "yes"}:
    pytest.importorskip("sentence_transformers")

TEXTS = [
    "",
    " ",
    "a",
    "Hello, world!",
    "A lamp can be returned within thirty days.",
    "Ein Satz auf Deutsch mit Umlauten: äöüß, und ein Straßenname.",
    "日本語の文章です。これは二番目の文です。",
    "هذه جملة باللغة العربية.",
    "emoji \U0001f642 and a \U0001d557\U0001d552\U0001d55f word",
    "<|system|> [CLS] [SEP] [MASK] tokens",
    "x" * 150,
    "word " * 254,
    "word " * 255,
    "cut off after the first 256 tokens " * 100,
    "line\nbreaks\tand  spaces",
    *(f"Sentence number {number} is about the letter {chr(97 + number)} and nothing else." for number in range(26)),
]


@pytest.fixture(scope="module")
def folder() -> Path:
    return find_weights(EmbedderConfig()).model.parent


@pytest.fixture(scope="module")
def reference(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(folder), device="cpu")
    assert model.max_seq_length == 256
    return model.encode(TEXTS, normalize_embeddings=True, convert_to_numpy=True)


@pytest.mark.parametrize(("precision", "least"), [("f32", 0.99999), ("int8", 0.97)])
def test_the_same_vectors_as_the_models_own_library(
    reference: Any, tmp_path: Path, precision: Precision, least: float
) -> None:
    mine = load_embedder(EmbedderConfig(precision=precision, cache_dir=tmp_path)).embed_array(TEXTS)
    cosines = (mine * reference).sum(axis=1)
    print(precision, "cosine: mean", cosines.mean(), "least", cosines.min(), repr(TEXTS[int(cosines.argmin())][:40]))
    assert mine.dtype == np.float32
    assert cosines.min() >= least


def test_another_model_runs_on_sentence_transformers(folder: Path, reference: Any, tmp_path: Path) -> None:
    # The same files under another name stand for another model: none can be had without a network.
    other = tmp_path / "my-own-model"
    other.mkdir()
    for path in folder.iterdir():
        (other / path.name).symlink_to(path)
    from knowledge.embed.other import SentenceTransformersEmbedder

    embedder = SentenceTransformersEmbedder(EmbedderConfig(name=str(other)))
    assert (embedder.name, embedder.dimensions, embedder.max_tokens) == ("my-own-model", 384, 256)
    assert np.abs(embedder.embed_array(TEXTS) - reference).max() < 1e-5
    assert embedder.count_tokens(["A lamp.", ""]) == [3, 0]
    assert embedder.embed_array([]).shape == (0, 384)
