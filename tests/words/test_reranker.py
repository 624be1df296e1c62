"""A cross-encoder puts found passages into order: a tiny one that counts a word, written as exporters write theirs."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing

from knowledge.embed import EmbedderConfig, load_embedder
from knowledge.errors import RerankerUnavailable
from knowledge.rank.cross import CANDIDATES, Reranker
from knowledge.store import Store, StoreConfig
from knowledge.sync import LoadedFile, ingest
from knowledge.types import Passage
from workers.doctor import models
from workers.resources import Resources
from workers.settings import Settings

VOCABULARY = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "brass": 4, "lamp": 5}


def write(folder: Path, labels: int = 1, inputs: tuple[str, ...] = ("attention_mask", "token_type_ids")) -> Path:
    """A model whose score is how often the second text says "brass", less something for each padded token."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer(WordLevel(VOCABULARY, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()  # type: ignore[assignment]  # the library's own stubs
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    tokenizer.save(str(folder / "tokenizer.json"))
    weights = np.zeros((len(VOCABULARY), labels), dtype=np.float32)
    weights[VOCABULARY["brass"]] = 1.0
    weights[VOCABULARY["[PAD]"]] = -100.0
    nodes = [helper.make_node("Gather", ["weights", "input_ids"], ["each"])]
    last = "each"
    for name in inputs:
        nodes += [
            helper.make_node("Cast", [name], [f"{name}_f"], to=TensorProto.FLOAT),
            helper.make_node("Unsqueeze", [f"{name}_f", "two"], [f"{name}_u"]),
            helper.make_node("Mul", [last, f"{name}_u"], [f"{name}_m"]),
        ]
        last = f"{name}_m"
    nodes.append(helper.make_node("ReduceSum", [last, "one"], ["logits"], keepdims=0))
    graph = helper.make_graph(
        nodes,
        "cross",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["n", "t"]) for name in ("input_ids", *inputs)],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", labels])],
        [
            numpy_helper.from_array(weights, "weights"),
            numpy_helper.from_array(np.array([1]), "one"),
            numpy_helper.from_array(np.array([2]), "two"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, folder / "model.onnx")
    return folder


@pytest.fixture(scope="module")
def cross(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("cross"))


def made(number: int, text: str) -> Passage:
    return Passage(id=str(number), text=text, source=f"{number}.txt", title="", score=1 - number / 100)


def test_each_pair_has_its_own_score_whatever_it_runs_with(cross: Path) -> None:
    reranker = Reranker(cross, threads=1)
    texts = ["brass " * (number % 7) + "lamp " * (number * 13 % 90) for number in range(60)]
    scores = reranker.scores("brass brass", texts)
    assert scores.tolist() == [number % 7 for number in range(60)], "in order, without padding and the question's words"
    assert reranker.scores("brass", []).tolist() == []


def test_long_texts_are_cut_and_the_best_of_many_read(cross: Path) -> None:
    reranker = Reranker(cross, threads=1)
    assert reranker.scores("lamp", ["lamp " * 5000 + "brass"]).tolist() == [0]
    many = [made(number, "brass " * number) for number in range(CANDIDATES + 5)]
    order = [int(one.id) for one in reranker.reorder("lamp", many, 3)]
    assert order == [*range(CANDIDATES - 1, -1, -1), *range(CANDIDATES, CANDIDATES + 5)]
    assert [int(one.id) for one in reranker.reorder("lamp", many, CANDIDATES + 5)][:2] == [24, 23]
    alike = [made(number, "lamp") for number in range(5)]
    assert reranker.reorder("lamp", alike, 3) == alike


def test_a_model_without_types_and_one_in_a_folder_of_its_own_will_do(tmp_path: Path) -> None:
    folder = write(tmp_path / "plain", inputs=("attention_mask",))
    (folder / "onnx").mkdir()
    (folder / "model.onnx").rename(folder / "onnx" / "model.onnx")
    assert Reranker(folder, threads=1).scores("lamp", ["brass", "lamp"]).tolist() == [1, 0]


def _break(folder: Path, how: str) -> Path:
    if how == "no folder":
        return folder / "nothing"
    write(folder, labels=2 if how == "two labels" else 1)
    if how == "no tokenizer":
        (folder / "tokenizer.json").unlink()
    elif how == "other inputs":
        write(folder, inputs=("attention_mask", "pixels"))
    elif how == "cut off":
        whole = (folder / "model.onnx").read_bytes()
        (folder / "model.onnx").write_bytes(whole[: len(whole) // 2])
    elif how == "broken tokenizer":
        (folder / "tokenizer.json").write_text("{}", "utf-8")
    return folder


@pytest.mark.parametrize(
    "how", ["no folder", "no tokenizer", "other inputs", "cut off", "broken tokenizer", "two labels"]
)
def test_a_broken_folder_is_refused_at_once(tmp_path: Path, how: str) -> None:
    folder = _break(tmp_path / "broken", how)
    with pytest.raises(RerankerUnavailable) as refused:
        Reranker(folder, threads=1)
    assert refused.value.fault == "user"
    assert "PHIQ_RERANKER" in refused.value.hint
    assert str(folder) in refused.value.message


def test_the_doctor_looks_at_it(settings: Callable[..., Settings], cross: Path, tmp_path: Path) -> None:
    assert models.reranker(settings()) == []
    assert [check.status for check in models.reranker(settings(reranker=str(cross)))] == ["ok"]
    with pytest.raises(RerankerUnavailable):
        models.reranker(settings(reranker=str(tmp_path)))


@pytest.mark.service
def test_searches_are_reordered_and_keep_their_cosines(
    settings: Callable[..., Settings], chroma_server: str, cross: Path, tmp_path: Path
) -> None:
    tenant = uuid.uuid4().hex
    embedder = load_embedder(EmbedderConfig(threads=1))
    plain = Store(StoreConfig(chroma_server, tenant=tenant), embedder)
    texts = ["The lamp is made of steel.", "The lamp is made of glass.", "Cats sleep on brass beds all day."]
    list(ingest(plain, "help", [LoadedFile(f"{at}.txt", f"{at}.txt", text.encode()) for at, text in enumerate(texts)]))
    before = plain.search("help", "What is the lamp made of?")
    assert before[-1].text == texts[2]

    def store(reranker: str | None) -> Any:
        return Resources(settings(chroma_url=chroma_server, reranker=reranker))

    having = store(str(cross))
    after = having.store(tenant).search("help", "What is the lamp made of?")
    assert [one.text for one in after] == [texts[2], before[0].text, before[1].text]
    assert {one.id: round(one.score, 2) for one in after} == {one.id: round(one.score, 2) for one in before}
    broken = store(str(tmp_path))
    with pytest.raises(RerankerUnavailable):
        broken.store(tenant).search("help", "lamp")
    for one in (having, broken, plain):
        one.close()
