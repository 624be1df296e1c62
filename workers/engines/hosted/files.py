"""What is read of a model folder whatever runs it: JSON files, and where rotary positions change."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from workers.engines.host.process import broken

LONGROPE = 4096
"""Tokens at which the long-context Phi models change their positions, where the folder does not say."""
_HEAD = 1_000_000
"""Bytes of each file that the quick digest reads: small files are read whole."""
_SCALED = ("longrope", "su", "yarn")


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object of a model folder.

    Raises:
        ModelBroken: when it is missing or is none.
    """
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise broken(str(path.parent), f"{path.name} is missing") from error
    except (OSError, ValueError) as error:
        raise broken(str(path.parent), f"{path.name} can't be read ({error})") from error
    if not isinstance(value, dict):
        raise broken(str(path.parent), f"{path.name} holds no JSON object")
    return value


def quick_digest(path: Path) -> str:
    """``quick:`` and the SHA-256 over names, sizes and beginnings of a folder's files; empty where they can't be read.

    The weights of a model that nobody pulled have no hashes to compare, and reading gigabytes would hold up the first
    job. Two folders that differ have different ones, unless all that differs lies deep in files of the same size.
    """
    whole = hashlib.sha256()
    try:
        for file in sorted(path.iterdir()):
            if file.is_file() and not file.name.startswith("."):
                with file.open("rb") as opened:
                    head = hashlib.sha256(opened.read(_HEAD)).hexdigest()
                whole.update(f"{head} {file.stat().st_size} {file.name}\n".encode(errors="replace"))
    except OSError:
        return ""
    return f"quick:{whole.hexdigest()}"


def turning_point(config: dict[str, Any]) -> int | None:
    """Tokens at which a model's rotary positions change, None where they don't.

    Args:
        config: The model's config.json.
    """
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(rope, dict) or str(rope.get("rope_type") or rope.get("type")) not in _SCALED:
        return None
    original = config.get("original_max_position_embeddings") or rope.get("original_max_position_embeddings")
    return int(original) if isinstance(original, int) and original > 0 else LONGROPE
