"""Which jobs are submitted: a plan made from the seed alone."""

from __future__ import annotations

import math
import random
from pathlib import Path
from urllib.parse import quote

from benchmarks.chaos.options import Options
from benchmarks.chaos.transcript import Planned

TINY = Path(__file__).resolve().parents[2] / "tests" / "assets" / "tiny-phi3"
COLLECTION = "chaos"
TENANTS = ("ash", "birch", "cedar", "elm", "fir")
_RATES = (4, 6, 8, 10)
"""Tokens a second of one stream: what Phi-3.5-mini gives each of several jobs on a few cores."""
_WORDS = "river stone harbour lantern meadow copper window thunder paper garden signal winter orchard velvet".split()  # noqa: SIM905
_SORTS = {"echo": 48, "words": 26, "chat": 13, "onnx": 5, "search": 5, "ingest": 3}
"""Of a hundred jobs, about so many."""


def plan(options: Options, witness: Path) -> list[Planned]:
    """The jobs in the order they arrive, spread over the duration but for its last twentieth."""
    rng = random.Random(options.seed)
    weights = dict(_SORTS)
    if not options.onnx:
        weights.pop("onnx")
    if not options.documents:
        weights.pop("search")
        weights.pop("ingest")
    sorts = rng.choices(list(weights), list(weights.values()), k=options.jobs)
    arrivals = sorted(rng.uniform(0, 0.95 * options.duration) for _ in sorts)
    return [
        _planned(number, sort, at, options, witness, rng)
        for number, (sort, at) in enumerate(zip(sorts, arrivals, strict=True))
    ]


def _planned(number: int, sort: str, arrives: float, options: Options, witness: Path, rng: random.Random) -> Planned:
    marker = f"m{number:05}"
    tenant = rng.choice(TENANTS)
    seconds = math.exp(rng.uniform(math.log(options.shortest), math.log(options.longest)))
    rate = rng.choice(_RATES)
    count = max(2, round(seconds * rate))
    text = " ".join([marker, *rng.choices(_WORDS, k=count - 1)])
    engine = f"?rate={rate}&witness={quote(str(witness), safe='/')}"
    document: tuple[str, str] | None = None
    expected: str | None = text
    match sort:
        case "echo":
            job = {"kind": "complete", "model": f"fake:echo{engine}", "input": {"prompt": text}}
        case "words":
            # Its text is not in its prompt: the witness file alone says what it should be.
            model = f"fake:words{engine}&count={count}&seed={number}"
            job, expected = {"kind": "complete", "model": model, "input": {"prompt": f"{marker} go on"}}, None
        case "chat":
            turns = [{"role": "user", "content": text}]
            job = {
                "kind": "chat",
                "model": f"fake:echo{engine}",
                "input": {"messages": turns, "collection": None},
            }
        case "onnx":
            # As many tokens as a tiny model's session holds: some seconds of it.
            job = {"kind": "complete", "model": f"onnx:{TINY}", "input": {"prompt": text[:300]}}
            job["options"], expected = {"max_tokens": rng.choice((1500, 2500, 3500))}, None
        case "search":
            query = {"query": "the harbour's lantern", "collection": COLLECTION, "top_k": 3}
            job, expected = {"kind": "search", "input": query}, None
        case _:
            job, expected = {"kind": "ingest", "input": {"collection": COLLECTION, "files": []}}, None
            document = (f"{marker}.md", f"# Notes of {marker}\n\nThe keeper of {marker} wrote: {text}.\n")
    job["tenant"] = tenant
    job["lane"] = "batch" if rng.random() < 0.25 else "interactive"
    job["metadata"] = {"marker": marker}
    job_id = f"{rng.getrandbits(128):032x}" if rng.random() < 0.3 else ""
    if not job_id:
        job["idempotency_key"] = f"{options.seed}-{marker}"
    streams = sort in ("echo", "words", "chat", "onnx")
    cancelled = streams and rng.random() < 0.04
    cuts = frozenset(rng.sample(range(1, 20), k=rng.choice((1, 1, 2, 4)))) if rng.random() < 0.3 else frozenset()
    return Planned(
        number=number,
        marker=marker,
        sort=sort,
        job=job,
        job_id=job_id,
        arrives=arrives,
        expected=expected,
        witnessed=sort in ("echo", "words", "chat"),
        document=document,
        cancel_after=rng.choice((0, 0, 2, 6)) if cancelled else None,
        resubmit_after=rng.choice((0, 1, 4)) if rng.random() < 0.06 else None,
        cuts=cuts if "streams" in options.faults else frozenset(),
    )
