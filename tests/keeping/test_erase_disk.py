"""What is deleted leaves Redis' files too, however it keeps them; what may not be done is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis

from knowledge.chroma import Connection, StoreConfig
from workers.erase import disk
from workers.stack import health, redis_server
from workers.stack.child import Child
from workers.stack.members import ChromaMember
from workers.stack.ports import free_port

WORD = "zqaardvarkquince"


@pytest.fixture(params=["append-only file", "snapshots", "both"])
def server(request: pytest.FixtureRequest, redis_binary: str, tmp_path: Path, wait_until: Callable[..., Any]) -> Any:
    """A Redis of each way to keep data, and the folder it keeps it in."""
    port = free_port()
    redis_server.write_config(tmp_path / "redis.conf", tmp_path, port, "pw")
    text = (tmp_path / "redis.conf").read_text()
    if request.param == "snapshots":
        text = text.replace("appendonly yes", "appendonly no")
    if request.param != "append-only file":
        text = text.replace('save ""', "save 3600 1")
    (tmp_path / "redis.conf").write_text(text)
    child = Child([redis_binary, str(tmp_path / "redis.conf")], tmp_path / "log", tmp_path)
    url = redis_server.url(port, "pw")
    wait_until(lambda: not health.redis(url), 30, "a Redis")
    with redis.Redis.from_url(url, decode_responses=True) as client:
        yield client, tmp_path
    child.stop(5)


def _holds(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and WORD.encode() in path.read_bytes()]


def test_a_deleted_word_leaves_every_file(server: tuple[redis.Redis, Path]) -> None:
    client, folder = server
    client.set("phiq:text:1", WORD)
    client.set("phiq:text:2", "stays")
    if client.config_get("save")["save"]:  # type: ignore[index]
        client.save()
    assert _holds(folder)
    client.delete("phiq:text:1")
    assert disk.rewrite_redis(client, folder) == []
    assert _holds(folder) == []
    assert client.get("phiq:text:2") == "stays"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    made = redis.Redis.from_url(redis_url, decode_responses=True)
    yield made
    made.close()


def test_a_user_who_may_not_is_told_so(client: redis.Redis, redis_url: str) -> None:
    client.acl_setuser(
        "keeper", enabled=True, passwords=["+pw"], keys=["*"], categories=["+@all"], commands=["-bgrewriteaof"]
    )
    with redis.Redis.from_url(f"redis://keeper:pw@{redis_url.rsplit('@', 1)[1]}", decode_responses=True) as limited:
        [left] = disk.rewrite_redis(limited, None)
    assert "BGREWRITEAOF" in left
    client.acl_deluser("keeper")


def test_a_chroma_elsewhere_is_named_with_what_to_run_there() -> None:
    [left] = disk.compact_chroma(None, "http://10.0.0.1:8000")
    assert "http://10.0.0.1:8000" in left
    assert "python -m knowledge.compact" in left


def test_a_chroma_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "chroma.sqlite3").write_bytes(b"this is no database at all" * 100)
    [left] = disk.compact_chroma(tmp_path, "")
    assert "chroma.sqlite3" in left
    assert disk.compact_chroma(tmp_path / "none", "") == []


def test_what_chroma_has_freed_does_not_get_into_the_files_of_new_collections(
    settings: Callable[..., Any], tmp_path: Path, wait_until: Callable[..., Any]
) -> None:
    """Without the allocator's help 20 of these 30 hold the word in an index file, none of them in a passage's place."""
    member = ChromaMember(settings())
    member.choose()
    (tmp_path / "run").mkdir()
    chroma = Connection(StoreConfig(member.url))
    child = Child(member.argv(), tmp_path / "log", tmp_path / "run", member.environment())
    try:
        wait_until(lambda: not member.problem(child.pid), 60, "Chroma healthy")
        ids = [str(at) for at in range(20)]
        for number in range(30):
            chroma.client().create_collection(f"notes-{number}").add(
                ids=ids,
                documents=[f"The {WORD} sleeps {'and sleeps ' * at}" for at in range(20)],
                metadatas=[{"title": f"{WORD} " * (at + 1)} for at in range(20)],
                embeddings=[[float(at)] * 384 for at in range(20)],
            )
    finally:
        chroma.close()
        child.stop(10)
    files = list((tmp_path / "data").rglob("*.bin"))
    assert len(files) >= 30
    assert [path for path in files if WORD.encode() in path.read_bytes()] == []
