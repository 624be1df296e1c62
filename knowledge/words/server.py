"""The process that owns the word indexes: a small HTTP server beside Chroma, that workers and gateways ask.

SQLite's files must have one owner, and several machines may ask. Its routes are phiq's own affair:
`knowledge.words.client` is what speaks to them.
"""

from __future__ import annotations

import hmac
import threading
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field

from knowledge.types import Filters
from knowledge.words.index import Entry, Hits, Sources, WordIndex

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MOST_ENTRIES = 1000
"""Passages in one request."""
_MOST_BYTES = 64_000_000
Name = Annotated[str, InPath(pattern=r"^phiq-[a-z0-9-]{1,64}$")]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Put(_Asked):
    """Passages to write."""

    entries: list[Entry] = Field(max_length=MOST_ENTRIES)


class Remove(_Asked):
    """Passages to take out."""

    ids: list[str] = Field(max_length=MOST_ENTRIES)


class Search(_Asked):
    """What to look for."""

    query: str = Field(max_length=100_000)
    top_k: int = Field(ge=1, le=1000)
    filters: Filters = Filters()


class Under(_Asked):
    """Which sources to name, by their beginnings."""

    under: list[str] = Field(max_length=50)


class State(_Asked):
    """Whether an index holds what Chroma holds."""

    checked: bool


class Shelf:
    """The open indexes of a folder, one a collection."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._open: dict[str, WordIndex] = {}

    def get(self, name: str) -> WordIndex:
        """An index, made when it is not there."""
        with self._lock:
            if name not in self._open:
                self._open[name] = WordIndex(self._folder / f"{name}.sqlite3")
            return self._open[name]

    def drop(self, name: str) -> None:
        """Delete an index with its file."""
        index = self.get(name)
        with self._lock:
            self._open.pop(name, None)
        index.delete()

    def names(self) -> list[str]:
        """All indexes there are."""
        return sorted(path.stem for path in self._folder.glob("phiq-*.sqlite3"))

    def close(self) -> None:
        """Close all files."""
        with self._lock:
            for index in self._open.values():
                index.close()
            self._open.clear()


def _guard(request: Request) -> None:
    secret = request.app.state.secret
    shown = request.headers.get("authorization", "")
    if secret and not hmac.compare_digest(shown.encode(), f"Bearer {secret}".encode()):
        raise HTTPException(401)
    if int(request.headers.get("content-length") or 0) > _MOST_BYTES:
        raise HTTPException(413)


def _shelf(request: Request) -> Shelf:
    return cast("Shelf", request.app.state.shelf)


OneShelf = Annotated[Shelf, Depends(_shelf)]


def _index(name: Name, shelf: OneShelf) -> WordIndex:
    return shelf.get(name)


Index = Annotated[WordIndex, Depends(_index)]
router = APIRouter(prefix="/indexes", dependencies=[Depends(_guard)])


@router.get("")
def _names(shelf: OneShelf) -> list[str]:
    return shelf.names()


@router.delete("/{name}")
def _drop(name: Name, shelf: OneShelf) -> None:
    shelf.drop(name)


@router.post("/{name}/put")
def _put(index: Index, asked: Put) -> None:
    index.put(asked.entries)


@router.post("/{name}/remove")
def _remove(index: Index, asked: Remove) -> None:
    index.remove(asked.ids)


@router.post("/{name}/search")
def _search(index: Index, asked: Search) -> Hits:
    return index.search(asked.query, asked.top_k, asked.filters)


@router.post("/{name}/sources")
def _sources(index: Index, asked: Under) -> Sources:
    return index.sources(asked.under)


@router.get("/{name}/ids")
def _ids(index: Index) -> list[str]:
    return index.ids()


@router.post("/{name}/claim")
def _claim(index: Index) -> bool:
    return index.claim()


@router.put("/{name}/state")
def _state(index: Index, asked: State) -> None:
    if asked.checked:
        index.checked()
    else:
        index.unchecked()


@router.post("/{name}/compact")
def _compact(index: Index) -> None:
    index.compact()


def create_app(folder: Path, secret: str = "") -> FastAPI:
    """The server for the indexes of a folder.

    Args:
        folder: Where the files lie; no other process may use them.
        secret: What clients show as a bearer token; empty: nobody is asked for it.
    """
    folder.mkdir(parents=True, exist_ok=True)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.shelf.close()

    # No documentation pages: they would load from elsewhere, and nobody writes against this but our own client.
    app = FastAPI(lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.state.shelf, app.state.secret = Shelf(folder), secret
    app.include_router(router)

    @app.get("/healthz")
    def _healthz() -> dict[str, bool]:
        return {"ok": True}

    return app


def serve(folder: Path, host: str, port: int, secret: str) -> None:
    """Serve until SIGTERM or SIGINT."""
    import uvicorn

    uvicorn.run(create_app(folder, secret), host=host, port=port, log_level="warning", access_log=False)
