"""What begins suspects' processes must be cheap to copy and safe to."""

from __future__ import annotations

import subprocess
import sys

_LOOK = """
import importlib, sys, threading
from workers.lifecycle.solo_nursery import _PRELOAD
for name in _PRELOAD:
    importlib.import_module(name)
print(threading.active_count(), *sorted({"numpy", "onnxruntime", "chromadb"} & set(sys.modules)))
"""


def test_what_is_copied_has_no_threads_and_nothing_that_starts_some():
    looked = subprocess.run([sys.executable, "-c", _LOOK], capture_output=True, text=True, timeout=60)
    assert looked.stdout.split() == ["1"], looked.stderr
