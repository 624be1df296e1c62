"""A small hub on loopback: tree listing, ranged downloads, and faults on demand."""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

REPO = "microsoft/Phi-3.5-mini-instruct-onnx"
FOLDER = "cpu_and_mobile/cpu-int4-awq-block-128-acc-level-4"


def make_onnx(weights: str | None = None) -> bytes:
    """A graph of one tensor, its data in the file ``weights`` when one is named."""
    import onnx
    from onnx import TensorProto, helper

    tensor = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    if weights:
        tensor.ClearField("float_data")
        tensor.raw_data = b"\0" * 8
        onnx.external_data_helper.set_external_data(tensor, weights, length=8)
        tensor.ClearField("raw_data")
    graph = helper.make_graph([], "g", [], [], [tensor])
    return helper.make_model(graph).SerializeToString()


def model_files() -> dict[str, bytes]:
    """The files of a model's folder, whole."""
    return {
        "genai_config.json": json.dumps({"model": {"decoder": {"filename": "model.onnx"}}}).encode(),
        "model.onnx": make_onnx("model.onnx.data"),
        "model.onnx.data": bytes(range(256)) * 8192,
        "tokenizer.json": b"{}",
    }


class FakeHub:
    """A hub: ``files`` are the repository's; the attributes below make it fail."""

    def __init__(self) -> None:
        self.repo = REPO
        self.commit = "a" * 40
        self.files = {f"{FOLDER}/{name}": data for name, data in model_files().items()}
        self.files["README.md"] = b"not of the folder"
        self.files["gpu/model.onnx.data"] = b"x" * 1000
        self.status = 200
        self.error_code = ""
        self.cut_after: dict[str, int] = {}
        self.lie: dict[str, bytes] = {}
        self.ranges: list[tuple[str, str | None]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                outer.get(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        self.httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.httpd.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.httpd.server_address[1]}"
        self.thread = threading.Thread(target=self.httpd.serve_forever, kwargs={"poll_interval": 0.02})
        self.thread.start()

    def close(self) -> None:
        self.httpd.shutdown()
        self.httpd.server_close()
        self.thread.join(5)

    def get(self, handler: BaseHTTPRequestHandler) -> None:
        path = handler.path.partition("?")[0]
        if self.status != 200:
            self.send(handler, self.status, b"{}", {"X-Error-Code": self.error_code} if self.error_code else {})
        elif re.fullmatch(rf"/api/models/{self.repo}(/revision/[^/]+)?", path):
            self.send_json(
                handler, {"id": self.repo, "modelId": self.repo, "sha": self.commit, "siblings": [], "tags": []}
            )
        elif (match := re.fullmatch(rf"/api/models/{self.repo}/tree/{self.commit}/?(.*)", path)) is not None:
            self.tree(handler, match[1].replace("%2F", "/"))
        elif (match := re.fullmatch(rf"/{self.repo}/resolve/{self.commit}/(.*)", path)) is not None:
            self.resolve(handler, match[1].replace("%2F", "/"))
        else:
            self.send(handler, 404, b"{}", {"X-Error-Code": "RepoNotFound"})

    def tree(self, handler: BaseHTTPRequestHandler, folder: str) -> None:
        prefix = f"{folder}/" if folder else ""
        entries: list[dict[str, Any]] = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": f"{folder}/sub"}]
        for path, data in self.files.items():
            if path.startswith(prefix):
                git = hashlib.sha1(f"blob {len(data)}\0".encode() + data).hexdigest()
                entry: dict[str, Any] = {"type": "file", "oid": git, "size": len(data), "path": path}
                if len(data) > 10_000:
                    sha = hashlib.sha256(data).hexdigest()
                    entry["lfs"] = {"oid": sha, "size": len(data), "pointerSize": 134}
                entries.append(entry)
        if len(entries) == 1:
            self.send(handler, 404, b"{}", {"X-Error-Code": "EntryNotFound"})
        else:
            self.send_json(handler, entries)

    def resolve(self, handler: BaseHTTPRequestHandler, path: str) -> None:
        asked = handler.headers.get("Range")
        self.ranges.append((Path(path).name, asked))
        data = self.lie.get(path, self.files[path])
        start = int(asked.removeprefix("bytes=").partition("-")[0]) if asked else 0
        body = data[start:]
        # Said, or a client may send its next request on a connection that is about to be closed.
        headers = {"ETag": '"x"', "X-Repo-Commit": self.commit, "Connection": "close"}
        if asked:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        handler.send_response(206 if asked else 200)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.close_connection = True
        cut = self.cut_after.pop(path, None)
        try:
            handler.wfile.write(body if cut is None else body[:cut])
            handler.wfile.flush()
            if cut is not None:
                handler.connection.shutdown(socket.SHUT_RDWR)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client left, as some tests have it

    def send_json(self, handler: BaseHTTPRequestHandler, value: Any) -> None:
        self.send(handler, 200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def send(self, handler: BaseHTTPRequestHandler, status: int, body: bytes, headers: dict[str, str]) -> None:
        handler.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(body)

    def fetched(self) -> list[str]:
        """Names of the files whose bytes were asked for."""
        return [name for name, _ in self.ranges]


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    made = FakeHub()
    yield made
    made.close()


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """A local folder that holds a whole model."""
    folder = tmp_path / "local" / "my-model"
    folder.mkdir(parents=True)
    for name, data in model_files().items():
        (folder / name).write_bytes(data)
    return folder
