"""A real worker with something wrong with it: `python odd_worker.py FAULT,… ARGUMENTS OF CELERY`.

What goes wrong on command does so once the file that ODD_TRIGGER names is there; a second file says that it has.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from agents.contract import Chunk
from workers.ledger import ledger
from workers.lifecycle import solo
from workers.runner import Runner

PROPER_RUN = Runner.run


def triggered() -> bool:
    trigger = Path(os.environ["ODD_TRIGGER"])
    if trigger.exists():
        trigger.with_suffix(".done").touch()
        return True
    return False


def hung_loop() -> None:
    """Celery's loop hangs on command."""
    from kombu.asynchronous import Hub

    proper = Hub.fire_timers

    def fire_timers(*args, **kwargs):
        while triggered():
            threading.Event().wait(1)
        return proper(*args, **kwargs)

    Hub.fire_timers = fire_timers


def silent_consumer() -> None:
    """The consumer stops asking the broker on command; the loop goes on."""
    from kombu.transport.redis import Channel

    proper = Channel._brpop_start
    Channel._brpop_start = lambda *args, **kwargs: None if triggered() else proper(*args, **kwargs)


def stubborn() -> None:
    """Jobs say one word and hear no stop."""

    def run(self, job, stop, checkpoints=None, told=None):
        yield Chunk(delta="one ")
        threading.Event().wait()

    Runner.run = run


def mortal() -> None:
    """A job whose prompt begins with "die" kills the process that runs it."""

    def run(self, job, stop, checkpoints=None, told=None):
        if getattr(job.input, "prompt", "").startswith("die"):
            os.kill(os.getpid(), signal.SIGKILL)
        yield from PROPER_RUN(self, job, stop, checkpoints, told)

    Runner.run = run
    solo.COMMAND = (sys.executable, __file__, "mortal", "solo")


def newer() -> None:
    """A later version of phiq, which understands records that ours does not."""
    from workers.lifecycle import about

    ledger.RECORD_VERSION = about.RECORD_VERSION = ledger.RECORD_VERSION + 1


FAULTS: dict[str, Callable[[], None]] = {
    fault.__name__: fault for fault in (hung_loop, silent_consumer, stubborn, mortal, newer)
}

if __name__ == "__main__":
    for name in sys.argv.pop(1).split(","):
        FAULTS[name]()
    if sys.argv[1] == "solo":
        from workers.__main__ import main as ours

        sys.exit(ours(sys.argv[1:]))
    from celery.__main__ import main

    sys.exit(main())
