"""What a hostile client can send, against a real gateway that asks for keys: no crash, no stall, nobody else's data.

docs/security.md has the table of what is tried here and what happens.
"""

from __future__ import annotations

import json
import re
import secrets
import socket
import time
from contextlib import ExitStack

import httpx
import pytest
from fastapi.routing import APIRoute

from gateway.http import app as http_app
from workers.access.key import KeySpec
from workers.settings import Settings

pytestmark = pytest.mark.service

ROUTES = sorted(
    (method, route.path)
    for module in http_app.ROUTERS
    for route in module.router.routes
    if isinstance(route, APIRoute)
    for method in route.methods
)
WRITING = [(method, path) for method, path in ROUTES if method in ("POST", "PUT", "PATCH")]
SLOW = 5.0
"""Seconds that no single answer may take."""


@pytest.fixture(scope="module")
def http_settings(redis_server, chroma_server, tmp_path_factory):
    return Settings(
        data_dir=tmp_path_factory.mktemp("hostile") / "data",
        redis_url=redis_server,
        chroma_url=chroma_server,
        key_prefix=f"x{secrets.token_hex(4)}",
        allow_fake_engine=True,
        require_key=True,
        webhook_allow="127.0.0.1:9",
    )


@pytest.fixture(scope="module")
def keys(gateway):
    """A key for everything of each tenant, and some that should open nothing."""
    access = gateway.service.access
    everything = {"alice": {}, "bob": {}, "admin": {"scopes": frozenset({"admin"})}}
    made = {
        name: access.create(KeySpec(tenant=name, **({"scopes": spec["scopes"]} if "scopes" in spec else {})))[1]
        for name, spec in everything.items()
    }
    _, text = access.create(KeySpec(tenant="alice", expires_in=0.001))
    made["expired"] = text
    revoked, made["revoked"] = access.create(KeySpec(tenant="alice"))
    access.revoke(revoked.id)
    time.sleep(0.01)
    return made


@pytest.fixture(scope="module")
def ask(gateway, keys):
    """``ask("POST", path, key="alice", …)``; nothing may fail on our side, hang, or say how we are built."""

    def send(method, path, key="alice", **more):
        headers = {"Authorization": f"Bearer {keys.get(key, key)}"} if key else {}
        began = time.monotonic()
        answer = gateway.http.request(method, path, headers={**headers, **more.pop("headers", {})}, **more)
        assert time.monotonic() - began < SLOW, (method, path)
        assert answer.status_code < 500, (method, path, answer.status_code, answer.text[:500])
        assert "Traceback" not in answer.text
        assert 'File "' not in answer.text
        if answer.status_code >= 400:
            problem(answer)
        return answer

    return send


def problem(answer):
    """The stable code of a refusal, in our shape or OpenAI's."""
    body = answer.json()
    code = body["code"] if "code" in body else body["error"]["code"]
    assert code, body
    return code


def filled(path):
    return re.sub(r"\{[^}]*\}", "0" * 32, path)


def deep(opening, closing, times=100_000):
    return opening * times + closing * times


JOB = '"kind": "complete", "model": "fake:echo", "input": {"prompt": "x"}'
BODIES = {
    "nested lists": deep("[", "]"),
    "nested objects": deep('{"a":', "1" + "}", 50_000).replace("1}", "1}", 1),
    "nested in a field": '{"metadata": ' + deep("[", "]") + "}",
    "a list that never ends": "[" * 200_000,
    "a huge number": '{"max_attempts": 1e999999}',
    "a number of many digits": '{"max_attempts": ' + "9" * 200_000 + "}",
    "a long fraction": '{"delay": 0.' + "1" * 100_000 + "}",
    "not a number": '{"delay": NaN, "deadline": -Infinity}',
    "keys twice": "{" + JOB + ', "tenant": "alice", "tenant": "bob"}',
    "a hundred thousand keys": "{" + ",".join(f'"k{n}": {n}' for n in range(100_000)) + "}",
    "half a million messages": '{"kind": "chat", "input": {"messages": [' + "{}," * 500_000 + "{}]}}",
    "half a character": '{"kind": "complete", "model": "fake:echo", "input": {"prompt": "\\ud800"}}',
    "a null character": '{"name": "a\\u0000b", "tenant": "a\\u0000"}',
    "not UTF-8": b'{"name": "\xff\xfe"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "a BOM": b'\xef\xbb\xbf{"name": "x"}',
    "nothing": b"",
    "only blanks": b" " * 100_000,
    "null": b"null",
    "a list": b"[]",
    "a string": b'"x"',
    "cut off": b'{"name": "x',
    "two documents": b'{"name": "x"}{"name": "y"}',
    "types of a stranger": '{"__class__": "os.system", "$ref": "file:///etc/passwd", "py/object": "os.system"}',
    "a prototype": '{"__proto__": {"admin": true}, "constructor": {"prototype": {}}}',
    "regular expressions": json.dumps({"name": "a" * 50_000 + "!", "tenant": "." * 50_000, "cron": "* " * 20_000}),
    "long words": json.dumps({"url": "https://" + "a" * 100_000, "cron": "9" * 100_000, "tz": "../" * 10_000}),
}


@pytest.mark.parametrize("what", BODIES)
def test_bodies(ask, what):
    body = BODIES[what]
    for method, path in WRITING:
        answer = ask(method, filled(path), content=body, headers={"Content-Type": "application/json"})
        if what != "keys twice" and answer.status_code < 300:
            assert "{" in path or path.startswith(("/v1/attachments", "/v1/documents")), (path, answer.text[:300])


@pytest.mark.parametrize("path", ["/v1/jobs", "/v1/webhooks"])
def test_a_key_twice_reaches_no_other_tenant(ask, path, gateway):
    before = len(gateway.service.list("bob"))
    ask("POST", path, content=BODIES["keys twice"], headers={"Content-Type": "application/json"})
    assert len(gateway.service.list("bob")) == before


@pytest.mark.parametrize(
    "kind",
    [
        *("text/plain", "application/xml", "application/x-www-form-urlencoded", "multipart/form-data", "image/png"),
        *("application/json; charset=utf-7", "application/json; charset=nonsense", "", "x" * 2000, "a/b; c=\xff"),
        *("multipart/form-data; boundary=", "multipart/form-data; boundary=" + "b" * 5000, "application/jsonp"),
    ],
)
def test_content_types(ask, kind):
    for method, path in WRITING[:: 1 if kind == "text/plain" else 4]:
        ask(
            method,
            filled(path),
            content=b'{"kind": "complete", "input": {"prompt": "x"}}',
            headers={"Content-Type": kind.encode("latin-1")},
        )


def test_bodies_that_say_they_are_packed_are_not_unpacked(ask):
    """No route unpacks: a zip bomb is bytes that are no JSON."""
    import gzip

    for coding in ("gzip", "deflate", "br", "identity, gzip"):
        for path in ("/v1/jobs", "/v1/webhooks", "/v1/schedules"):
            headers = {"Content-Type": "application/json", "Content-Encoding": coding}
            assert ask("POST", path, content=gzip.compress(b"[" * 10_000_000), headers=headers).status_code == 400


B = "----b"


def part(disposition, body="x", more=""):
    return f"--{B}\r\nContent-Disposition: {disposition}\r\n{more}\r\n{body}\r\n"


END = f"--{B}--\r\n"
FILE = 'form-data; name="file"; filename="a.txt"'
FORMS = {
    "no end": part(FILE),
    "no parts": END,
    "empty": "",
    "garbage": "\x00\x01" * 5000,
    "another boundary": part(FILE).replace(B, "other") + END,
    "no disposition": f"--{B}\r\nX: y\r\n\r\nx\r\n" + END,
    "no name": part('form-data; filename="a.txt"') + END,
    "no headers": f"--{B}\r\n\r\nx\r\n" + END,
    "headers without end": f"--{B}\r\nContent-Disposition: " + "x" * 100_000,
    "a huge header": part(FILE, more="X-Large: " + "y" * 100_000 + "\r\n") + END,
    "many headers": part(FILE, more="".join(f"X-{n}: y\r\n" for n in range(5000))) + END,
    "many files": part(FILE) * 2000 + END,
    "many fields": "".join(part(f'form-data; name="f{n}"') for n in range(5000)) + END,
    "a huge field": part('form-data; name="purpose"', "p" * 2_000_000) + part(FILE) + END,
    "the field twice": part('form-data; name="purpose"', "batch") * 2 + part(FILE) + END,
    "a part in a part": part(FILE, more="Content-Type: multipart/mixed; boundary=c\r\n", body="--c\r\n\r\nx\r\n--c--")
    + END,
    "a packed part": part(FILE, more="Content-Transfer-Encoding: base64\r\n") + END,
    "a name that is no text": part('form-data; name="\\"\\"; x"; filename="\x80"') + END,
    "line feeds only": (part(FILE) + END).replace("\r\n", "\n"),
    "much after the end": part(FILE) + END + "z" * 500_000,
}


@pytest.mark.parametrize("what", FORMS)
def test_forms(ask, what):
    headers = {"Content-Type": f"multipart/form-data; boundary={B}"}
    for path in ("/v1/attachments", "/v1/documents", "/v1/files", "/v1/jobs"):
        ask("POST", path, content=FORMS[what].encode("latin-1"), headers=headers)


NAMES = [
    *("../../../../tmp/phiq-hostile", "..\\..\\phiq-hostile", "/tmp/phiq-hostile", "C:\\phiq-hostile", "~/.ssh/x"),
    *("a\x00.txt", ".", "..", "", " ", "a" * 5000 + ".txt", "\u202etxt.exe", "CON", "a/b/../c.txt", "%2e%2e%2fx"),
    *(
        "x\r\nSet-Cookie: a=b",
        "file:///etc/passwd",
        "|id",
        "$(id)",
        "`id`",
        "'; DROP TABLE x; --",
        "<script>x</script>",
    ),
]


@pytest.mark.parametrize("name", NAMES)
def test_file_names(ask, gateway, name):
    """They are words, never paths: nothing is written by them, and nothing else read."""
    folder = gateway.settings.data_dir
    outside = {path for path in folder.parent.rglob("*") if not path.is_relative_to(folder)}
    for path in ("/v1/attachments", "/v1/documents", "/v1/files"):
        answer = ask("POST", path, files={"file": (name, b"some words", "text/plain")}, data={"purpose": "batch"})
        said = answer.json()
        for word in ("name", "filename"):
            assert "/" not in str(said.get(word, ""))
            assert "\x00" not in str(said.get(word, ""))
        for one in said.get("documents", []):
            assert "/" not in one["source"]
    ask("POST", "/v1/documents", params={"name": name, "source": name or "x"}, content=b"words")
    assert {path for path in folder.parent.rglob("*") if not path.is_relative_to(folder)} == outside
    for kept in folder.rglob("*"):
        assert "phiq-hostile" not in kept.name


TRICKS = [
    *("/../../etc/passwd", "/v1/jobs/../../etc/passwd", "/v1/jobs/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/v1/jobs/%00"),
    *("/v1/files/..%2f..%2fetc%2fpasswd/content", "/v1/jobs/" + "a" * 20_000, "/v1/models/../../../etc/passwd"),
    *("/v1/models/onnx:..%2f..%2f..%2fetc", "//evil.example/v1/jobs", "/v1/jobs/%ff%fe", "/v1/webhooks/a:b/deliveries"),
    *(
        "/v1/jobs?before=" + "x" * 20_000,
        "/v1/jobs?limit=-1",
        "/v1/jobs?limit=99999999999999999999",
        "/v1/jobs?state=x",
    ),
    *("/v1/collections/..%2f..", "/v1/documents/Li4vLi4?collection=../..", "/v1/documents/%F0%9F%92%A9", "/v1/jobs/*"),
    *("/v1/jobs/" + "0" * 32 + "/events?after=' OR 1=1", "/V1/JOBS", "/v1//jobs", "/v1/jobs/%0d%0aX:y", "/v1/keys/*"),
]


@pytest.mark.parametrize("path", TRICKS)
def test_paths(ask, path):
    for method in ("GET", "POST", "PROPFIND"):
        answer = ask(method, path)
        assert "root:" not in answer.text
        assert "set-cookie" not in answer.headers
        assert "x" not in answer.headers


def test_ids_in_paths_are_no_patterns_and_no_other_keys(ask, gateway):
    """An id becomes part of a key in Redis: what is no id is nobody's."""
    for trick in ("*", "[0-9a-f]" * 4, "jobs:alice", "0" * 32 + ":x"):
        for method, path in ROUTES:
            if "{" in path and "metrics" not in path and "limits" not in path:
                answer = ask(method, re.sub(r"\{[^}]*\}", trick, path), json={})
                assert answer.status_code in (400, 401, 403, 404, 405, 415), (method, path, trick, answer.text[:200])


OPEN = {"/healthz", "/readyz", "/metrics"}


@pytest.mark.parametrize(
    "key",
    [
        *("", "expired", "revoked", "phiq_sk_", "x" * 100_00, "phiq_sk_" + "a" * 60, "null", "Bearer x", "\xff\xfe"),
        *("phiq_sk_*", "phiq_sk_../../x_y", "phiq_pk_" + "0" * 60, "sk-proj-abc", "admin"),
    ],
)
def test_keys_that_open_nothing(gateway, keys, key):
    text = keys.get(key, key)
    headers = {"Authorization": b"Bearer " + text.encode("latin-1")} if key else {}
    # Every route for a few of them, a few routes for every one.
    for method, path in ROUTES if key in ("", "expired") else ROUTES[:3]:
        if path in OPEN:
            continue
        answer = gateway.http.request(method, filled(path), headers=headers, content=b"{}")
        if key == "admin":
            assert answer.status_code < 500
            continue
        assert answer.status_code in (401, 403), (method, path, answer.status_code, answer.text[:200])
        assert "WWW-Authenticate" in answer.headers or answer.status_code == 403
        if len(text) > 10:
            assert text not in answer.text, "a key is not said back"


@pytest.mark.parametrize(
    "headers",
    [
        {"Authorization": "Basic YTpi"},
        {"Authorization": "Bearer"},
        {"X-Api-Key": "ALICE"},
        {"Cookie": "key=ALICE"},
        {"X-Forwarded-For": "127.0.0.1", "Host": "127.0.0.1"},
        {"X-Original-URL": "/healthz", "X-Rewrite-URL": "/healthz"},
        {"X-Http-Method-Override": "GET"},
    ],
)
def test_other_ways_in(gateway, keys, headers):
    headers = {name: value.replace("ALICE", keys["alice"]) for name, value in headers.items()}
    assert gateway.http.get("/v1/jobs", headers=headers).status_code == 401
    assert gateway.http.get(f"/v1/jobs?key={keys['alice']}&api_key={keys['alice']}").status_code == 401


def test_a_key_does_no_more_than_its_scopes(gateway):
    text = gateway.service.access.create(KeySpec(tenant="alice", scopes=frozenset({"models:read"})))[1]
    allowed = set()
    for method, path in ROUTES:
        answer = gateway.http.request(method, filled(path), headers={"Authorization": f"Bearer {text}"}, content=b"{}")
        if answer.status_code not in (401, 403):
            allowed.add(path)
    assert allowed - OPEN <= {"/v1/models", "/v1/models/{model:path}", "/v1/models/{model}"}


@pytest.fixture(scope="module")
def belongings(ask):
    """One of everything of Alice's: what stands in a path, by its name there."""
    job = ask("POST", "/v1/jobs", json={"kind": "complete", "input": {"prompt": "x"}, "model": "fake:echo"}).json()
    line = {"custom_id": "1", "method": "POST", "url": "/v1/completions", "body": {"model": "fake:echo", "prompt": "x"}}
    file = ask(
        "POST", "/v1/files", files={"file": ("a.jsonl", json.dumps(line).encode())}, data={"purpose": "batch"}
    ).json()
    batch = ask(
        "POST",
        "/v1/batches",
        json={"input_file_id": file["id"], "endpoint": "/v1/completions", "completion_window": "24h"},
    ).json()
    hook = ask("POST", "/v1/webhooks", json={"name": "alices", "url": "http://127.0.0.1:9/"}).json()
    delivery = ask("POST", "/v1/webhooks/alices/test").json()
    ask(
        "POST",
        "/v1/schedules",
        json={
            "name": "alices",
            "cron": "0 0 1 1 *",
            "job": {"kind": "complete", "input": {"prompt": "x"}, "model": "fake:echo"},
        },
    )
    ask("POST", "/v1/documents", params={"collection": "alices", "name": "a.txt"}, content=b"words of Alice's")
    assert {"id", "url"} <= {*job, *file, *hook}
    return {
        "job_id": job["id"],
        "file_id": file["id"],
        "batch_id": batch["id"],
        "name": "alices",
        "delivery_id": delivery["id"],
        "document_id": "YS50eHQ",
        "ref": "1" * 64,
    }


ADMINS = ("/v1/keys", "/v1/tenants", "/v1/queues", "/v1/audit", "/v1/workers", "/v1/models", "/v1/stats")


def test_what_is_anothers_is_answered_as_if_it_were_not_there(ask, belongings):
    looked = 0
    for method, path in ROUTES:
        names = re.findall(r"\{(\w+)", path)
        if not names or path.startswith(ADMINS):
            continue
        assert set(names) <= set(belongings), f"{path}: say in this test what belongs to Alice"
        looked += 1

        def at(values, path=path):
            query = f"?collection={values['name']}" if "documents" in path else ""
            return re.sub(r"\{(\w+)[^}]*\}", lambda found: values[found.group(1)], path) + query

        nobodys = {name: "nobodys" if name == "name" else "0" * len(value) for name, value in belongings.items()}
        nobodys |= {
            "file_id": "file-" + "0" * 32,
            "batch_id": "batch_" + "0" * 32,
            "document_id": belongings["document_id"],
        }
        theirs = ask(method, at(belongings), key="bob", json={})
        missing = ask(method, at(nobodys), key="bob", json={})
        assert theirs.status_code == missing.status_code == 404, (
            method,
            path,
            theirs.text,
            missing.text,
        )
        same = theirs.text
        for name, value in belongings.items():
            same = same.replace(value, nobodys[name])
        assert same == missing.text, (method, path)
    assert looked > 20


def test_lists_show_nothing_of_another(ask, belongings):
    for method, path in ROUTES:
        if method != "GET" or "{" in path or path in OPEN or path.startswith(ADMINS):
            continue
        answer = ask("GET", path, key="bob")
        for value in belongings.values():
            assert value not in answer.text, path
    assert ask("GET", f"/v1/jobs?before={belongings['job_id']}", key="bob").status_code in (404, 200)
    taken = {"kind": "complete", "input": {"prompt": "x"}, "model": "fake:echo", "tenant": "alice"}
    assert problem(ask("POST", "/v1/jobs", key="bob", json=taken)) == "scope_missing"
    batch = {"input_file_id": belongings["file_id"], "endpoint": "/v1/completions", "completion_window": "24h"}
    assert ask("POST", "/v1/batches", key="bob", json=batch).status_code in (400, 404)
    job = {"kind": "complete", "input": {"prompt": "x"}, "model": "fake:echo", "webhook": "alices"}
    assert problem(ask("POST", "/v1/jobs", key="bob", json=job)) == "webhook_not_found"


WIRE = {
    "two lengths": b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 30\r\n\r\n{}",
    "length and chunks": b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "a length below nothing": b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n{}",
    "a length that is no number": b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 0x10\r\n\r\n{}",
    "a chunk too large to count": b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"f" * 40
    + b"\r\nx\r\n",
    "a chunk with a word": b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"zz\r\nx\r\n0\r\n\r\n",
    "a strange encoding": b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n{}",
    "encodings twice": b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n"
    b"Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "a blank before the colon": b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length : 2\r\n\r\n{}",
    "no host": b"GET /v1/jobs HTTP/1.1\r\n\r\n",
    "two hosts": b"GET /v1/jobs HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "an empty line of a request": b"\r\n\r\n\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200 + b"\r\n\r\n",
    "words of another protocol": b"*1\r\n$8\r\nFLUSHALL\r\n\r\n",
    "HTTP/2 at once": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 100,
    "HTTP/0.9": b"GET /v1/jobs\r\n\r\n",
    "another address": b"GET http://169.254.169.254/ HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n",
    "a tunnel": b"CONNECT 169.254.169.254:80 HTTP/1.1\r\nHost: 169.254.169.254\r\n\r\n",
    "a header of nulls": b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n",
    "a folded header": b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n",
    "many headers": b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\n"
    + b"".join(b"X-%d: y\r\n" % n for n in range(8000))
    + b"\r\n",
    "a huge header": b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 200_000 + b"\r\n\r\n",
    "a huge line": b"GET /" + b"y" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a line that never ends": b"GET /" + b"y" * 200_000,
    "line feeds only": b"GET /v1/jobs HTTP/1.1\nHost: x\n\n",
    "a hundred requests at once": b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\n\r\n" * 100,
    "an upgrade": b"GET /v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Key: eHh4\r\nSec-WebSocket-Version: 13\r\n\r\n",
    "an expectation": b"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nExpect: 200-maybe\r\nContent-Length: 2\r\n\r\n{}",
}


@pytest.mark.parametrize("what", WIRE)
def test_the_wire(gateway, what):
    """Refused or cut off; never a request smuggled behind another, and the next client is served."""
    with socket.create_connection(("127.0.0.1", gateway.port), timeout=10) as connection:
        data = b""
        try:
            connection.sendall(WIRE[what])
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                data += piece
        except OSError:
            pass
    statuses = [int(one) for one in re.findall(rb"HTTP/1\.[01] (\d{3})", data)]
    assert all(400 <= status < 500 or status == 505 for status in statuses), (statuses, data[:300])
    assert len(statuses) <= (100 if "hundred" in what else 1), "one answer to one request"
    assert gateway.http.get("/healthz").status_code == 200


def test_many_connections_that_say_nothing_hold_nobody_up(gateway):
    """Ten thousand are in benchmarks/bench_connections.py; here as many as a test may open."""
    with ExitStack() as stack:
        for n in range(400):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", gateway.port), timeout=10))
            if n % 2:
                connection.sendall(b"GET /v1/jobs HTTP/1.1\r\nX-Slow: ")
        took = []
        for _ in range(20):
            began = time.monotonic()
            assert gateway.http.get("/healthz").status_code == 200
            took.append(time.monotonic() - began)
    assert sorted(took)[10] < 1.0


def test_a_page_of_elsewhere_reads_nothing(gateway, keys):
    for origin in (
        "https://evil.example",
        "null",
        "http://127.0.0.1.evil.example",
        f"http://127.0.0.1:{gateway.port}x",
    ):
        answer = gateway.http.get("/v1/jobs", headers={"Origin": origin, "Authorization": f"Bearer {keys['alice']}"})
        assert "access-control-allow-origin" not in answer.headers
        preflight = gateway.http.options(
            "/v1/jobs", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
        )
        assert preflight.status_code == 403


def test_answers_are_never_taken_for_pages(ask):
    answer = ask("GET", "/v1/jobs/<script>alert(1)</script>")
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_it_still_works(ask, gateway):
    """After all of that."""
    with httpx.Client(base_url=gateway.url, trust_env=False) as fresh:
        assert fresh.get("/readyz").status_code == 200
    job = {"kind": "complete", "input": {"prompt": "x"}, "model": "fake:echo"}
    assert ask("POST", "/v1/jobs", json=job).status_code == 202
