"""Which model runs a job that leaves the choice: ``auto``, or ``auto:NAME`` for one model on whatever has it.

It goes by what lies on this machine, what is installed and what the machine is; nothing is loaded or sent for it. The
reason comes with the choice, for `phiq doctor` and `phiq models list`.
"""

from __future__ import annotations

import importlib.util
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from workers.engines.base import EngineURI
from workers.engines.here import ollama_names
from workers.engines.registry import is_loopback
from workers.errors import ModelNotFound
from workers.models.profiles import lookup
from workers.models.shelf import Shelf, ShelfEntry
from workers.settings import Settings

LIBRARIES = {"openvino": "openvino_genai", "onnx": "onnxruntime_genai"}
_ASK = 0.5
"""Seconds for an Ollama on this machine to say what it has."""
_OVERHEAD = 1.3
"""A model in memory beside its files: sessions, intermediate results."""


@dataclass(frozen=True)
class Choice:
    """What ``auto`` means here, and why."""

    uri: EngineURI
    why: str


def choose(settings: Settings, name: str = "", *, sees: bool = False) -> Choice:
    """Choose an engine and a model.

    Of the models for text on the shelf that an installed library can run and that fit this machine's memory: those
    that answer without thinking first go before those that think, then what was put there last. A model that is
    there in both forms runs on the engine that is faster here. Without one, a Phi of an Ollama on this machine is
    taken, never one elsewhere; without that, sentences are picked and none written.

    Args:
        settings: Where the shelf is; an ONNX provider that is not the CPU goes before OpenVINO on the CPU.
        name: Only this model.
        sees: Only models for pictures.
    """
    profile = lookup(name) if name else None
    wanted = profile.name if profile is not None else name
    here = [entry for entry in Shelf(settings.data_dir.expanduser()).list() if not wanted or entry.model == wanted]
    reasons: list[str] = []
    usable = [entry for entry in here if _usable(entry, sees, reasons)]
    if not usable:
        if (name_there := _in_ollama(settings, wanted, sees)) is not None:
            said = [
                f"Ollama runs on this machine and has {name_there}",
                "no folder here holds a model that could do it",
            ]
            return Choice(EngineURI("ollama", name_there), "; ".join([*said, *reasons[:2]]))
        rest = f" ({'; '.join(reasons[:3])})" if reasons else ""
        what = f"'{wanted}' is not on this machine" if wanted else "no model that could do it is on this machine"
        return Choice(EngineURI("extractive"), f"{what}{rest}: sentences are picked, none written")
    model = max(usable, key=lambda entry: (not _thinks(entry), entry.since)).model
    forms = [entry for entry in usable if entry.model == model]
    first, why = _faster(settings)
    best = min(forms, key=lambda entry: entry.form != first)
    said = [f"{model} is {'the one asked for' if wanted else _which(usable)}"]
    if len(forms) > 1:
        said.append(f"{best.form} goes first: {why}")
    elif best.form != first and importlib.util.find_spec(LIBRARIES[first]) is not None:
        said.append(f"it is here for {best.form} only")
    return Choice(EngineURI.parse(best.uri), "; ".join([*said, *reasons[:2]]))


def resolve(uri: EngineURI, settings: Settings, *, sees: bool = False) -> EngineURI:
    """The engine that is meant by ``auto`` or ``auto:NAME``; any other as it is.

    Raises:
        ModelNotFound: the model that was named is not here.
    """
    if uri.scheme != "auto":
        return uri
    choice = choose(settings, uri.name, sees=sees)
    if uri.name and choice.uri.scheme == "extractive":
        raise ModelNotFound(
            f"No engine here has {uri.name}: {choice.why.partition(':')[0]}.",
            hint=f"phiq models pull {uri.name}",
            subject=str(uri),
        )
    return choice.uri


def _in_ollama(settings: Settings, wanted: str, sees: bool) -> str | None:
    """A Phi that an Ollama on this very machine has, those that answer without thinking first."""
    if not is_loopback(urlsplit(settings.ollama_url).hostname or ""):
        return None
    found: list[tuple[bool, str]] = []
    for name in ollama_names(settings, timeout=_ASK) or ():
        profile = lookup(name)
        if profile is not None and profile.vision == sees and wanted in ("", profile.name):
            found.append((profile.reasoning, name))
    return min(found, key=lambda one: one[0])[1] if found else None


def _usable(entry: ShelfEntry, sees: bool, reasons: list[str]) -> bool:
    import psutil

    profile = lookup(entry.name)
    if (profile is not None and profile.vision) != sees:
        return False
    if entry.problem:
        reasons.append(f"{entry.name} can't be used")
    elif importlib.util.find_spec(LIBRARIES[entry.form]) is None:
        reasons.append(f"{entry.name} needs {LIBRARIES[entry.form].replace('_', '-')}, which is not installed")
    elif entry.size * _OVERHEAD > psutil.virtual_memory().total:
        reasons.append(f"{entry.name} needs more memory than this machine has")
    else:
        return True
    return False


def _faster(settings: Settings) -> tuple[str, str]:
    """The engine that goes first where a model is there for both, and why."""
    if settings.onnx_provider != "cpu" and settings.openvino_device.lower() == "cpu":
        return "onnx", f"PHIQ_ONNX_PROVIDER is {settings.onnx_provider}"
    if platform.machine().lower() in ("x86_64", "amd64"):
        return "openvino", "it is the faster on x86 processors"
    return "onnx", f"OpenVINO was not measured on {platform.machine()}"


def _which(usable: Sequence[ShelfEntry]) -> str:
    return "the only one here" if len({entry.model for entry in usable}) == 1 else "the one that was put here last"


def _thinks(entry: ShelfEntry) -> bool:
    profile = lookup(entry.name)
    return profile is not None and profile.reasoning
