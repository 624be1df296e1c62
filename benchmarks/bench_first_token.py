"""Measure the time to the first token of an ONNX job through queue, worker and stream against the engine alone.

    python benchmarks/bench_first_token.py [--model FOLDER] [--rounds 40] [--words 100]

Both ways run in one go and take turns on the same model, prompt and machine, each with a model process of its own that
is loaded before the clock starts. FOLDER is any ONNX Runtime GenAI folder; without one it is the tests' tiny model,
whose own time is next to nothing: the difference is then the price of the queue, and the ratio its worst case.
Starts its own Redis and worker in a temporary folder.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from pathlib import Path

from workers.engines.base import EngineURI
from workers.engines.onnx import OnnxEngine
from workers.jobs import GenerationOptions, parse_job
from workers.service import Service
from workers.settings import Settings
from workers.stack import Stack

TINY = Path(__file__).resolve().parents[1] / "tests" / "assets" / "tiny-phi3"
TOKENS = 16


def directly(engine: OnnxEngine, prompt: str) -> float:
    """Seconds from the call to the first text of the engine in this process."""
    model = engine.chat_model(GenerationOptions(max_tokens=TOKENS), threading.Event())
    began, first = time.perf_counter(), 0.0
    for chunk in model.stream(prompt):
        if chunk.content and not first:
            first = time.perf_counter() - began
    return first


def by_job(service: Service, uri: str, prompt: str) -> float:
    """Seconds from submission to the first text a reader of the job's stream sees."""
    job = {"kind": "complete", "model": uri, "input": {"prompt": prompt}, "options": {"max_tokens": TOKENS}}
    began, first = time.perf_counter(), 0.0
    record = service.submit(parse_job(job))
    for event in service.events(record.id, timeout=60):
        if event.text and not first:
            first = time.perf_counter() - began
    if not first:
        raise SystemExit(f"the job gave no text: {service.get(record.id).error}")
    return first


def spread(seconds: list[float]) -> str:
    """Median and the middle nine tenths, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=20)
    low, middle, high = (1000 * value for value in (cuts[0], statistics.median(seconds), cuts[-1]))
    return f"median {middle:7.1f} ms   5 to 95 %: {low:.1f} to {high:.1f} ms"


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=TINY)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--words", type=int, default=100, help="of the prompt")
    given = parser.parse_args()
    folder = given.model.resolve()
    uri = EngineURI("onnx", str(folder))
    with tempfile.TemporaryDirectory(prefix="phiq-bench-") as temporary:
        settings = Settings(data_dir=Path(temporary), slots=1)
        with Stack(settings, parts=["redis", "worker"]):
            service = Service.connect(settings)
            engine = OnnxEngine.from_settings(uri, settings)
            alone: list[float] = []
            queued: list[float] = []
            try:
                for number in range(-3, given.rounds):
                    # Another prompt each time: nothing may be answered from what was kept of the last.
                    prompt = f"{number} " + "some words of a prompt " * (given.words // 5)
                    pair = directly(engine, prompt), by_job(service, str(uri), prompt)
                    if number >= 0:  # the first rounds load and warm up
                        alone.append(pair[0])
                        queued.append(pair[1])
            finally:
                engine.close()
                service.close()
    print(f"{folder.name}, {given.words} words, {given.rounds} rounds, time to first text")
    print(f"  engine alone        {spread(alone)}")
    print(f"  job, as a reader    {spread(queued)}")
    extra = statistics.median(job - call for call, job in zip(alone, queued, strict=True))
    ratio = statistics.median(queued) / statistics.median(alone)
    print(f"  ratio of medians    {ratio:.2f}   median of the differences {extra * 1000:.1f} ms")


if __name__ == "__main__":
    main()
