"""How fast documents are ingested, what that costs beside embedding, and how fast sentence-transformers embeds them.

    python -m benchmarks.bench_ingest DATA_FOLDER [--documents 40] [--rounds 3] [--reference PYTHON]

Documents are Markdown files, ten passages of clapnq_dev and mtrag_un each. In each round, in turn: phiq ingests them
into a new collection (loading, splitting, languages, embedding; Chroma's server and the word index's in a temporary
folder); its embedder alone embeds the same passages; sentence-transformers does, with the same weights, in a process
of the Python that ``--reference`` names (this one where none is named). The order of the last two changes from round
to round. The ratio is taken within each round, since other work on the machine slows both.
"""

from __future__ import annotations

import argparse
import functools
import json
import os
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from unittest import mock

from benchmarks.bench_retrieval import load, servers
from benchmarks.common.report import save, table
from knowledge.embed import EmbedderConfig
from knowledge.embed.weights import find_weights
from knowledge.store import Store
from knowledge.sync import LoadedFile, ingest

A_DOCUMENT = 10
_REFERENCE = """
import json, sys, time
try:
    from sentence_transformers import SentenceTransformer
except ImportError as error:
    print(json.dumps({"missing": str(error)}))
    sys.exit()
model = SentenceTransformer(sys.argv[1], device="cpu")
model.encode(["warm up"] * 16, show_progress_bar=False)
print(json.dumps({"ready": True}), flush=True)
for line in sys.stdin:
    texts = json.loads(line)
    started, cpu = time.perf_counter(), time.process_time()
    model.encode(texts, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False)
    print(json.dumps({"wall": time.perf_counter() - started, "cpu": time.process_time() - cpu}), flush=True)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--documents", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--reference", default=sys.executable, help="a Python that has sentence-transformers")
    parser.add_argument("--out", type=Path, help="where to write the figures as JSON")
    arguments = parser.parse_args()
    found = run(documents(arguments.data)[: arguments.documents], arguments.rounds, arguments.reference)
    print(printed(found))
    print(f"written to {save('ingest', found, arguments.out)}")


def documents(data: Path) -> list[LoadedFile]:
    """The passages of the sets, ten to a Markdown file."""
    passages = list(load(data)[0].values())
    made = []
    for at in range(0, len(passages), A_DOCUMENT):
        parts = [
            f"## {title or 'Notes'} {at + n}\n\n{text}" for n, (title, text) in enumerate(passages[at:][:A_DOCUMENT])
        ]
        made.append(LoadedFile(f"set/{at}.md", f"{at}.md", "\n\n".join(parts).encode()))
    return made


def run(files: Sequence[LoadedFile], rounds: int, reference: str) -> dict[str, Any]:
    """Measure; see the module."""
    embedded: list[str] = []
    spent: Counter[str] = Counter()
    with servers() as make, Reference(reference) as other, ExitStack() as watching:
        store = make()
        watch(store, embedded, spent, watching)
        ingest_all(store, "warm", files[:1])
        figures: list[dict[str, float]] = []
        for number in range(rounds):
            embedded.clear()
            spent.clear()
            started = time.perf_counter()
            passages = ingest_all(store, f"round {number}", files)
            took = time.perf_counter() - started
            row = {"ingest": passages / took, "passages": passages, "seconds": took}
            row |= {f"share {part}": seconds / took for part, seconds in spent.items()}
            texts = list(embedded)
            turns: list[Callable[[], dict[str, float]]] = [
                lambda texts=texts: alone(store, texts),  # type: ignore[misc]
                lambda texts=texts: other.embed(texts),  # type: ignore[misc]
            ]
            for turn in turns if number % 2 == 0 else reversed(turns):
                row |= turn()
            figures.append(row)
    return {"rounds": figures, "missing": other.missing}


def ingest_all(store: Store, collection: str, files: Sequence[LoadedFile]) -> int:
    reports = list(ingest(store, collection, files))
    if failed := [report.source for report in reports if report.status == "failed"]:
        raise SystemExit(f"not ingested: {', '.join(failed)}")
    return sum(report.passages for report in reports)


def watch(store: Store, embedded: list[str], spent: Counter[str], watching: ExitStack) -> None:
    """Gather the seconds that an ingest spends in each part, and the texts that it embeds, until ``watching`` ends."""
    from chromadb.api.models.Collection import Collection

    from knowledge.words.client import Words

    def timed(owner: Any, name: str, part: str) -> None:
        original = getattr(owner, name)

        @functools.wraps(original)
        def call(*given: Any, **named: Any) -> Any:
            if part == "embedding":
                embedded.extend(given[0])
            started = time.perf_counter()
            try:
                return original(*given, **named)
            finally:
                spent[part] += time.perf_counter() - started

        watching.enter_context(mock.patch.object(owner, name, call))

    timed(store.embedder, "embed_array", "embedding")
    for name in ("upsert", "get", "update", "delete"):
        timed(Collection, name, "Chroma")
    for name in ("put", "remove", "mark"):
        timed(Words, name, "words")


def alone(store: Store, texts: list[str]) -> dict[str, float]:
    """phiq's embedder over all texts at once."""
    started, cpu = time.perf_counter(), time.process_time()
    store.embedder.embed_array(texts)
    took, cpu = time.perf_counter() - started, time.process_time() - cpu
    return {"embedder": len(texts) / took, "embedder per CPU second": len(texts) / cpu}


class Reference:
    """sentence-transformers in a process of its own, so that its threads and ours are not in one."""

    def __init__(self, python: str) -> None:
        folder = str(find_weights(EmbedderConfig()).model.parent)
        # Of its own environment only: ours may hold other versions of what it imports.
        surroundings = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        self._process = subprocess.Popen(
            [python, "-c", _REFERENCE, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**surroundings, "HF_HUB_OFFLINE": "1"},
        )
        assert self._process.stdout is not None
        self._answers = self._process.stdout
        said = json.loads(self._answers.readline() or '{"missing": "it ended at once"}')
        self.missing = str(said.get("missing", ""))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._answers.close()

    def embed(self, texts: list[str]) -> dict[str, float]:
        """Its speed over all texts at once; nothing where it is missing."""
        if self.missing:
            return {}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(texts) + "\n")
        self._process.stdin.flush()
        took = json.loads(self._answers.readline())
        return {
            "sentence-transformers": len(texts) / took["wall"],
            "sentence-transformers per CPU second": len(texts) / took["cpu"],
        }


def printed(found: dict[str, Any]) -> str:
    """The figures as a table: median, least and most of the rounds."""
    rounds = found["rounds"]
    rows: list[tuple[str, Any, Any, Any]] = []

    def row(name: str, values: Sequence[float]) -> None:
        rows.append((name, statistics.median(values), min(values), max(values)))

    row("phiq ingest, passages/s", [one["ingest"] for one in rounds])
    row("phiq's embedder alone, passages/s", [one["embedder"] for one in rounds])
    row("phiq's embedder, passages per CPU second", [one["embedder per CPU second"] for one in rounds])
    for part in ("embedding", "Chroma", "words"):
        row(f"share of the ingest: {part}", [one.get(f"share {part}", 0.0) for one in rounds])
    if not found["missing"]:
        name = "sentence-transformers"
        row(f"{name}, passages/s", [one[name] for one in rounds])
        row(f"{name}, passages per CPU second", [one[f"{name} per CPU second"] for one in rounds])
        row(f"phiq ingest : {name}", [one["ingest"] / one[name] for one in rounds])
        row(f"phiq's embedder : {name}", [one["embedder"] / one[name] for one in rounds])
    text = table(("", "median", "least", "most"), rows)
    head = f"{rounds[0]['passages']:.0f} passages, {len(rounds)} rounds, load {os.getloadavg()[0]:.1f}"
    missing = f"\nsentence-transformers was not measured: {found['missing']}" if found["missing"] else ""
    return f"{head}\n{text}{missing}"


if __name__ == "__main__":
    main()
