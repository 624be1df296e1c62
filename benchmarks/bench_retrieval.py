"""How well passages are found, and how long a search takes.

    python -m benchmarks.bench_retrieval DATA_FOLDER            the figures of docs/quality.md
    python -m benchmarks.bench_retrieval --latency 1000 10000   milliseconds a search, at so many passages

Both through Chroma's server and the word index's, started in a temporary folder. Passages are all distinct ones of
clapnq_dev and mtrag_un together, each a document; a hit is any passage of the right document. ClapNQ asks its
answerable questions; MTRAG-UN the last turn of each conversation, with the user's turns before it, where the set names
passages. Figures carry 95% bootstrap intervals over the questions. For the latency, vectors are random and of unit
length and texts are of random words: only their number matters there.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from knowledge.embed import EmbedderConfig, load_embedder
from knowledge.split import Split
from knowledge.store import Store, StoreConfig
from knowledge.sync import LoadedFile, ingest
from knowledge.types import Passage
from workers.connections import chroma_url, words_url
from workers.settings import Settings
from workers.stack import Stack

SAMPLES = 2000
SEARCHES = 200
Question = tuple[str, tuple[str, ...], frozenset[str]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path, nargs="?")
    parser.add_argument("--limit", type=int, help="only so many questions of each set")
    parser.add_argument("--latency", type=int, nargs="+", default=[], metavar="PASSAGES")
    arguments = parser.parse_args()
    with servers() as open_store:
        if arguments.data:
            quality(arguments.data, arguments.limit, open_store())
        for passages in arguments.latency:
            latency(passages, open_store())


@contextmanager
def servers() -> Iterator[Callable[[], Store]]:
    """Chroma and the word index, ended by their ids afterwards."""
    embedder = load_embedder(EmbedderConfig())
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder))
        with Stack(settings, parts=("chroma", "words")):
            stores: list[Store] = []

            def make() -> Store:
                config = StoreConfig(url=chroma_url(settings), tenant=str(len(stores)), words=words_url(settings))
                stores.append(Store(config, embedder))
                return stores[-1]

            try:
                yield make
            finally:
                for store in stores:
                    store.close()


def quality(data: Path, limit: int | None, store: Store) -> None:
    documents, clapnq, mtrag = load(data)
    files = [LoadedFile(key, f"{title or key}.txt", text.encode()) for key, (title, text) in documents.items()]
    started = time.perf_counter()
    failed = [report.source for report in ingest(store, "all", files) if report.status == "failed"]
    seconds = time.perf_counter() - started
    print(f"{len(documents)} passages in {seconds:.0f} s, {len(failed)} failed")
    for name, questions in (("ClapNQ", clapnq), ("MTRAG-UN last turn", mtrag)):
        places = []
        for query, before, right in questions[:limit]:
            found = store.find("all", query, 10, before=before).passages
            places.append(next((place for place, one in enumerate(found, 1) if one.source in right), 0))
        print(f"{name}, {len(places)} questions")
        print(f"  hit@1 {interval([place == 1 for place in places])}")
        print(f"  hit@5 {interval([0 < place <= 5 for place in places])}")
        print(f"  MRR   {interval([1 / place if place else 0.0 for place in places])}")


def load(data: Path) -> tuple[dict[str, tuple[str, str]], list[Question], list[Question]]:
    """Documents by key (title, text), and the questions of both sets."""
    documents: dict[str, tuple[str, str]] = {}

    def key(title: str, text: str) -> str:
        made = hashlib.sha256(text.encode()).hexdigest()[:16]
        documents.setdefault(made, (title, text))
        return made

    clapnq: list[Question] = []
    for one in records(data / "clapnq_dev.jsonl"):
        right = frozenset({key(one["title"], one["passage"])})
        if one["answerable"]:
            clapnq.append((one["question"], (), right))
    mtrag: list[Question] = []
    for one in records(data / "mtrag_un.jsonl"):
        right = frozenset(key("", text) for each in one["contexts"] if (text := each["text"].strip()))
        users = [turn["text"] for turn in one["input"] if turn["speaker"] == "user"]
        if right:
            mtrag.append((users[-1], tuple(users[:-1]), right))
    return documents, clapnq, mtrag


def records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def interval(values: Sequence[float]) -> str:
    """A mean with its 95% bootstrap interval."""
    array = np.asarray(values, dtype=float)
    drawn = np.random.default_rng(7).choice(array, (SAMPLES, len(array))).mean(axis=1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return f"{array.mean():.3f} [{low:.3f}, {high:.3f}]"


def latency(passages: int, store: Store) -> None:
    """p50 and p95 of a search as a job makes it: embedding, both indexes, fusion, neighbours."""
    rng = np.random.default_rng(7)
    words = np.array([f"w{number}" for number in range(20_000)])
    # As in a language: few words are in most texts.
    shares = 1 / np.arange(1, len(words) + 1)
    shares /= shares.sum()
    collection = store.create("latency")
    for at in range(0, passages, 1000):
        number = min(1000, passages - at)
        vectors = rng.standard_normal((number, store.embedder.dimensions)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        texts = [" ".join(rng.choice(words, 120, p=shares)) + "." for _ in range(number)]
        collection.put([split(at + place, text) for place, text in enumerate(texts)], vectors, {})
    queries = [" ".join(rng.choice(words, 8, p=shares)) for _ in range(SEARCHES)]
    for query in queries[:10]:
        store.find("latency", query)
    taken = []
    for query in queries:
        started = time.perf_counter()
        notes = store.find("latency", query).notes
        taken.append(1000 * (time.perf_counter() - started))
        if notes:
            raise SystemExit(notes[0])
    p50, p95 = np.percentile(taken, [50, 95])
    print(f"{passages} passages: p50 {p50:.0f} ms, p95 {p95:.0f} ms ({SEARCHES} searches, one after the other)")


def split(number: int, text: str) -> Split:
    """A passage that is a document by itself."""
    source = f"{number}.txt"
    passage = Passage(id=f"{number:032x}", text=text, source=source, title="", end=len(text), language="en")
    return Split(passage, text, 0, 0)


if __name__ == "__main__":
    main()
