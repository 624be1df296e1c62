"""This machine: Python, the installed packages, variables, disk, memory."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import shutil
import sys
from pathlib import Path

from workers.doctor.check import Check, fail, ok, warn
from workers.settings import Settings, set_variables, unknown_variables
from workers.stack import folders

OURS = ("agents", "tools", "knowledge", "workers", "gateway", "phiq")
_GB = 1e9
_MODEL_BYTES = 4 * _GB
"""Phi-3.5-mini as int4 takes 2.8 GB on the disk and 3.4 GB of memory."""
_LEAST_MEMORY = 0.8 * _GB
_UNTESTED = (3, 13)


def python(_settings: Settings) -> list[Check]:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info >= _UNTESTED:
        message = f"Python {version} is newer than those phiq is tested with (3.11 and 3.12)."
        return [warn("python", message, "If something fails: make clean setup PYTHON=python3.12")]
    return [ok("python", f"Python {version} at {sys.executable}")]


def packages(_settings: Settings) -> list[Check]:
    """Whether our import names are ours: other distributions carry an ``agents`` too."""
    home = Path(__file__).resolve().parents[2]
    owners = importlib.metadata.packages_distributions()
    found = []
    for name in OURS:
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        others = sorted({one for one in owners.get(name, []) if one != "phiq"})
        if origin is None or not origin.is_relative_to(home) or others:
            culprit = others[0] if others else origin or "nothing"
            fix = f"pip uninstall {others[0]}" if others else "install phiq in an environment of its own: make setup"
            found.append(fail("packages", f"The package '{name}' belongs to {culprit}, not to phiq.", fix))
    return found or [ok("packages", f"phiq's own packages, from {home}")]


def variables(_settings: Settings) -> list[Check]:
    """What the environment sets, and what it sets in vain."""
    names = set_variables()
    found = [ok("settings", f"Set by variable: {', '.join(names)}." if names else "All settings have their defaults.")]
    for name, meant in unknown_variables().items():
        fix = f"Did you mean {meant}?" if meant else "Unset it; docs/configuration.md lists every variable."
        found.append(warn("settings", f"{name} is set, and phiq knows no such setting.", fix))
    return found


def data_folder(settings: Settings) -> list[Check]:
    """Whether the data folder can be written and has room."""
    folder = settings.data_dir.expanduser().absolute()
    existing = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if existing == folder:
        folders.prepare(folder)
    elif not existing.is_dir():
        return [fail("data folder", f"{existing} is not a folder.", "export PHIQ_DATA_DIR=… to a folder")]
    free = shutil.disk_usage(existing).free
    message = f"{folder} ({free / _GB:.1f} GB free)"
    if free < folders.NEEDED_BYTES:
        return [fail("data folder", f"{message} is full.", "Free some disk space, or set PHIQ_DATA_DIR elsewhere.")]
    if free < _MODEL_BYTES:
        return [warn("data folder", f"{message}: too little for a Phi model.", "Free about 4 GB before pulling one.")]
    return [ok("data folder", message)]


def memory(_settings: Settings) -> list[Check]:
    """Whether there is memory for the worker, and for a model."""
    import psutil

    free = psutil.virtual_memory().available
    message = f"{free / _GB:.1f} GB of memory are available"
    if free < _LEAST_MEMORY:
        return [warn("memory", f"{message}; the worker alone takes about half of one.", "Close other programs.")]
    if free < _MODEL_BYTES:
        return [ok("memory", f"{message}: enough without a model, too little for Phi-3.5-mini.")]
    return [ok("memory", message)]


def tracing(_settings: Settings) -> list[Check]:
    """Whether LangChain would send what people write to LangSmith."""
    from langsmith.utils import tracing_is_enabled

    if tracing_is_enabled():
        return [fail("tracing", "LangSmith tracing is on: texts would leave this machine.", "unset LANGSMITH_TRACING")]
    return [ok("tracing", "LangSmith tracing is off; nothing you write leaves this machine")]
