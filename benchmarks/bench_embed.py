"""Measure the embedder: build, speed, and what int8 loses in vectors and in retrieval.

    python benchmarks/bench_embed.py DATA_FOLDER [--texts 400] [--threads 2] [--reference]

DATA_FOLDER holds clapnq_dev.jsonl and mtrag_un.jsonl (questions with their passages). ``--reference`` also runs
sentence-transformers over the same texts, where it is installed.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from knowledge.embed import EmbedderConfig, load_embedder
from knowledge.embed.weights import find_weights

ROWS = 1000  # bootstrap samples


def read(folder: Path) -> tuple[list[str], list[tuple[str, int]]]:
    """All distinct passages, and ClapNQ's answerable questions with the row of their passage."""
    rows: dict[str, int] = {}
    questions = []
    for line in (folder / "clapnq_dev.jsonl").read_text(encoding="utf-8").splitlines():
        record = json.loads(line)
        row = rows.setdefault(f"{record['title']}\n{record['passage']}", len(rows))
        if record["answerable"]:
            questions.append((record["question"], row))
    for line in (folder / "mtrag_un.jsonl").read_text(encoding="utf-8").splitlines():
        for context in json.loads(line)["contexts"]:
            text = f"{context.get('title') or ''}\n{context['text'].strip()}".strip()
            rows.setdefault(text, len(rows))
    return list(rows), questions


def hits(passages: np.ndarray, questions: np.ndarray, right: list[int]) -> dict[str, str]:
    """hit@1, hit@5 and MRR with 95% bootstrap intervals."""
    scores = questions @ passages.T
    own = scores[np.arange(len(right)), right][:, None]
    ranks = (scores > own).sum(axis=1) + 1
    dice = np.random.default_rng(7)
    samples = dice.integers(0, len(ranks), (ROWS, len(ranks)))
    out = {}
    for name, values in (("hit@1", ranks <= 1), ("hit@5", ranks <= 5), ("MRR", 1 / ranks)):
        low, high = np.percentile(values[samples].mean(axis=1), [2.5, 97.5])
        out[name] = f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--texts", type=int, default=400, help="passages to embed for the speed (0: all)")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--reference", action="store_true", help="also run sentence-transformers")
    arguments = parser.parse_args()
    passages, questions = read(arguments.data)
    print(f"{len(passages)} distinct passages, {len(questions)} answerable questions")
    asked = [question for question, _ in questions]
    right = [row for _, row in questions]
    some = passages[: arguments.texts or None]
    vectors: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        for precision in ("f32", "int8"):
            config = EmbedderConfig(precision=precision, cache_dir=Path(folder), threads=arguments.threads)
            started = time.perf_counter()
            embedder = load_embedder(config)
            built = time.perf_counter() - started
            size = sum(path.stat().st_size for path in Path(folder).glob(f"*-{precision}/*"))
            embedder.embed_array(some[:16])
            started, cpu = time.perf_counter(), time.process_time()
            embedder.embed_array(some)
            took, cpu = time.perf_counter() - started, time.process_time() - cpu
            print(
                f"{precision}: built and loaded in {built:.1f} s, {size / 1e6:.0f} MB; "
                f"{len(some) / took:.1f} passages/s, {len(some) / cpu:.1f} per CPU second"
            )
            queries = np.stack([embedder.embed_array([question])[0] for question in asked])
            found = embedder.embed_array(passages)
            vectors[precision] = (found, queries)
            print(f"  {hits(found, queries, right)}")
            alone = np.stack([embedder.embed_array([text])[0] for text in some[:50]])
            cosine = (alone * found[:50]).sum(axis=1)
            print(f"  cosine of a text alone and in a batch: mean {cosine.mean():.5f}, least {cosine.min():.5f}")
    cosine = (vectors["f32"][0] * vectors["int8"][0]).sum(axis=1)
    print(f"int8 against f32: cosine mean {cosine.mean():.5f}, least {cosine.min():.5f}")
    mixed = hits(vectors["f32"][0], vectors["int8"][1], right)
    print(f"int8 questions over an f32 index: {mixed}")
    if arguments.reference:
        from sentence_transformers import SentenceTransformer

        model = SentenceTransformer(str(find_weights(EmbedderConfig()).model.parent), device="cpu")
        model.encode(some[:16])
        started, cpu = time.perf_counter(), time.process_time()
        found = model.encode(some, normalize_embeddings=True, convert_to_numpy=True)
        took, cpu = time.perf_counter() - started, time.process_time() - cpu
        cosine = (found * vectors["f32"][0][: len(some)]).sum(axis=1)
        print(f"sentence-transformers: {len(some) / took:.1f} passages/s, {len(some) / cpu:.1f} per CPU second")
        print(f"  f32 against it: cosine mean {cosine.mean():.7f}, least {cosine.min():.7f}")


if __name__ == "__main__":
    main()
