"""The connection to Chroma's server, and the border where its errors become ours."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from knowledge.errors import CollectionInvalid, CollectionNotFound, PhiqError, StoreUnavailable, WordsUnavailable
from knowledge.words.client import Words

if TYPE_CHECKING:
    import httpx
    from chromadb.api import ClientAPI


@dataclass(frozen=True)
class StoreConfig:
    """Where Chroma's server is and whose documents are meant.

    Attributes:
        url: ``http://host:port`` or ``https://host:port``.
        tenant: Collections of one tenant are never seen by another.
        timeout: Seconds to wait for an answer; connecting gets five.
        words: Where the word index's server is (``http://:secret@host:port``); empty: there is none.
    """

    url: str
    tenant: str = "default"
    timeout: float = 60.0
    words: str = field(default="", repr=False)


class Connection:
    """A client that is made at the first use, and again when making it failed. Safe to share between threads."""

    def __init__(self, config: StoreConfig) -> None:
        self.config = config
        self._client: ClientAPI | None = None
        self._lock = threading.Lock()
        self.words = Words(config.words) if config.words else None

    def client(self) -> ClientAPI:
        """The client, connected.

        Raises:
            StoreUnavailable: when the server does not answer.
        """
        with self._lock:
            if self._client is None:
                with border(self.config.url):
                    self._client = self._connect()
            return self._client

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        if self.words is not None:
            self.words.close()
        with self._lock:
            if self._client is not None:
                self._client.close()  # type: ignore[attr-defined]
                # Chroma's client leaves its own connections open.
                for session in _sessions(self._client):
                    session.close()
                self._client = None

    def drop_words(self, name: str) -> None:
        """Delete a collection's word index; without a server that answers, its next owner finds it stale."""
        if self.words is not None:
            with suppress(WordsUnavailable):
                self.words.drop(name)

    def _connect(self) -> ClientAPI:
        import httpx

        limits = httpx.Timeout(self.config.timeout, connect=5.0)
        # Chroma's client waits for ever; while it is being made its timeout can't be set, so a server that takes
        # connections and answers nothing must be found out before.
        httpx.get(f"{self.config.url.rstrip('/')}/api/v2/heartbeat", timeout=limits).raise_for_status()
        # Takes seconds to import on a busy machine; so a server that is down is told before.
        import chromadb
        from chromadb.config import Settings

        address = urlsplit(self.config.url)
        secure = address.scheme == "https"
        client = chromadb.HttpClient(
            host=address.hostname or "127.0.0.1",
            port=address.port or (443 if secure else 80),
            ssl=secure,
            settings=Settings(anonymized_telemetry=False),
        )
        for session in _sessions(client):
            session.timeout = limits
        return client


def _sessions(client: ClientAPI) -> list[httpx.Client]:
    """The HTTP clients inside Chroma's and its admin client; nothing public sets their time limit or closes them."""
    import httpx

    servers = (getattr(owner, "_server", None) for owner in (client, getattr(client, "_admin_client", None)))
    sessions = (getattr(server, "_session", None) for server in servers)
    return [session for session in sessions if isinstance(session, httpx.Client)]


@contextmanager
def border(url: str, collection: str = "") -> Iterator[None]:
    """Turn what Chroma and its transport raise into our errors.

    Raises:
        CollectionNotFound: when the collection is not there (any more).
        CollectionInvalid: when vectors of another length are in it.
        StoreUnavailable: for everything else: down, too slow, or an answer that makes no sense.
    """
    try:
        yield
    except PhiqError:
        raise
    # Chroma's client raises bare Exception with the server's words, so nothing narrower catches them all.
    except Exception as error:
        kind = type(error).__name__
        if kind == "NotFoundError" and collection:
            raise not_found(collection) from error
        if kind in {"InvalidDimensionException", "InvalidDimension"} or "dimension" in str(error).lower():
            raise CollectionInvalid(
                f"The index of '{collection}' was made by another embedding model: {error}.",
                hint="Set PHIQ_EMBEDDER back, or ingest into a new collection.",
                subject=collection,
            ) from error
        raise StoreUnavailable(
            f"Chroma's server at {url} does not answer as it should: {_words(error)}",
            hint="Start it with `phiq up`, or check PHIQ_CHROMA_URL; `phiq doctor` shows what runs.",
            subject=url,
            reason=kind,
        ) from error


def not_found(collection: str) -> CollectionNotFound:
    """The error for a collection that was never ingested into."""
    return CollectionNotFound(
        f"There is no collection '{collection}'.",
        hint=f"phiq ingest PATH --collection {collection}",
        subject=collection,
    )


def _words(error: Exception) -> str:
    words = " ".join(str(error).split())[:200].rstrip(".")
    return f"{words or type(error).__name__}."
