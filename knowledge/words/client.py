"""What asks the word index's server."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from knowledge.errors import WordsUnavailable
from knowledge.types import Filters
from knowledge.words.index import Entry, Hits, Sources

if TYPE_CHECKING:
    import httpx

PORT = 8421
"""Where an address names none."""
_AT_ONCE = 500
_SECONDS = 30.0


class Words:
    """The indexes of one server. Safe between threads; connects at the first use.

    All methods raise WordsUnavailable when the server does not answer as it should.

    Args:
        url: ``http://:secret@host:port``.
        timeout: Seconds to wait for an answer; connecting gets two.
    """

    def __init__(self, url: str, timeout: float = _SECONDS) -> None:
        address = urlsplit(url)
        host = f"[{address.hostname}]" if ":" in (address.hostname or "") else address.hostname
        self.url = f"{address.scheme}://{host}:{address.port or PORT}"
        self._secret = unquote(address.password or "")
        self._timeout = timeout
        self._lock = threading.Lock()
        self._client: httpx.Client | None = None

    def put(self, name: str, entries: Sequence[Entry]) -> None:
        """Write passages, replacing those of the same ids."""
        for at in range(0, len(entries), _AT_ONCE):
            some = [vars(entry) for entry in entries[at : at + _AT_ONCE]]
            self._call("POST", f"/indexes/{name}/put", {"entries": some})

    def remove(self, name: str, ids: Sequence[str]) -> None:
        """Take passages out; ids that are not there do no harm."""
        for at in range(0, len(ids), _AT_ONCE):
            self._call("POST", f"/indexes/{name}/remove", {"ids": list(ids[at : at + _AT_ONCE])})

    def search(self, name: str, query: str, top_k: int, filters: Filters | None = None) -> Hits:
        """The passages that hold the query's words, best first."""
        asked = {"query": query, "top_k": top_k, "filters": (filters or Filters()).model_dump(mode="json")}
        found = self._call("POST", f"/indexes/{name}/search", asked)
        return Hits(list(found["ids"]), int(found["count"]), bool(found["checked"]))

    def sources(self, name: str, under: Sequence[str]) -> Sources:
        """The sources that begin with one of these."""
        found = self._call("POST", f"/indexes/{name}/sources", {"under": list(under)})
        return Sources(list(found["sources"]), int(found["count"]), bool(found["checked"]))

    def ids(self, name: str) -> set[str]:
        """The ids of all passages of an index."""
        return set(self._call("GET", f"/indexes/{name}/ids"))

    def names(self) -> list[str]:
        """All indexes there are."""
        return list(self._call("GET", "/indexes"))

    def claim(self, name: str) -> bool:
        """Whether this asker may compare an index with Chroma now; one at a time."""
        return bool(self._call("POST", f"/indexes/{name}/claim"))

    def mark(self, name: str, *, checked: bool) -> None:
        """Note whether an index holds what Chroma holds."""
        self._call("PUT", f"/indexes/{name}/state", {"checked": checked})

    def compact(self, name: str) -> None:
        """Write an index's file anew without what was taken out."""
        self._call("POST", f"/indexes/{name}/compact")

    def drop(self, name: str) -> None:
        """Delete an index; fine when it is not there."""
        self._call("DELETE", f"/indexes/{name}")

    def healthy(self) -> bool:
        """Whether the server answers, and takes our secret."""
        try:
            self.names()
        except WordsUnavailable:
            return False
        return True

    def close(self) -> None:
        """Close the connections; safe to call twice."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def _call(self, method: str, path: str, body: object = None) -> Any:
        import httpx

        with self._lock:
            if self._client is None:
                headers = {"authorization": f"Bearer {self._secret}"} if self._secret else {}
                limits = httpx.Timeout(self._timeout, connect=2.0)
                # An address of our own: no proxy of the environment must get in between.
                self._client = httpx.Client(base_url=self.url, headers=headers, timeout=limits, trust_env=False)
            client = self._client
        try:
            answer = client.request(method, path, json=body) if body is not None else client.request(method, path)
            answer.raise_for_status()
            return answer.json()
        except (httpx.HTTPError, ValueError, RuntimeError) as error:
            why = f"{type(error).__name__}: {str(error)[:200]}"
            raise WordsUnavailable(
                f"The word index at {self.url} does not answer as it should: {why}",
                hint="Start it with `phiq up`, or check PHIQ_WORDS_URL; `phiq doctor` shows what runs.",
                subject=self.url,
            ) from error
