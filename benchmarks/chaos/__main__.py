"""``python -m benchmarks.chaos``, which ``make chaos`` calls."""

from __future__ import annotations

import argparse
import dataclasses
import signal
import sys
from pathlib import Path

from rich.console import Console

from benchmarks.chaos.options import FAULTS, Options
from benchmarks.chaos.report import Outcome, last_line, save, show
from benchmarks.chaos.run import run


def main() -> int:
    """Run, print, and answer with the exit code: 1 when a job suffered or the run could not show it."""
    given = _arguments()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    console = Console()
    outcomes: list[Outcome] = []
    try:
        for options in _runs(given):
            outcomes.append(run(options, console))
            show(outcomes[-1], console)
    except KeyboardInterrupt:
        console.print("interrupted: nothing is left running, and nothing was counted")
        return 130
    if given.out:
        save(outcomes, given.out)
        console.print(f"written to {given.out}")
    print(last_line(outcomes))
    return 0 if all(outcome.good for outcome in outcomes) else 1


def _runs(given: argparse.Namespace) -> list[Options]:
    """One run, or one for each fault alone."""
    alone = given.fault == "each"
    options = Options(
        jobs=given.jobs or (200 if alone else Options.jobs),
        duration=given.duration or (45.0 if alone else Options.duration),
        aof=given.aof,
        seed=given.seed,
        workers=given.workers,
        lease=given.lease,
        shortest=given.shortest,
        longest=given.longest,
        onnx=not given.no_onnx,
        documents=not given.no_documents,
        patience=given.patience,
        out=given.out,
        keep=given.keep,
    )
    if alone:
        return [dataclasses.replace(options, faults=(kind,)) for kind in FAULTS]
    chosen = tuple(FAULTS) if given.fault == "all" else tuple(given.fault.split(",")) if given.fault != "none" else ()
    return [dataclasses.replace(options, faults=chosen)]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--jobs", type=int, help="how many; 2000, or 200 for each fault alone")
    parser.add_argument("--duration", type=float, help="seconds of faults; 300, or 45 for each fault alone")
    parser.add_argument(
        "--fault", default="all", help=f"all, each (alone, in turn), none, or some of {','.join(FAULTS)}"
    )
    parser.add_argument("--aof", choices=("always", "everysec"), default="always", help="Redis' appendfsync")
    parser.add_argument("--seed", type=int, default=1, help="of everything random")
    parser.add_argument("--workers", type=int, default=Options.workers)
    parser.add_argument("--lease", type=float, default=Options.lease, help="PHIQ_LEASE_SECONDS")
    parser.add_argument("--shortest", type=float, default=Options.shortest, help="seconds a job streams at least")
    parser.add_argument("--longest", type=float, default=Options.longest, help="seconds a job streams at most")
    parser.add_argument("--patience", type=float, default=Options.patience, help="silence before jobs count as lost")
    parser.add_argument("--no-onnx", action="store_true", help="leave out the jobs on the tiny ONNX model")
    parser.add_argument("--no-documents", action="store_true", help="leave out Chroma and the jobs that need it")
    parser.add_argument("--out", type=Path, help="write the run as JSON to this file")
    parser.add_argument("--keep", action="store_true", help="keep the folder with logs and data")
    given = parser.parse_args()
    unknown = set(given.fault.split(",")) - {*FAULTS, "all", "each", "none"}
    if unknown:
        parser.error(f"there is no fault {', '.join(sorted(unknown))}; there are {', '.join(FAULTS)}")
    return given


if __name__ == "__main__":
    sys.exit(main())
