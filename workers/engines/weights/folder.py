"""A folder of weights as published on the hub: where it is, and what it says of itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.engines.host.process import broken
from workers.engines.hosted.files import LONGROPE, read_json, turning_point
from workers.errors import ModelNotFound
from workers.models.profiles import lookup

_LIBRARY = 500_000_000


@dataclass(frozen=True)
class WeightsFolder:
    """A folder of weights.

    ``session_limit`` is in tokens: the context, or where rotary positions change. ``weights`` and ``cache_per_token``
    are bytes.
    """

    path: Path
    session_limit: int
    vocabulary: int
    bos: int
    weights: int
    cache_per_token: int

    @classmethod
    def read(cls, path: Path) -> WeightsFolder:
        """Read a folder's configuration; the weights are left alone.

        Raises:
            ModelBroken: when it is not such a folder.
        """
        config = read_json(path / "config.json")
        weights = sum(file.stat().st_size for file in path.glob("*.safetensors"))
        if not weights:
            raise broken(str(path), "it holds no .safetensors file")
        try:
            context = int(config["max_position_embeddings"])
            turn = turning_point(config)
            if turn is None and str(config["model_type"]).startswith("phi") and context > 16384:
                turn = LONGROPE
            heads = int(config["num_attention_heads"])
            size = int(config.get("head_dim") or int(config["hidden_size"]) // heads)
            return cls(
                path=path,
                session_limit=min(context, turn or context),
                vocabulary=int(config["vocab_size"]),
                bos=_first(config.get("bos_token_id")),
                weights=weights,
                cache_per_token=2
                * 4
                * int(config["num_hidden_layers"])
                * int(config.get("num_key_value_heads") or heads)
                * size,
            )
        except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
            raise broken(str(path), f"its config.json lacks what a text model needs ({error!r})") from error

    def memory(self, session: int) -> int:
        """Bytes that loading it and running one session of this length takes, roughly and not too low."""
        return int(self.weights * 1.2) + self.cache_per_token * session + _LIBRARY


def locate(scheme: str, name: str, data_dir: Path) -> Path:
    """The folder behind a name: a path, or ``models/NAME-weights`` in the data folder.

    Raises:
        ModelNotFound: with the command that fetches it.
    """
    profile = lookup(name)
    own = profile.name if profile is not None else name
    folder = Path(name) if Path(name).is_absolute() else Path(data_dir).expanduser() / "models" / f"{own}-weights"
    if ".." in Path(name).parts or not folder.is_dir():
        repo = profile.hub if profile is not None else "OWNER/REPOSITORY"
        raise ModelNotFound(
            f"There are no weights for {scheme}:{name[:80]} on this machine.",
            hint=f"hf download {repo} --local-dir {folder}",
            subject=name[:80],
        )
    return folder


def _first(token: Any) -> int:
    return max(0, int((token[0] if isinstance(token, list) and token else token) or 0))
