"""Documents over HTTP: uploaded, found, listed, deleted; and what may be sent in their place."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.client import Client
from gateway.http.documents import document_id
from gateway.http.uploads import safe_name
from workers.settings import Settings

pytestmark = [pytest.mark.service, pytest.mark.usefixtures("worker")]

LAMP = "# The lamp\n\nTo reset the lamp, hold the button for ten seconds until it blinks twice.\n"
BREAD = "# Bread\n\nMix flour, water and salt, and let the dough rest over night.\n"


@pytest.fixture(scope="module")
def http_settings(redis_server: str, chroma_server: str, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """With Chroma, a tenant of our own, and small uploads."""
    return Settings(
        data_dir=tmp_path_factory.mktemp("http"),
        redis_url=redis_server,
        chroma_url=chroma_server,
        key_prefix=f"h{secrets.token_hex(4)}",
        tenant=f"t{secrets.token_hex(4)}",
        allow_fake_engine=True,
        max_file_bytes=200_000,
        slots=2,
    )


@pytest.fixture(scope="module")
def http(gateway: Any) -> httpx.Client:
    """For plain requests."""
    made: httpx.Client = gateway.http
    return made


@pytest.fixture(scope="module")
def client(gateway: Any) -> Iterator[Client]:
    with Client(gateway.url, patience=20) as made:
        yield made


def finished(client: Client, answer: httpx.Response) -> Any:
    assert answer.status_code == 202, answer.text
    job = answer.json()["job"]
    assert answer.headers["location"] == f"/v1/jobs/{job['id']}"
    return client.job(job["id"]).result(timeout=120)


def test_upload_search_list_and_delete(http: httpx.Client, client: Client) -> None:
    where = {"collection": "house"}
    files = [("file", ("lamp.md", LAMP, "text/markdown")), ("file", ("bread.md", BREAD))]
    answer = http.post("/v1/documents", params=where, files=files)
    made = finished(client, answer)
    assert {report.source: report.status for report in made.files} == {"lamp.md": "added", "bread.md": "added"}

    found = http.post("/v1/search", json={"query": "How do I reset the lamp?", "top_k": 1, **where})
    assert found.status_code == 200, found.text
    assert [one["source"] for one in found.json()["data"]] == ["lamp.md"]
    assert client.submit("search", "reset the lamp", **where).result(timeout=60).passages[0].source == "lamp.md"

    assert http.get("/v1/collections/house").json()["documents"] == 2
    assert [one["name"] for one in http.get("/v1/collections").json()["data"]] == ["house"]
    page = http.get("/v1/documents", params={**where, "limit": 1}).json()
    assert [one["source"] for one in page["data"]] == ["bread.md"]
    rest = http.get("/v1/documents", params={**where, "after": page["next"]}).json()
    assert [one["source"] for one in rest["data"]] == ["lamp.md"]
    assert rest["next"] is None

    one = f"/v1/documents/{document_id('lamp.md')}"
    about = http.get(one, params=where).json()
    assert (about["state"], about["passages"]) == ("ready", 1)
    assert http.delete(one, params=where).status_code == 204
    assert http.get(one, params=where).status_code == 404
    assert http.delete(one, params=where).json()["code"] == "document_not_found"
    assert http.get("/v1/collections/house").json()["documents"] == 1
    assert http.delete("/v1/collections/house").status_code == 204
    for gone in ("/v1/collections/house", "/v1/documents?collection=house"):
        assert http.get(gone).json()["code"] == "collection_not_found"
    answer = http.post("/v1/search", json={"query": "lamp", **where})
    assert (answer.status_code, answer.json()["code"]) == (404, "collection_not_found")


def test_one_file_as_the_body_under_a_source_of_its_own(http: httpx.Client, client: Client) -> None:
    query = {"collection": "raw", "name": "lamp.md", "source": "https://example.org/lamp"}
    made = finished(client, http.post("/v1/documents", params=query, content=LAMP.encode()))
    assert made.files[0].source == "https://example.org/lamp"
    changed = finished(client, http.post("/v1/documents", params=query, content=LAMP.replace("ten", "five").encode()))
    assert changed.files[0].status == "replaced"


def test_the_state_of_what_can_not_be_read(http: httpx.Client, client: Client) -> None:
    answer = http.post(
        "/v1/documents", params={"collection": "bad", "name": "x.pdf"}, content=b"%PDF-1.7 no pdf at all"
    )
    made = finished(client, answer)
    assert made.files[0].status == "failed"
    about = http.get(f"/v1/documents/{answer.json()['documents'][0]['id']}", params={"collection": "bad"}).json()
    assert about["state"] == "failed"
    assert about["error"]["code"] == "document_unreadable"


def test_a_folder_is_ingested_by_upload(client: Client, tmp_path: Path) -> None:
    (tmp_path / "lamp.md").write_text(LAMP)
    (tmp_path / "bread.txt").write_text(BREAD)
    made = client.submit("ingest", tmp_path, collection="folder").result(timeout=60)
    assert {report.source for report in made.files} == {str(tmp_path / "lamp.md"), str(tmp_path / "bread.txt")}
    answer = client.submit("chat", "How is the lamp reset?", collection="folder").result(timeout=60)
    assert "ten seconds" in answer.text


def test_uploads_are_bounded_while_they_are_read(http: httpx.Client, http_settings: Settings) -> None:
    def kept() -> list[Path]:
        return [path for path in (http_settings.data_dir / "content").rglob("*") if path.is_file()]

    def endless() -> Iterator[bytes]:
        for _ in range(500):
            yield b"x" * 65536

    before = sorted(kept())
    too_large = {"file": ("a.txt", b"x" * 300_000)}
    for path in ("/v1/documents", "/v1/attachments"):
        # Without a length said before: only reading tells. It may hang up while we still send.
        fresh = httpx.Client(base_url=str(http.base_url), timeout=20, trust_env=False)
        with fresh, contextlib.suppress(httpx.WriteError):
            assert fresh.post(path, params={"name": "big.txt"}, content=endless()).status_code == 413
        assert http.post(path, files=too_large).status_code == 413
    assert sorted(kept()) == before


PART = b'--b\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\ntext\r\n--b--\r\n'
FORM = "multipart/form-data; boundary=b"


@pytest.mark.parametrize(
    ("content", "kind", "status"),
    [
        (b"", "application/octet-stream", 400),
        (b"no form", "multipart/form-data", 400),
        (b"--b\r\nbroken", FORM, 400),
        (PART % (b"file", b""), FORM, 400),
        (PART % (b"evil", b'; filename="x"'), FORM, 400),
        (PART % (b"\xff", b""), FORM, 400),
        (b"--b\r\n\r\n\r\n--b--\r\n", FORM, 400),
    ],
)
def test_broken_uploads_are_refused(http: httpx.Client, content: bytes, kind: str, status: int) -> None:
    for path in ("/v1/documents", "/v1/attachments"):
        answer = http.post(path, content=content, headers={"Content-Type": kind})
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("ident", ["x", "%00", "___", "====", "a" * 5000, "..%2f..", "é"])
def test_ids_that_are_none_are_not_found(http: httpx.Client, ident: str) -> None:
    for method in ("GET", "DELETE"):
        assert http.request(method, f"/v1/documents/{ident}").status_code == 404


@pytest.mark.parametrize("name", ["%20", "a" * 200, "x%0ay", "%00"])
def test_names_that_no_collection_has(http: httpx.Client, name: str) -> None:
    assert http.get(f"/v1/collections/{name}").status_code in (400, 404)
    assert http.delete(f"/v1/collections/{name}").status_code in (400, 404)


def test_another_tenant_sees_nothing(gateway: Any, client: Client, http: httpx.Client) -> None:
    from workers.jobs import IngestJob

    there = gateway.service.attach(("secret.md", LAMP.encode()))
    body = {"files": [{"source": "secret.md", **there.model_dump()}], "collection": "theirs"}
    job = gateway.service.submit(IngestJob.model_validate({"kind": "ingest", "tenant": "other", "input": body}))
    assert gateway.service.wait(job.id, 60, "other").state == "succeeded"
    assert "theirs" not in [one["name"] for one in http.get("/v1/collections").json()["data"]]
    assert http.get("/v1/collections/theirs").json()["code"] == "collection_not_found"
    ident = document_id("secret.md")
    assert http.get(f"/v1/documents/{ident}", params={"collection": "theirs"}).status_code == 404
    assert http.delete(f"/v1/documents/{ident}", params={"collection": "theirs"}).status_code == 404


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\win.ini", "win.ini"),
        ("/", "file"),
        ("..", "file"),
        ("", "file"),
        ("a\x00b\n.txt", "a b .txt"),
        ("evil\u202etxt.exe", "evil txt.exe"),
        ("CON:aux?.md", "CON aux .md"),
        ("x" * 500 + ".pdf", "x" * 196 + ".pdf"),
        ("\ud800.txt", "txt"),
    ],
)
def test_names_of_files_are_hardened(given: str, name: str) -> None:
    made = safe_name(given)
    assert "/" not in made
    assert made
    assert made == name


def test_a_hash_opens_nobody_elses_file(http: httpx.Client, gateway: Any, wait_until: Callable[..., Any]) -> None:
    foreign = gateway.service.attach(("secret.md", f"the other tenant's {secrets.token_hex(4)}".encode())).model_dump()
    never = {**foreign, "ref": "sha256:" + "0" * 64}
    said = []
    for one in (foreign, never):
        job = {"kind": "ingest", "input": {"files": [{"source": "x", **one}], "collection": "mine"}}
        picture = {"kind": "describe", "input": {"images": [one]}}
        for body in (job, picture):
            answer = http.post("/v1/jobs", json=body)
            said.append((answer.status_code, answer.json()["code"], answer.json()["detail"][20:]))
        scheduled = {"name": "sneaky", "cron": "0 6 * * *", "job": picture}
        assert http.post("/v1/schedules", json=scheduled).json()["code"] == "content_missing"
        line = json.dumps({"custom_id": "a", "job": picture})
        file = http.post("/v1/files", files={"file": ("x.jsonl", line)}, data={"purpose": "batch"}).json()
        body = {"input_file_id": file["id"], "endpoint": "/v1/jobs", "completion_window": "24h"}
        batch = http.post("/v1/batches", json=body).json()["id"]
        failed = wait_until(lambda batch=batch: (now := http.get(f"/v1/batches/{batch}").json())["errors"] and now)
        assert failed["status"] == "failed"
        assert failed["errors"]["data"][0]["code"] == "content_missing"
    assert len(set(said)) == 1
    assert said[0][:2] == (404, "content_missing")
    # What is uploaded is one's own, with the same bytes too.
    own = http.post("/v1/attachments", params={"name": "x.png"}, content=b"the same").json()
    assert http.post("/v1/jobs", json={"kind": "describe", "input": {"images": [own]}}).status_code == 202
