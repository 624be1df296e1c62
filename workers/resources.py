"""What the jobs of one process share: engines, the embedder, stores and connections, opened at first use."""

from __future__ import annotations

import threading
from collections import OrderedDict
from pathlib import Path
from typing import TYPE_CHECKING

from knowledge.errors import EmbedderUnavailable
from workers.connections import chroma_url, redis_client, words_url
from workers.content import ContentStore, open_content
from workers.settings import Settings

if TYPE_CHECKING:
    import redis

    from agents.calibration import Calibration
    from knowledge.embed.base import Embedder
    from knowledge.rank.cross import Reranker
    from knowledge.store import Store
    from workers.engines.base import EngineStatus, EngineURI
    from workers.engines.registry import Registry
    from workers.models.folder import Form

_STORES = 32
"""Connections to Chroma kept open, one a tenant; the least recently used goes."""


class Resources:
    """Opened once, shared by all threads, closed together."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._digests: dict[str, str] = {}
        self._choices: dict[tuple[EngineURI, bool], EngineURI] = {}
        self._opening = threading.Lock()
        self._embedding = threading.Lock()
        self._registry: Registry | None = None
        self._redis: redis.Redis | None = None
        self._content: ContentStore | None = None
        self._stores: OrderedDict[tuple[str, str, str], Store] = OrderedDict()

    @property
    def content(self) -> ContentStore:
        """The content store."""
        with self._opening:
            if self._content is None:
                self._content = open_content(self._settings)
            return self._content

    @property
    def redis(self) -> redis.Redis:
        """A Redis client.

        Raises:
            NotRunning: there is no Redis to talk to.
        """
        with self._opening:
            if self._redis is None:
                self._redis = redis_client(self._settings)
            return self._redis

    @property
    def registry(self) -> Registry:
        """The engines."""
        from workers.engines.registry import Registry

        with self._opening:
            if self._registry is None:
                self._registry = Registry(self._settings)
            return self._registry

    @property
    def embedder(self) -> Embedder:
        """The embedder.

        Raises:
            EmbedderUnavailable: its weights are not here, or not the official ones.
        """
        from knowledge.embed import EmbedderConfig, load_embedder

        settings = self._settings
        # A lock of its own: building the graph takes seconds, which no other job should wait for.
        with self._embedding:
            return load_embedder(
                EmbedderConfig(
                    name=settings.embedder, precision=settings.embed_precision, hub_url=settings.hub_url or ""
                )
            )

    def calibration(self, tenant: str, collection: str) -> Calibration | None:
        """The thresholds that were fitted for a collection; None when none were, or it is not there.

        Raises:
            NotRunning: there is no Chroma to talk to.
            StoreUnavailable: it does not answer.
        """
        from agents.calibration import NOTE, Calibration
        from knowledge.errors import CollectionNotFound

        try:
            kept = self.store(tenant).remark(collection, NOTE)
        except CollectionNotFound:
            return None  # said where it is searched, with what to do
        return Calibration.parse(kept) if kept else None

    def _other_embedder(self, name: str) -> Embedder | None:
        """An embedder that collections from before were made with, where this machine has it."""
        from knowledge.embed import EmbedderConfig, load_embedder

        try:
            with self._embedding:
                return load_embedder(EmbedderConfig(name=name, precision=self._settings.embed_precision))
        except EmbedderUnavailable:
            return None

    def _reranker(self) -> Reranker | None:
        """What puts passages into order; None where none is wanted."""
        if not self._settings.reranker:
            return None
        from knowledge.rank.cross import load_reranker

        return load_reranker(Path(self._settings.reranker).expanduser())

    def store(self, tenant: str) -> Store:
        """A tenant's collections.

        Raises:
            NotRunning: there is no Chroma to talk to.
        """
        from knowledge.store import Store, StoreConfig

        embedder = self.embedder
        with self._opening:
            # The address is looked up each time: after a restart of the stack Chroma may be on another port.
            key = (tenant, chroma_url(self._settings), words_url(self._settings))
            if key not in self._stores:
                if len(self._stores) >= _STORES:
                    self._stores.popitem(last=False)[1].close()
                self._stores[key] = Store(
                    StoreConfig(url=key[1], tenant=tenant, words=key[2]),
                    embedder,
                    self._other_embedder,
                    self._reranker,
                )
            self._stores.move_to_end(key)
            return self._stores[key]

    def engine_states(self) -> dict[str, EngineStatus]:
        """The engines opened so far, by URI, and where each stands."""
        registry = self._registry
        if registry is None:
            return {}
        return {uri: engine.status() for uri, engine in registry.engines().items()}

    def chosen(self, uri: EngineURI, *, sees: bool) -> EngineURI:
        """What ``auto`` means, any other as it is.

        A choice stays while its model is there: two models in memory because another one was pulled meanwhile
        would be one too many. That nothing is here is found out anew each time.

        Raises:
            ModelNotFound: the model that was named is not here.
        """
        if uri.scheme != "auto":
            return uri
        from workers.engines.auto import resolve
        from workers.models.shelf import Shelf

        kept = self._choices.get((uri, sees))
        if kept is not None and any(entry.uri == str(kept) for entry in Shelf(self._settings.data_dir).list()):
            return kept
        found = resolve(uri, self._settings, sees=sees)
        if found.scheme != "extractive":
            self._choices[uri, sees] = found
        return found

    def digest(self, uri: EngineURI) -> str:
        """The SHA-256 over the hashes of a pulled model's files; empty where they are not known."""
        if uri.scheme not in ("onnx", "openvino"):
            return ""
        from workers.models.shelf import Shelf

        key = str(uri)
        if key not in self._digests:
            form: Form = "onnx" if uri.scheme == "onnx" else "openvino"
            self._digests[key] = Shelf(self._settings.data_dir).digest(uri.name, form)
        return self._digests[key]

    def loads_first(self, uri: EngineURI) -> bool:
        """Whether a run on this engine has to wait until its model is loaded: minutes, with a big one."""
        if uri.scheme == "extractive":
            return False
        engine = self.registry.get(str(uri))
        return engine.loads_here and engine.status().state in ("idle", "loading")

    def line(self, uri: EngineURI, *, batch: bool) -> str:
        """What a run on this engine would wait for now, for people; empty: nothing."""
        return "" if uri.scheme == "extractive" else self.registry.get(str(uri)).line(batch=batch)

    def close(self) -> None:
        """End the engines and connections; safe to call twice."""
        if self._registry is not None:
            self._registry.close()
        for store in self._stores.values():
            store.close()
