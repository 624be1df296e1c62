"""An interruption that falls into a ``__del__`` is not lost: Python drops it there, and it comes again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import os, signal, sys, threading
{setup}

class Unlucky:
    def __del__(self):
        os.kill(os.getpid(), signal.{number})
        for _ in range(10): pass

try:
    Unlucky()
    threading.Event().wait(20)
    print("went on")
except KeyboardInterrupt:
    print("interrupted")
{after}
"""
CLI = "from gateway.cli.interruption import bring_again; bring_again()"
STACK = "from workers.stack.interrupts import Interrupts; it = Interrupts(); it.hold(); it.release()"


def run(setup: str, number: str = "SIGINT", after: str = "") -> subprocess.CompletedProcess[str]:
    code = PROGRAM.format(setup=setup, number=number, after=after)
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)


def test_a_dropped_ctrl_c_comes_again() -> None:
    done = run(CLI)
    assert (done.stdout, done.stderr, done.returncode) == ("interrupted\n", "", 0)


@pytest.mark.parametrize("number", ["SIGINT", "SIGTERM"])
def test_it_is_no_second_one_to_who_runs_the_parts(number: str) -> None:
    done = run(f"{CLI}; {STACK}", number, "print(it.requested.is_set(), it.impatient.is_set())")
    assert (done.stdout, done.stderr) == ("interrupted\nTrue False\n", "")


def test_while_parts_are_stopped_it_is_only_noted() -> None:
    setup = f"{CLI}; {STACK}"
    # The parts begin to stop between the drop and its return.
    stop = "hook = sys.unraisablehook; sys.unraisablehook = lambda what: (it.hold(), hook(what))"
    code = PROGRAM.format(setup=f"{setup}\n{stop}", number="SIGTERM", after="print(it.requested.is_set())")
    code = code.replace("threading.Event().wait(20)", "while signal.getitimer(signal.ITIMER_REAL)[0]: pass")
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "went on\nTrue\n", done.stderr


def test_other_dropped_errors_are_shown_as_ever() -> None:
    code = f"{CLI}\nclass Broken:\n    def __del__(self): raise ValueError('seven')\nBroken()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "ValueError: seven" in done.stderr
