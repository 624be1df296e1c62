"""One run from the first process to the last figure."""

from __future__ import annotations

import shutil
import signal
import tempfile
import time
from collections import Counter
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmarks.chaos import faults, mix, timing, witness
from benchmarks.chaos.clients import Clients
from benchmarks.chaos.documents import look_up
from benchmarks.chaos.machine import Machine
from benchmarks.chaos.options import Options
from benchmarks.chaos.report import Outcome
from benchmarks.chaos.transcript import Transcript

_LOOK = 0.25


def run(options: Options, console: Console) -> Outcome:
    """Start everything, break it, count, and end everything again, also when it is interrupted.

    Raises:
        SystemExit: a part did not come up, or nothing came back after the faults.
    """
    folder = Path(tempfile.mkdtemp(prefix="phiq-chaos-"))
    machine = Machine(options, folder)
    testimony = folder / "runs.witness"
    plan = mix.plan(options, testimony)
    script = faults.Script(machine, faults.plan(options))
    began = time.monotonic()
    clients: Clients | None = None
    try:
        with _progress(console) as progress:
            task = progress.add_task("starting", total=options.jobs)
            machine.start()
            clients = Clients(options, machine.settings, machine.settings_by_proxy, plan)
            if options.documents:
                clients.first_document()
            _break(options, machine, script, clients, progress, task)
            _revive(options, clients, progress, task)
            _count(options, machine, clients, progress, task)
        runs = witness.read_runs(testimony)
    finally:
        # A second Ctrl-C must not leave half of the processes behind.
        before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGTERM)}
        script.stop()
        if clients is not None:
            clients.give_up()
        machine.stop()
        if clients is not None:
            clients.join(5.0)
            clients.close()
        if options.keep:
            console.print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
        for number, handler in before.items():
            signal.signal(number, handler)
    outcome = Outcome(
        options=options,
        jobs=clients.transcripts,
        runs=Counter({marker: len(found) for marker, found in runs.items()}),
        violations=[
            violation for job in clients.transcripts for violation in witness.judge(job, runs.get(job.plan.marker, []))
        ],
        recoveries=timing.recoveries(script.struck, clients.transcripts, options.lease),
        struck=script.struck,
        fell=script.fell,
        skipped=script.skipped,
        cuts=clients.cut,
        seconds=time.monotonic() - began,
    )
    outcome.problems = [*outcome.failings(), *(f"a client broke: {error}" for error in clients.errors)]
    if script.error is not None:
        outcome.problems.append(f"the script of faults broke: {script.error!r}")
    return outcome


def _break(
    options: Options, machine: Machine, script: faults.Script, clients: Clients, progress: Progress, task: TaskID
) -> None:
    """Jobs arrive and faults happen; returns when all jobs ended, or nothing was heard of any for too long."""
    began = time.monotonic()
    clients.start()
    script.start()
    calm = False
    while clients.running():
        time.sleep(_LOOK)
        past = time.monotonic() - began
        if not calm and past > options.duration:
            calm = True
            script.finish()
            for part in machine.parts.values():
                machine.wait_healthy(part)
            clients.stirred = time.monotonic()
        what = f"faults {len(script.struck)}" if not calm else "calm"
        progress.update(task, completed=clients.done, description=what)
        if calm and time.monotonic() - clients.stirred > options.patience:
            clients.abandon()
    if not calm:
        # Few jobs, or short ones: the faults that are still to come would hit nobody.
        script.drop_the_rest()
        script.finish()
    for part in machine.parts.values():
        machine.wait_healthy(part)


def _revive(options: Options, clients: Clients, progress: Progress, task: TaskID) -> None:
    """Have dead jobs replayed: their deaths were ours, not theirs."""
    dead = [job for job in clients.transcripts if job.end is not None and job.end.state == "dead"]
    if not dead:
        return
    progress.update(task, description=f"replaying {len(dead)}", completed=0, total=len(dead))
    clients.done = 0
    clients.replay(dead)
    clients.stirred = time.monotonic()
    while clients.running():
        time.sleep(_LOOK)
        progress.update(task, completed=clients.done)
        if time.monotonic() - clients.stirred > options.patience:
            clients.abandon()


def _count(options: Options, machine: Machine, clients: Clients, progress: Progress, task: TaskID) -> None:
    """Read every record and stream once more, after one more death of the stores: what counts is what is kept."""
    for name in ("redis", "chroma"):
        if name in options.faults and name in machine.parts:
            part = machine.parts[name]
            part.kill()
            part.bury()
            part.start()
            machine.wait_healthy(part)
    if options.documents:
        look_up(machine.settings.chroma_url or "", clients.transcripts)
    jobs: list[Transcript] = clients.transcripts
    progress.update(task, description="counting", completed=0, total=len(jobs))
    for job in jobs:
        clients.count(job)
        progress.advance(task)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
