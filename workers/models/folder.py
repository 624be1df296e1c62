"""What a model folder must hold before an engine is asked to load it, and of which form it is."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from workers.errors import ModelBroken

CONFIG = "genai_config.json"
OPENVINO = "openvino_model.xml"
Form = Literal["onnx", "openvino"]
"""Which engine a folder is for."""
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model")
_FILE_KEYS = ("filename", "config_filename", "adapter_filename")
_CONSTANT = re.compile(r'<data [^>]*?offset="(\d+)"[^>]*? size="(\d+)"')
_GRAPH_LIMIT = 512 * 1024 * 1024
"""Bytes; a graph above it carries its weights within, so there is nothing beside it to look for."""


def form_of(folder: Path) -> Form | None:
    """The form of a folder by the file that describes it, None where it has neither."""
    if (folder / CONFIG).exists():
        return "onnx"
    return "openvino" if (folder / OPENVINO).exists() else None


def check_folder(folder: Path, *, deep: bool = False) -> None:
    """Check that a folder holds a whole model of ONNX Runtime GenAI or of OpenVINO.

    Args:
        folder: The folder.
        deep: Look into the graphs for the weight files they name as well (reads the graphs, not the weights).

    Raises:
        ModelBroken: naming what is missing or empty.
    """
    if form_of(folder) == "openvino":
        _check_openvino(folder)
        return
    config = _read_config(folder)
    named = sorted(set(_named_files(config["model"])))
    if not any(name.endswith(".onnx") for name in named):
        raise _broken(folder, f"{CONFIG} names no .onnx file")
    for name in named:
        _check_file(folder, name)
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        raise _broken(folder, f"it has no tokenizer ({', '.join(_TOKENIZERS)})")
    if deep:
        for name in named:
            if name.endswith(".onnx"):
                for weights in _weight_files(folder, folder / name):
                    _check_file(folder, weights)


def _read_config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    if not path.is_file():
        raise _broken(folder, f"it has no {CONFIG}")
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _broken(folder, f"its {CONFIG} can't be read ({error})") from error
    if not isinstance(config, dict) or not isinstance(config.get("model"), dict):
        raise _broken(folder, f"its {CONFIG} has no model section")
    return config


def _named_files(section: Any) -> Iterator[str]:
    """Every file a section of the configuration names, however deep (decoder pipelines nest)."""
    if isinstance(section, dict):
        for key, value in section.items():
            if key in _FILE_KEYS and isinstance(value, str) and value:
                yield value
            else:
                yield from _named_files(value)
    elif isinstance(section, list):
        for value in section:
            yield from _named_files(value)


def _check_file(folder: Path, name: str) -> None:
    path = folder / name
    # Compared as written, not resolved: the hub's own cache keeps its files as links out of the folder.
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise _broken(folder, f"it names a file outside itself ({name})")
    if not path.is_file():
        raise _broken(folder, f"{name} is missing")
    if path.stat().st_size == 0:
        raise _broken(folder, f"{name} is empty")


def _weight_files(folder: Path, graph: Path) -> set[str]:
    if graph.stat().st_size > _GRAPH_LIMIT:
        return set()
    import onnx  # heavy, and only needed here

    try:
        model = onnx.load(graph, load_external_data=False)
    except Exception as error:  # protobuf's errors have no common root
        raise _broken(folder, f"{graph.name} is no ONNX graph ({error})") from error
    return {
        entry.value for tensor in model.graph.initializer for entry in tensor.external_data if entry.key == "location"
    }


def _check_openvino(folder: Path) -> None:
    """The library would say of a cut weights file that memory lacks, or read past its end."""
    needed = (OPENVINO, "openvino_model.bin", "openvino_tokenizer.xml", "openvino_detokenizer.xml", "config.json")
    for name in (*needed, "tokenizer.json"):
        _check_file(folder, name)
    end = 0
    with (folder / OPENVINO).open(encoding="utf-8", errors="replace") as graph:
        for line in graph:
            for place, size in _CONSTANT.findall(line):
                end = max(end, int(place) + int(size))
            whole = "</net>" in line
    if not whole:
        raise _broken(folder, f"{OPENVINO} is cut off")
    if (folder / "openvino_model.bin").stat().st_size < end:
        raise _broken(folder, "openvino_model.bin is cut off")


def _broken(folder: Path, what: str) -> ModelBroken:
    return ModelBroken(
        f"{folder} is not a whole model: {what}.",
        hint=f"Give the folder that holds {CONFIG} or {OPENVINO}, or fetch the model again: phiq models pull NAME",
        subject=str(folder),
    )
