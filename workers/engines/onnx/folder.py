"""What a model folder says of itself: context, cache, weights, kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.engines.host.process import broken
from workers.engines.hosted.files import LONGROPE, read_json, turning_point


@dataclass(frozen=True)
class ModelFolder:
    """A folder as ONNX Runtime GenAI's builder writes it.

    ``context`` is in tokens. ``turning_point`` is where rotary positions change (None: nowhere): a session must not
    cross it, since a generator that does reads everything again or silently answers differently. ``weights`` and
    ``cache_per_token`` are bytes. ``sees`` says that the model takes pictures;
    ``adapters`` are the names of its files of fine-tuning (``NAME.onnx_adapter``).
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
    adapters: tuple[str, ...] = ()

    @classmethod
    def read(cls, path: Path) -> ModelFolder:
        """Read a folder's configuration; the weights are left alone.

        Raises:
            ModelBroken: when it is not such a folder.
        """
        config = read_json(path / "genai_config.json")
        try:
            model, decoder = config["model"], config["model"]["decoder"]
            context = int(model["context_length"])
            heads = int(decoder.get("num_key_value_heads") or decoder["num_attention_heads"])
            return cls(
                path=path,
                kind=str(model["type"]),
                context=context,
                turning_point=_turning_point(path, str(model["type"]), context),
                vocabulary=int(model["vocab_size"]),
                bos=max(0, int(model.get("bos_token_id") or 0)),
                weights=sum(file.stat().st_size for file in path.iterdir() if file.is_file()),
                # Keys and values of every layer; float32 on the CPU, so an upper bound elsewhere.
                cache_per_token=2 * 4 * int(decoder["num_hidden_layers"]) * heads * int(decoder["head_size"]),
                sees="vision" in model,
                adapters=_adapters(path, model),
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise broken(str(path), f"its genai_config.json lacks what a text model needs ({error!r})") from error

    def session(self, wanted: int) -> int:
        """The longest session in tokens: what is wanted, bounded by what the model can do in one piece."""
        return min(wanted, self.context, self.turning_point or self.context)


def _adapters(path: Path, model: dict[str, Any]) -> tuple[str, ...]:
    """Those that people put there: a model's own, for pictures and sound, are the library's to put on."""
    own = {str((model.get(part) or {}).get("adapter_filename")) for part in ("vision", "speech")}
    return tuple(sorted(file.stem for file in path.glob("*.onnx_adapter") if file.name not in own))


def _turning_point(path: Path, kind: str, context: int) -> int | None:
    if not (path / "config.json").is_file():
        # Nothing says whether positions are scaled. Every Phi beyond 16k does it, at 4096 or later.
        return LONGROPE if kind.startswith("phi") and context > 16384 else None
    return turning_point(read_json(path / "config.json"))
