"""Bodies, headers and connections of clients that are slow, large or many."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from gateway.http import limits, protocol
from workers.access.key import KeySpec

HEAD = b"POST /v1/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"


@pytest.fixture
def dial(gateway: Any) -> Iterator[Callable[[], socket.socket]]:
    """Opens plain connections to the gateway."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), timeout=20))


def answer(connection: socket.socket) -> tuple[int, dict[str, Any]]:
    """Status and problem, read until the server closes or the answer is whole."""
    data = b""
    while b"\r\n\r\n" not in data:
        piece = connection.recv(65536)
        assert piece, f"closed after {data!r}"
        data += piece
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().lower().split("\r\n")
    size = next(int(line.split(":")[1]) for line in lines if line.startswith("content-length"))
    while len(body) < size:
        body += connection.recv(65536)
    return int(head.split()[1]), json.loads(body)


def test_a_body_that_says_it_is_too_large_is_refused_before_it_comes(gateway: Any, dial: Callable[[], socket.socket]):
    connection = dial()
    connection.sendall(HEAD + b"Content-Length: 9999999999\r\n\r\n")
    status, problem = answer(connection)
    assert (status, problem["code"]) == (413, "body_too_large")
    assert problem["limit"] < 20_000_000


def test_a_body_that_turns_out_too_large_is_refused_while_it_comes(gateway: Any):
    size = gateway.settings.max_job_bytes * 2

    def endless() -> Iterator[bytes]:
        for _ in range(0, size, 65536):
            yield b" " * 65536

    refused = gateway.http.post("/v1/jobs", content=endless(), headers={"Content-Type": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (413, "body_too_large")


def test_a_body_that_does_not_come_is_given_up(dial: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "IDLE_SECONDS", 0.2)
    connection = dial()
    connection.sendall(HEAD + b'Content-Length: 100\r\n\r\n{"kind"')
    assert answer(connection)[1]["code"] == "body_too_slow"


def test_a_body_that_trickles_is_given_up(dial: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(limits, "FREE_SECONDS", 0.2)
    connection = dial()
    connection.sendall(HEAD + b"Content-Length: 1000\r\n\r\n")
    connection.settimeout(0.05)
    for _ in range(200):
        connection.sendall(b" ")
        try:
            assert answer(connection)[1]["code"] == "body_too_slow"
            break
        except TimeoutError:
            continue
    else:
        pytest.fail("it was read for ten seconds")


def test_what_is_still_sent_after_the_answer_is_cut_off(
    dial: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 0.1)
    connection = dial()
    connection.sendall(HEAD + b"Content-Length: 9999999999\r\n\r\n")
    assert answer(connection)[0] == 413

    def send_on() -> None:
        for _ in range(100_000):
            connection.sendall(b" " * 65536)

    with pytest.raises(OSError, match=r"reset|Broken pipe|aborted"):
        send_on()


@pytest.mark.parametrize("begun", [b"", b"GET /healthz HTTP/1.1\r\nX-Slow: "])
def test_headers_that_do_not_come_are_given_up(
    begun: bytes, dial: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(protocol, "HEADERS_SECONDS", 0.2)
    connection = dial()
    connection.sendall(begun)
    try:
        assert connection.recv(1000) == b""
    except ConnectionResetError:
        pass


def test_headers_of_the_next_request_are_awaited_no_longer(
    dial: Callable[[], socket.socket], monkeypatch: pytest.MonkeyPatch
):
    connection = dial()
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer(connection)[0] == 200
    monkeypatch.setattr(protocol, "HEADERS_SECONDS", 0.2)
    connection.sendall(b"GET /healthz HTTP/1.1\r\n")
    try:
        assert connection.recv(1000) == b""
    except ConnectionResetError:
        pass


def test_huge_headers_are_refused(dial: Callable[[], socket.socket]):
    connection = dial()
    connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Large: " + b"x" * 70_000)
    assert connection.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_a_client_that_takes_nothing_is_cut_off(
    gateway: Any, monkeypatch: pytest.MonkeyPatch, wait_until: Callable[..., Any]
):
    monkeypatch.setattr(protocol, "STALL_SECONDS", 0.2)
    job_id = gateway.submit("word " * 1_000_000)  # the record is larger than all buffers on the way
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", gateway.port))
    wait_until(lambda: len(gateway.server.server_state.connections) == 2, what="it and the client of before are there")
    before = len(gateway.server.server_state.connections)
    connection.sendall(f"GET /v1/jobs/{job_id} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    wait_until(lambda: len(gateway.server.server_state.connections) < before, 10, "cut off")
    connection.close()


def test_more_connections_than_it_serves_are_told_to_come_back(
    gateway: Any, make_gateway: Callable[..., Any], wait_until: Callable[..., Any]
):
    small = make_gateway(gateway.settings.model_copy(update={"http_connections": 10}))
    connections = small.server.server_state.connections
    with ExitStack() as stack:

        def dial() -> socket.socket:
            return stack.enter_context(socket.create_connection(("127.0.0.1", small.port), timeout=20))

        held = [dial() for _ in range(10)]
        wait_until(lambda: len(connections) == 10, what="ten are open")
        late = dial()
        late.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        status, problem = answer(late)
        assert (status, problem["code"], problem["retry_after"]) == (503, "busy", 2)
        for one in held:
            one.close()
        wait_until(lambda: not connections, what="all are gone")
        assert small.http.get("/healthz").status_code == 200


def test_the_body_of_a_stranger_is_not_read(gateway: Any, make_gateway: Callable[..., Any]):
    closed = make_gateway(gateway.settings.model_copy(update={"require_key": True}))
    with socket.create_connection(("127.0.0.1", closed.port), timeout=20) as connection:
        connection.sendall(HEAD + b"Content-Length: 1000000\r\n\r\n")
        status, problem = answer(connection)
    assert (status, problem["code"]) == (401, "key_missing")
    # With a key it is read, and the key's requests are counted once.
    _, text = closed.service.access.create(KeySpec(tenant="anna", requests=5))
    headers = {"Authorization": f"Bearer {text}"}
    job = {"kind": "complete", "input": {"prompt": "x"}, "model": "fake:echo"}
    taken = closed.http.post("/v1/jobs", json=job, headers=headers)
    assert (taken.status_code, taken.json()["tenant"]) == (202, "anna")
    assert "r=4" in taken.headers["ratelimit"]
