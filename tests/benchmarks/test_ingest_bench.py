"""The measurement of ingest runs, small, and compares the same passages on both sides."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.service

STUB = """
import os, sys, time
class SentenceTransformer:
    def __init__(self, folder, device):
        assert os.path.exists(os.path.join(folder, "model.safetensors")) and device == "cpu"
    def encode(self, texts, **options):
        time.sleep(0.01 * len(texts))
        with open(os.environ["SEEN"], "a") as seen:
            seen.write(f"{len(texts)} ")
"""


def test_given_both_sides_then_they_embed_the_same(
    tmp_path: Path, redis_binary: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks import bench_ingest

    (tmp_path / "sentence_transformers.py").write_text(STUB, "utf-8")
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path} exec {sys.executable} "$@"\n', "utf-8")
    python.chmod(0o700)
    monkeypatch.setenv("SEEN", str(tmp_path / "seen"))
    records = [
        {"title": f"Lamp {at}", "passage": f"Lamp number {at} costs {at} euros.", "answerable": False, "question": "?"}
        for at in range(14)
    ]
    (tmp_path / "clapnq_dev.jsonl").write_text("\n".join(map(json.dumps, records)), "utf-8")
    (tmp_path / "mtrag_un.jsonl").write_text("", "utf-8")
    files = bench_ingest.documents(tmp_path)
    assert len(files) == 2
    found = bench_ingest.run(files, 1, str(python))
    (figures,) = found["rounds"]
    assert figures["passages"] == 14
    assert (tmp_path / "seen").read_text() == "16 14 "
    assert 0 < figures["sentence-transformers"] <= 100
    assert 0 < figures["share embedding"] + figures["share Chroma"] + figures["share words"] < 1
    assert "phiq ingest : sentence-transformers" in bench_ingest.printed(found)
    found["missing"] = "it is not here"
    assert "was not measured: it is not here" in bench_ingest.printed(found)
