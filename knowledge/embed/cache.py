"""Keep the built graph, so that it is built once on a machine; a damaged one is built again."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path

from knowledge.embed.config import EmbedderConfig
from knowledge.embed.graph import GRAPH_VERSION, OPSET, write_graph
from knowledge.embed.weights import WEIGHTS_SHA256, find_weights
from knowledge.errors import EmbedderUnavailable

_LOCK_SECONDS = 300
_FILES = ("model.onnx", "tokenizer.json")


def graph_folder(config: EmbedderConfig) -> Path:
    """A folder with ``model.onnx`` and ``tokenizer.json``, built when it is not there or damaged.

    Raises:
        EmbedderUnavailable: when it must be built and the weights are missing or the folder can't be written.
    """
    key = f"minilm-{WEIGHTS_SHA256[:16]}-opset{OPSET}-v{GRAPH_VERSION}-{config.precision}"
    folder = config.cache_path / key
    if _whole(folder):
        return folder
    from filelock import FileLock, Timeout

    try:
        config.cache_path.mkdir(parents=True, exist_ok=True)
        # Several workers start at once on a fresh machine: one builds, the others wait and find it whole.
        with FileLock(config.cache_path / f"{key}.lock", timeout=_LOCK_SECONDS):
            if not _whole(folder):
                _build(config, folder)
    except Timeout as error:
        raise EmbedderUnavailable(
            f"Another process has been building the embedder for more than {_LOCK_SECONDS} s.",
            hint=f"See what holds {config.cache_path / key}.lock and try again.",
            subject=config.name,
        ) from error
    except OSError as error:
        raise EmbedderUnavailable(
            f"The embedder can't be built in {config.cache_path}: {error.strerror or error}.",
            hint="Make room (200 MB) and make the folder writable.",
            subject=str(config.cache_path),
        ) from error
    return folder


def _build(config: EmbedderConfig, folder: Path) -> None:
    weights = find_weights(config)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f"{folder.name}.") as scratch:
        built = Path(scratch) / "built"
        built.mkdir()
        write_graph(weights.model, built / "model.onnx", config.precision)
        shutil.copyfile(weights.tokenizer, built / "tokenizer.json")
        manifest = {name: _sha256(built / name) for name in _FILES}
        (built / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
        # A folder appears under its name only when it is whole; what lay there was found damaged.
        if folder.exists():
            folder.replace(Path(scratch) / "damaged")
        built.replace(folder)


def _whole(folder: Path) -> bool:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        return all(_sha256(folder / name) == manifest[name] for name in _FILES)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
