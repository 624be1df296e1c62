"""What an OpenVINO model folder says of itself: context, cache, weights, kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.engines.host.process import broken
from workers.engines.hosted.files import LONGROPE, read_json, turning_point

_SCALES = 8
"""Bytes beside each head's row of an 8-bit cache: its scale and its zero point."""
_LIBRARY = 250_000_000
"""Bytes of the library itself, its kernels and a step's intermediate results."""


@dataclass(frozen=True)
class OpenVINOFolder:
    """A folder as optimum-intel exports it.

    ``context`` is in tokens. ``turning_point`` is where rotary positions change (None: nowhere): a session must not
    cross it. The factors are chosen by the longest session of a step, so one that crosses would change the
    others' answers too. ``weights`` and ``cache_per_token`` are bytes. ``sees`` says that the model takes pictures.
    """

    path: Path
    kind: str
    context: int
    turning_point: int | None
    vocabulary: int
    bos: int
    weights: int
    cache_per_token: int
    sees: bool

    @classmethod
    def read(cls, path: Path) -> OpenVINOFolder:
        """Read a folder's configuration; the weights are left alone.

        Raises:
            ModelBroken: when it is not such a folder.
        """
        config = read_json(path / "config.json")
        try:
            context = int(config["max_position_embeddings"])
            return cls(
                path=path,
                kind=str(config["model_type"]),
                context=context,
                turning_point=_turning_point(config, context),
                vocabulary=int(config["vocab_size"]),
                bos=_first(config.get("bos_token_id")),
                weights=sum(file.stat().st_size for file in path.iterdir() if file.is_file()),
                cache_per_token=_cache_per_token(config),
                sees=(path / "openvino_vision_embeddings_model.xml").is_file(),
            )
        except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
            raise broken(str(path), f"its config.json lacks what a text model needs ({error!r})") from error

    def session(self, wanted: int) -> int:
        """The longest session in tokens: what is wanted, bounded by what the model can do in one piece."""
        return min(wanted, self.context, self.turning_point or self.context)

    def cache(self, session: int, slots: int) -> int:
        """Whole GiB, the library's unit, for an eighth of the slots at full length.

        Most sessions are far shorter than they may be, and what they share is kept once.
        """
        tokens = session * max(1, slots // 8)
        return max(1, -(-tokens * self.cache_per_token // 2**30))

    def memory(self, cache: int) -> int:
        """Bytes that it takes when its cache (GiB) is full, roughly and not too low."""
        return int(self.weights * 1.15) + cache * 2**30 + _LIBRARY


def _turning_point(config: dict[str, Any], context: int) -> int | None:
    found = turning_point(config)
    if found is None and str(config["model_type"]).startswith("phi") and context > 16384:
        return LONGROPE  # every Phi beyond 16k scales its positions, whatever its configuration calls it
    return found


def _cache_per_token(config: dict[str, Any]) -> int:
    """Keys and values of every layer, 8 bits each, as the library keeps them on CPUs and GPUs."""
    heads = int(config["num_attention_heads"])
    size = int(config.get("head_dim") or int(config["hidden_size"]) // heads)
    return 2 * int(config["num_hidden_layers"]) * int(config.get("num_key_value_heads") or heads) * (size + _SCALES)


def _first(token: Any) -> int:
    return max(0, int((token[0] if isinstance(token, list) and token else token) or 0))
