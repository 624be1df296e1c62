"""Measure engines against each other on one model shape: many jobs at once, shared prefixes, cancel, memory.

    python -m benchmarks.engines.models FOLDER --size mid      # once; needs torch, see there
    python -m benchmarks.bench_engines FOLDER [--size mid] [--engines genai,onnx,openvino] [--llama llama-server]
        [--parts load,support,turn,memory,flat,heartbeat,cancel] [--rounds 2] [--threads 2] [--json FILE]

Each round runs every engine on every part, the next round in reverse order: what else the machine does falls on all.
Tokens are those that were generated; CPU seconds those of the process that holds the model. On a shared machine tokens
per CPU second are the figure to compare. The models' weights are random.
"""

from __future__ import annotations

import argparse
import os
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from agents.errors import Interrupted
from benchmarks.common.report import quantile, save, table
from benchmarks.engines.baselines import NAMES, Contender, start

SHAPES = ((64, 32), (512, 64))
"""Tokens of a prompt and of its answer."""
TOGETHER = (1, 2, 4, 8, 16)
JOBS, SHARED, OWN, ANSWER = 32, 400, 120, 96
"""The support mix."""
Figures = dict[str, float]


def words(seed: int, count: int) -> tuple[int, ...]:
    """Ids that every vocabulary has, other ones for every seed."""
    return tuple(int(one) for one in np.random.default_rng(seed).integers(300, 32000, count))


class Clock:
    """Seconds by the wall and of the model's process."""

    def __init__(self, engine: Contender) -> None:
        self._process = engine.process()
        self._began = (time.perf_counter(), self._cpu())

    def _cpu(self) -> float:
        times = self._process.cpu_times()
        return float(times.user + times.system)

    def figures(self, tokens: int, jobs: int) -> Figures:
        """Rates since it was made."""
        wall, cpu = time.perf_counter() - self._began[0], self._cpu() - self._began[1]
        return {
            "tokens/s": tokens / wall,
            "jobs/hour": 3600 * jobs / wall,
            "tokens/CPU s": tokens / cpu,
            "jobs/CPU hour": 3600 * jobs / cpu,
            "wall s": wall,
            "CPU s": cpu,
        }


def together(engine: Contender, prompts: list[tuple[int, ...]], tokens: int, at_once: int) -> Figures:
    """Run all, so many at once."""
    stop = threading.Event()
    clock = Clock(engine)
    with ThreadPoolExecutor(at_once) as pool:
        made = list(pool.map(lambda prompt: sum(engine.run(prompt, tokens, stop)), prompts))
    return clock.figures(sum(made), len(prompts))


def load(
    engine: Contender,
    seed: int,
    shapes: Sequence[tuple[int, ...]] = SHAPES,
    counts: Sequence[int] = TOGETHER,
) -> dict[str, Figures]:
    """Aggregate speed at 1 to 16 jobs at once; every prompt is new."""
    found = {}
    for prompt, answer in shapes:
        for count in counts:
            jobs = max(4, count) if prompt > 64 else max(8, 2 * count)
            prompts = [words(seed * 10_007 + prompt * 101 + count * 1009 + number, prompt) for number in range(jobs)]
            found[f"{prompt}+{answer}, {count} at once"] = together(engine, prompts, answer, count)
    return found


def support(engine: Contender, seed: int, jobs: int = JOBS) -> dict[str, Figures]:
    """Jobs that share a long beginning, all there from the start."""
    shared = words(seed * 7919 + 1, SHARED)
    prompts = [(*shared, *words(seed * 7919 + 2 + number, OWN)) for number in range(jobs)]
    return {f"{jobs} jobs, {SHARED} shared + {OWN} own + {ANSWER}": together(engine, prompts, ANSWER, jobs)}


def first_token(engine: Contender, prompt: tuple[int, ...], answer: int) -> float:
    """Seconds to the first token; the rest is made too."""
    began, first = time.perf_counter(), 0.0
    for _ in engine.run(prompt, answer, threading.Event()):
        first = first or time.perf_counter() - began
    return first


def turn(engine: Contender, seed: int) -> dict[str, Figures]:
    """The second turn of a conversation: what was read before should not be read again."""
    pairs = []
    for number in range(5):
        opening = words(seed * 31 + number, 512)
        one = first_token(engine, opening, 2)
        two = first_token(engine, (*opening, *words(seed * 37 + number, 32)), 2)
        pairs.append((one, two))
    ones, twos = (statistics.median(column) for column in zip(*pairs, strict=True))
    ratio = statistics.median(two / one for one, two in pairs)
    return {"512 + 32": {"first s": ones, "second s": twos, "ratio": ratio}}


def memory(engine: Contender, seed: int) -> dict[str, Figures]:
    """The model's process after one job, and the most while eight at once ran, of 576 tokens each.

    ``beyond`` is what is left without the keys and values of the tokens in use; with ``--no-prefixes`` those are all.
    """
    process = engine.process()
    together(engine, [words(seed + 1, 512)], 64, 1)
    one = process.memory_full_info().pss / 1e6
    most, over = [0.0], threading.Event()

    def look() -> None:
        while not over.wait(0.1):
            most.append(process.memory_full_info().pss / 1e6)

    looking = threading.Thread(target=look)
    looking.start()
    together(engine, [words(seed + 2 + number, 512) for number in range(8)], 64, 8)
    over.set()
    looking.join()
    used = engine.token_bytes * 576 / 1e6
    beyond = (max(most) - 8 * used) / (one - used) if used else 0.0
    return {"576 tokens each": {"1 job MB": one, "8 jobs MB": max(most), "KV a job MB": used, "beyond, ratio": beyond}}


def flat(engine: Contender, seed: int) -> dict[str, Figures]:
    """2,000 short jobs: memory after 200 and at the end."""
    process = engine.process()
    together(engine, [words(seed + number, 24) for number in range(200)], 4, 8)
    early = process.memory_info().rss
    together(engine, [words(seed + 200 + number, 24) for number in range(1800)], 4, 8)
    late = process.memory_info().rss
    return {"2,000 jobs": {"after 200 MB": early / 1e6, "at the end MB": late / 1e6, "ratio": late / early}}


def heartbeat(engine: Contender, seed: int) -> dict[str, Figures]:
    """The longest time that a thread of this process could not run while 2,000 tokens were read."""
    gaps: list[float] = []
    over = threading.Event()

    def beat() -> None:
        last = time.perf_counter()
        while not over.wait(0.01):
            now = time.perf_counter()
            gaps.append(now - last)
            last = now

    beating = threading.Thread(target=beat)
    beating.start()
    took = first_token(engine, words(seed, 2000), 1)
    over.set()
    beating.join()
    return {"2,000 tokens": {"prefill s": took, "longest gap s": max(gaps), "p99 s": quantile(gaps, 0.99)}}


def cancel(engine: Contender, seed: int) -> dict[str, Figures]:
    """All slots are taken and one run waits; one of the others is cancelled, half of the times while it is read.

    ``told``: until its caller knows. ``next``: until the one that waited has its first token, so until the slot is free
    and 16 tokens are read. ``step``: the usual time between two tokens of the others.
    """
    others = threading.Event()
    gaps: list[float] = []

    def go_on(number: int) -> None:
        try:
            while not others.is_set():
                last = 0.0
                for _ in engine.run(words(seed + number, 64), 400, others):
                    now = time.perf_counter()
                    gaps.extend([now - last] if last else [])
                    last = now
        except Interrupted:
            pass

    background = [threading.Thread(target=go_on, args=(number,)) for number in range(engine.slots - 1)]
    for thread in background:
        thread.start()
    told, after = [], []
    random = np.random.default_rng(seed)
    for number in range(30):
        stop = threading.Event()
        ends: list[float] = []
        firsts: list[float] = []

        def victim(stop: threading.Event = stop, number: int = number, ends: list[float] = ends) -> None:
            try:
                sum(engine.run(words(seed + 100 + number, 1500 if number % 2 else 64), 800, stop))
            except Interrupted:
                ends.append(time.perf_counter())

        def waiter(number: int = number, firsts: list[float] = firsts) -> None:
            tokens = engine.run(words(seed + 500 + number, 16), 2, threading.Event())
            firsts.extend(time.perf_counter() for _ in tokens)

        threads = [threading.Thread(target=victim), threading.Thread(target=waiter)]
        for thread in threads:
            thread.start()
            # The measurement: a cancel falls anywhere in a step or a prompt's reading, so nothing is waited for.
            time.sleep(float(random.uniform(0.2, 0.8)))
        began = time.perf_counter()
        stop.set()
        for thread in threads:
            thread.join()
        if ends and firsts and firsts[0] > began:  # else it was over before, or somebody else had left
            told.append(ends[0] - began)
            after.append(firsts[0] - began)
    others.set()
    for thread in background:
        thread.join()
    figures = {
        f"{what} {share}": quantile(found, point)
        for what, found in (("told s", told), ("next s", after))
        for share, point in (("p50", 0.5), ("p90", 0.9), ("worst", 1.0))
    }
    return {f"{engine.slots} slots full": {**figures, "step s p50": quantile(gaps, 0.5), "n": float(len(told))}}


def _load(shapes: str, counts: str) -> Callable[[Contender, int], dict[str, Figures]]:
    pairs = [tuple(map(int, shape.split("+"))) for shape in shapes.split(",")]
    return lambda engine, seed: load(engine, seed, pairs, [int(count) for count in counts.split(",")])


PARTS: dict[str, Callable[[Contender, int], dict[str, Figures]]] = {
    "load": load,
    "support": support,
    "turn": turn,
    "memory": memory,
    "flat": flat,
    "heartbeat": heartbeat,
    "cancel": cancel,
}
OURS = ("onnx", "openvino")
ONLY_OURS = ("heartbeat", "cancel", "flat")
"""What says nothing of others: their requests block nobody here, and they are not asked to stop."""


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", default="mid")
    parser.add_argument("--engines", default="genai,onnx,openvino")
    parser.add_argument("--parts", default="load,support,turn,memory,heartbeat,cancel")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--llama", type=Path, help="llama.cpp's server, to compare with llama4 and llama8")
    parser.add_argument("--shapes", default=",".join(f"{prompt}+{answer}" for prompt, answer in SHAPES))
    parser.add_argument("--together", default=",".join(map(str, TOGETHER)), help="jobs at once, for the part load")
    parser.add_argument("--jobs", type=int, default=JOBS, help="of the support mix")
    parser.add_argument("--no-prefixes", action="store_true", help="onnx keeps nothing of what it read before")
    parser.add_argument("--slots", type=int, default=0, help="of onnx and openvino; 0: as a worker has them")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    engines, parts = asked.engines.split(","), asked.parts.split(",")
    if unknown := {*engines} - {*NAMES} | {*parts} - {*PARTS}:
        raise SystemExit(f"there is no {', '.join(sorted(unknown))}")
    measures = {**PARTS, "load": _load(asked.shapes, asked.together)}
    measures["support"] = lambda engine, seed: support(engine, seed, asked.jobs)
    seen: dict[tuple[str, str, str], list[Figures]] = {}
    for number in range(asked.rounds):
        for name in engines if number % 2 == 0 else reversed(engines):
            engine = start(
                name,
                asked.folder / asked.size,
                asked.threads,
                asked.llama,
                0 if asked.no_prefixes else None,
                asked.slots,
            )
            try:
                for part in parts:
                    if part in ONLY_OURS and name not in OURS:
                        continue
                    for what, figures in measures[part](engine, 1 + number).items():
                        seen.setdefault((part, what, name), []).append(figures)
                        said = ", ".join(f"{head} {figure:,.2f}" for head, figure in figures.items())
                        print(f"round {number + 1}: {name}, {part}, {what}: {said}", flush=True)
            finally:
                engine.close()
    result = [
        {"part": part, "what": what, "engine": name, "runs": runs, "median": _median(runs)}
        for (part, what, name), runs in seen.items()
    ]
    where = save("bench_engines", {"size": asked.size, "threads": asked.threads, "results": result}, asked.json)
    for part in parts:
        _print(part, [row for row in result if row["part"] == part], engines)
    print(where)


def _median(runs: list[Figures]) -> Figures:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def _print(part: str, rows: list[dict[str, Any]], engines: list[str]) -> None:
    if not rows:
        return
    heads = list(rows[0]["median"])
    baseline = {row["what"]: row["median"] for row in rows if row["engine"] == engines[0]}
    compared = "tokens/CPU s" in heads and bool(baseline)
    order = list(dict.fromkeys(row["what"] for row in rows))
    lines = []
    for row in sorted(rows, key=lambda row: order.index(row["what"])):
        median = row["median"]
        times = [
            f"{median[head] / baseline[row['what']][head]:.2f}" for head in ("tokens/s", "tokens/CPU s") if compared
        ]
        lines.append([row["what"], row["engine"], *(median[head] for head in heads), *times])
    extra = [f"{head} / {engines[0]}" for head in ("tokens/s", "tokens/CPU s")] if compared else []
    print(f"\n{part}\n{table(['what', 'engine', *heads, *extra], lines)}")


if __name__ == "__main__":
    main()
