"""/v1/files and /v1/batches, by the official openai client and by clients that mean no good."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import openai
import pytest
from typer.testing import CliRunner

from gateway.cli import app, connection
from gateway.client import Client
from workers.settings import Settings


@pytest.fixture(scope="module")
def http_settings(http_settings):
    return http_settings.model_copy(update={"batch_bytes": 100_000})


@pytest.fixture(scope="module")
def client(gateway, worker):
    with openai.OpenAI(base_url=f"{gateway.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def lines(*texts: str) -> io.BytesIO:
    job = {"kind": "complete", "model": "fake:echo"}
    found = [{"custom_id": f"n-{at}", "job": {**job, "input": {"prompt": text}}} for at, text in enumerate(texts)]
    return io.BytesIO("".join(json.dumps(one) + "\n" for one in found).encode())


def ended(client, batch_id, wait_until):
    wait_until(lambda: client.batches.retrieve(batch_id).status in ("completed", "failed", "cancelled"), 60)
    return client.batches.retrieve(batch_id)


def test_the_official_client_uploads_runs_and_reads_a_batch(client, wait_until):
    file = client.files.create(file=("../../etc/in.jsonl", lines("one two", "three")), purpose="batch")
    assert (file.filename, file.purpose, file.bytes > 0) == ("in.jsonl", "batch", True)
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/jobs", completion_window="24h", metadata={"night": "1"}
    )
    assert (batch.status, batch.metadata, batch.expires_at - batch.created_at) == ("validating", {"night": "1"}, 86400)
    done = ended(client, batch.id, wait_until)
    assert (done.status, done.request_counts.completed, done.usage.output_tokens) == ("completed", 2, 3)
    out = [json.loads(line) for line in client.files.content(done.output_file_id).text.splitlines()]
    assert [(one["custom_id"], one["result"]["text"]) for one in out] == [("n-0", "one two"), ("n-1", "three")]
    assert done.id in [one.id for one in client.batches.list()]
    assert {one.purpose for one in client.files.list()} == {"batch", "batch_output"}
    assert [one.id for one in client.files.list(purpose="batch", limit=1)] == [file.id]
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError) as caught:
        client.files.retrieve(file.id)
    assert caught.value.code == "file_not_found"
    with pytest.raises(openai.ConflictError):
        client.batches.cancel(done.id)


def test_what_is_wrong_with_the_lines_is_in_the_batch(client, wait_until):
    bad = b'{"custom_id": "a"}\nno json\n\xff\n{"custom_id": "b", "job": {}}\n{"custom_id": "b", "job": {}}\n'
    file = client.files.create(file=("in.jsonl", bad), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/jobs", completion_window="24h")
    done = ended(client, batch.id, wait_until)
    assert (done.status, done.output_file_id, done.failed_at is not None) == ("failed", None, True)
    assert [(one.line, one.code) for one in done.errors.data] == [
        (1, "missing_required_parameter"),
        (2, "invalid_json_line"),
        (3, "invalid_encoding"),
        (5, "duplicate_custom_id"),
    ]


def test_a_running_batch_keeps_its_file_and_is_cancelled(client, wait_until):
    slow = json.dumps({"custom_id": "s", "job": {"kind": "complete", "input": {"prompt": "x"},
                       "model": "fake:words?count=500&rate=10"}}).encode()  # fmt: skip
    file = client.files.create(file=("slow.jsonl", slow), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint="/v1/jobs", completion_window="1h")
    wait_until(lambda: client.batches.retrieve(batch.id).status == "in_progress", 30)
    with pytest.raises(openai.ConflictError):
        client.files.delete(file.id)
    assert client.batches.cancel(batch.id).status == "cancelling"
    done = ended(client, batch.id, wait_until)
    assert (done.status, done.request_counts.failed) == ("cancelled", 1)
    error = json.loads(client.files.content(done.error_file_id).text)
    assert (error["custom_id"], error["error"]["code"]) == ("s", "batch_cancelled")


def test_lines_of_openais_endpoints_are_answered_in_its_shapes(client, wait_until):
    bodies = {
        "/v1/chat/completions": {
            "model": "fake:echo",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "one two"}]}],
            "max_tokens": 1,
        },
        "/v1/completions": {"model": "fake:echo", "prompt": "one two"},
        "/v1/responses": {"model": "fake:echo", "input": "one two", "instructions": "Echo."},
        "/v1/embeddings": {"model": "any", "input": ["one", "two"], "encoding_format": "base64"},
    }
    batches = {}
    for url, body in bodies.items():
        found = [{"custom_id": "good", "method": "POST", "url": url, "body": body}]
        found += [{"custom_id": "bad", "method": "POST", "url": url, "body": body | {"surprise": 1}}]
        data = "".join(json.dumps(one) + "\n" for one in found).encode()
        file = client.files.create(file=("in.jsonl", data), purpose="batch")
        batches[url] = client.batches.create(input_file_id=file.id, endpoint=url, completion_window="24h")
    answers = {}
    for url, batch in batches.items():
        done = ended(client, batch.id, wait_until)
        assert (done.request_counts.completed, done.request_counts.failed) == (1, 1)
        line = json.loads(client.files.content(done.output_file_id).text)
        assert (line["custom_id"], line["response"]["status_code"], line["error"]) == ("good", 200, None)
        answers[url] = line["response"]["body"]
        error = json.loads(client.files.content(done.error_file_id).text)["error"]
        assert error["code"] == "job_invalid"
        assert "surprise is not supported" in error["message"]
    chat = openai.types.chat.ChatCompletion.model_validate(answers["/v1/chat/completions"])
    assert (chat.choices[0].message.content, chat.choices[0].finish_reason) == ("one", "length")
    assert openai.types.Completion.model_validate(answers["/v1/completions"]).choices[0].text == "one two"
    response = openai.types.responses.Response.model_validate(answers["/v1/responses"])
    assert (response.output_text, response.status) == ("one two", "completed")
    vectors = [base64.b64decode(one["embedding"]) for one in answers["/v1/embeddings"]["data"]]
    assert [len(one) for one in vectors] == [4 * 384, 4 * 384]


def refused(answer, status, code):
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    return answer.json()["error"]


def test_uploads_that_cannot_be_taken_are_refused_in_openais_shape(gateway):
    http, form = gateway.http, {"purpose": "batch"}
    refused(http.post("/v1/files", json={}), 415, "content_type_unsupported")
    refused(http.post("/v1/files", data=form, files={"other": b"x"}), 400, "file_invalid")
    refused(http.post("/v1/files", data={"purpose": "fine-tune"}, files={"file": ("a", b"x")}), 400, "file_invalid")
    refused(http.post("/v1/files", data=form | {"odd": "1"}, files={"file": ("a", b"x")}), 400, "file_invalid")
    refused(http.post("/v1/files", data=form, files={"file": ("..", b"x")}), 400, "file_invalid")
    refused(
        http.post("/v1/files", data=form, files=[("file", ("a", b"x")), ("file", ("b", b"x"))]), 400, "file_invalid"
    )
    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    for body in (b"", b"--x\r\n", b"--x\r\nContent-Disposition: form-data\r\n\r\n\r\n--x--\r\n", b"\0" * 5000):
        refused(http.post("/v1/files", content=body, headers=kind), 400, "file_invalid")
    refused(
        http.post("/v1/files", content=b"--x", headers={"Content-Type": "multipart/form-data"}), 400, "file_invalid"
    )


def test_an_upload_above_the_limit_is_refused_however_large(gateway):
    def body(blocks: int):
        yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
        for _ in range(blocks):
            yield b"x" * 10_000
        yield b'\r\n--x\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--x--\r\n'

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    refused(gateway.http.post("/v1/files", content=body(12), headers=kind), 413, "file_too_large")
    answer = gateway.http.post("/v1/files", content=body(9), headers=kind)
    assert (answer.status_code, answer.json()["bytes"]) == (200, 90_000)
    for blocks in (30, 1000):
        answer = gateway.http.post("/v1/files", content=body(blocks), headers=kind)
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] in ("file_too_large", "body_too_large")


def test_batches_that_cannot_be_meant_are_refused_in_openais_shape(gateway):
    http = gateway.http
    good = {"input_file_id": "file-" + "0" * 32, "endpoint": "/v1/jobs", "completion_window": "24h"}
    refused(http.post("/v1/batches", json=good), 404, "file_not_found")
    refused(http.get("/v1/batches/batch_" + "0" * 32), 404, "batch_not_found")
    refused(http.get("/v1/batches", params={"after": "x"}), 404, "batch_not_found")
    assert refused(http.post("/v1/batches", json=good | {"odd": 1}), 400, "request_invalid")["param"] == "odd"
    refused(http.post("/v1/batches", json=good | {"endpoint": "/v1/moderations"}), 400, "request_invalid")
    refused(http.post("/v1/batches", json=good | {"completion_window": "31d"}), 400, "batch_invalid")


def test_files_and_batches_of_another_tenant_do_not_exist(gateway, client):
    file = gateway.service.batches.files.put(b"{}\n", "theirs.jsonl", "other")
    batch = gateway.service.batches.create("other", file.id)
    http = gateway.http
    refused(http.get(f"/v1/files/{file.id}"), 404, "file_not_found")
    refused(http.get(f"/v1/files/{file.id}/content"), 404, "file_not_found")
    refused(http.delete(f"/v1/files/{file.id}"), 404, "file_not_found")
    refused(http.get("/v1/files", params={"after": file.id}), 404, "file_not_found")
    refused(http.get(f"/v1/batches/{batch.id}"), 404, "batch_not_found")
    refused(http.post(f"/v1/batches/{batch.id}/cancel"), 404, "batch_not_found")
    body = {"input_file_id": file.id, "endpoint": "/v1/jobs"}
    refused(http.post("/v1/batches", json=body), 404, "file_not_found")
    assert batch.id not in [one.id for one in client.batches.list()]


def test_the_same_idempotency_key_is_the_same_batch(gateway):
    http, key = gateway.http, {"Idempotency-Key": "night-1"}
    files = [gateway.service.batches.files.put(b"\n", "in.jsonl", "default").id for _ in range(2)]
    body = {"input_file_id": files[0], "endpoint": "/v1/jobs"}
    first = http.post("/v1/batches", json=body, headers=key).json()["id"]
    assert http.post("/v1/batches", json=body, headers=key).json()["id"] == first
    other = body | {"input_file_id": files[1]}
    refused(http.post("/v1/batches", json=other, headers=key), 409, "idempotency_conflict")


@pytest.fixture
def remote(gateway, tmp_path, monkeypatch):
    """Let commands speak to the gateway and to nothing else."""
    with Client(settings=Settings(data_dir=tmp_path / "nothing", url=gateway.url)) as client:
        monkeypatch.setattr(connection, "connect", lambda: client)
        yield


@pytest.mark.usefixtures("remote", "worker")
def test_the_command_line_runs_batches_over_http(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.txt").write_text("one two")
    (tmp_path / "in" / "b.pdf").write_bytes(b"no page")
    out = tmp_path / "out.csv"

    def run(*arguments: object) -> Any:
        return CliRunner().invoke(app, ["batch", *map(str, arguments)])

    done = run("run", tmp_path / "in", "--task", "complete", "-m", "fake:echo", "-o", out)
    assert (done.exit_code, "1 of 2 done, 1 failed" in done.output) == (3, True), done.output
    assert "one two" in out.read_text()
    (tmp_path / "in" / "b.pdf").unlink()
    again = run("run", tmp_path / "in", "--task", "complete", "-m", "fake:echo", "-o", out, "--json")
    assert json.loads(again.stdout)["total"] == 0
    file = tmp_path / "in.jsonl"
    file.write_bytes(lines("three").getvalue())
    started = run("run", file, "--no-wait").stdout.strip()
    assert run("watch", started, "-o", tmp_path / "lines.jsonl").exit_code == 0
    assert json.loads((tmp_path / "lines.jsonl").read_text())["result"]["text"] == "three"
    assert json.loads(run("results", started).stdout)["custom_id"] == "n-0"
    assert started in run("list").stdout
    missing = run("cancel", "batch_x")
    assert (missing.exit_code, "batch_not_found" in missing.output) == (3, True)
