"""Which way an ONNX folder is run: our loop where it can drive the graph, else GenAI's engine, else GenAI alone."""

from __future__ import annotations

from pathlib import Path

from workers.engines.host.backend import Backend
from workers.engines.host.backends.genai import GenAI
from workers.engines.host.backends.genai_engine import GenAIEngine, batches
from workers.engines.host.backends.onnx.graph import Graph, NotDrivable
from workers.engines.host.backends.onnx.guides import Guides
from workers.engines.host.backends.onnx.loop import Loop
from workers.engines.host.backends.onnx.prefixes import Prefixes
from workers.engines.host.backends.onnx.words import Words
from workers.engines.host.protocol import LoadSpec


def load(spec: LoadSpec) -> Backend:
    """Load a folder.

    Options: ``kv_bytes`` for the keys and values of all rows together (default: every slot a whole session),
    ``prefix_bytes`` for those kept of texts read before (default: none).
    """
    try:
        if spec.provider != "cpu":
            raise NotDrivable(f"on {spec.provider} the library's own loop runs")
        if any(Path(spec.folder).glob("*.onnx_adapter")):
            raise NotDrivable("adapters are put on by the library")
        return _loop(spec)
    except NotDrivable as reason:
        if batches(spec.folder):
            return GenAIEngine(spec)
        backend = GenAI(spec)
        backend.note = f"one run at a time: {reason}"
        return backend


def _loop(spec: LoadSpec) -> Loop:
    words = Words(spec.folder)
    graph = Graph(spec, spec.slots, spec.max_length)
    token = graph.shape.token_bytes
    budget = int(spec.options.get("kv_bytes", token * spec.slots * spec.max_length)) // token
    prefixes = Prefixes(int(spec.options.get("prefix_bytes", 0)), token)
    return Loop(graph, words, spec.slots, budget, prefixes, Guides(spec.folder, graph.shape.vocabulary, words.ends))
