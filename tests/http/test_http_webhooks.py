"""Webhooks from end to end: over HTTP and the command line, sent by a real worker."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from standardwebhooks import Webhook
from typer.testing import CliRunner

from gateway.cli import app
from gateway.cli.connection import using
from workers.settings import Settings

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def http_settings(redis_server, tmp_path_factory):
    import secrets

    return Settings(
        data_dir=tmp_path_factory.mktemp("http"),
        redis_url=redis_server,
        key_prefix=f"h{secrets.token_hex(4)}",
        allow_fake_engine=True,
        lease_seconds=2.0,
        drain_seconds=1.0,
        webhook_allow="127.0.0.1",
    )


@pytest.fixture(scope="module")
def hook():
    """An endpoint; its ``got`` are headers and bodies."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            server.got.append((dict(self.headers.items()), body))
            self.send_response(204 if self.path == "/fine" else 500)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.got = []
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_job_is_told_by_a_real_worker(gateway, worker, hook, wait_until):
    url = f"http://127.0.0.1:{hook.server_port}"
    made = gateway.http.post("/v1/webhooks", json={"name": "crm", "url": f"{url}/fine", "filters": {"named": True}})
    assert made.status_code == 201, made.text
    secret = made.json()["secret"]
    assert "secret" not in gateway.http.get("/v1/webhooks/crm").text
    gateway.submit()
    job = gateway.submit(webhook="crm")
    wait_until(lambda: hook.got, 20, "told")
    told = Webhook(secret).verify(hook.got[0][1], hook.got[0][0])
    assert (told["type"], told["data"]["id"]) == ("job.succeeded", job)
    assert told["data"]["usage"]["completion_tokens"] > 0
    page = wait_until(lambda: gateway.http.get("/v1/webhooks/crm/deliveries?state=delivered").json()["data"], 10)
    assert [one["job"] for one in page] == [job]
    again = gateway.http.post(f"/v1/webhooks/crm/deliveries/{page[0]['id']}/replay")
    assert again.status_code == 202
    wait_until(lambda: len(hook.got) == 2, 20, "told again")
    other = gateway.http.post("/v1/webhooks", json={"name": "other", "url": f"{url}/fine", "events": ["batch.failed"]})
    assert other.status_code == 201
    assert gateway.http.get(f"/v1/webhooks/other/deliveries/{page[0]['id']}").status_code == 404
    assert hook.got[0][0]["webhook-id"] == hook.got[1][0]["webhook-id"]


@pytest.mark.parametrize("over_http", [False, True])
def test_the_command_line(gateway, worker, hook, over_http, tmp_path):
    settings = Settings(data_dir=tmp_path, url=gateway.url) if over_http else gateway.settings

    def phiq(*args, code=0):
        with using(settings):
            done = CliRunner().invoke(app, ["webhook", *args, "--json"])
        assert done.exit_code == code, done.output
        return json.loads(done.stdout) if done.stdout.strip() else None

    url = f"http://127.0.0.1:{hook.server_port}"
    made = phiq("add", "cli", f"{url}/fine", "--event", "batch.*", "--kind", "chat", "--include", "result")
    assert made["secret"].startswith("whsec_")
    assert made["events"] == ["batch.*"]
    assert phiq("test", "cli")["state"] == "delivered"
    assert phiq("rotate", "cli")["secret"] != made["secret"]
    assert phiq("show", "cli")["delivered_at"]
    phiq("add", "bad", f"{url}/fails")
    failed = phiq("test", "bad")
    assert (failed["state"], failed["status"]) == ("pending", 500)
    assert phiq("enable", "bad")["failing_since"] is None
    assert phiq("deliveries", "bad")[0]["id"] == failed["id"]
    assert phiq("drop", failed["id"])["state"] == "dropped"
    assert phiq("replay", failed["id"], code=3)["error"]["code"] == "delivery_not_found"
    assert {"bad", "cli"} <= {one["name"] for one in phiq("list")}
    phiq("remove", "bad")
    assert phiq("add", "x", "https://10.0.0.1/", code=3)["error"]["code"] == "address_refused"
    with using(settings):
        for args in (["list"], ["show", "cli"], ["deliveries"], ["test", "cli"], ["remove", "cli"]):
            assert CliRunner().invoke(app, ["webhook", *args]).exit_code == 0


def test_refusals_over_http(gateway):
    post = gateway.http.post
    assert post("/v1/webhooks", json={"name": "in", "url": "https://0x7f.1/"}).json()["code"] == "address_refused"
    assert post("/v1/webhooks", json={"name": "in", "url": "https://e.com", "events": ["x"]}).status_code == 400
    assert gateway.http.get("/v1/webhooks/none").status_code == 404
    assert post("/v1/webhooks/none/test").status_code == 404
    job = {"kind": "complete", "input": {"prompt": "x"}, "model": "fake:echo", "webhook": "none"}
    assert post("/v1/jobs", json=job).json()["code"] == "webhook_not_found"
    schema = gateway.http.get("/openapi.json").json()["components"]["schemas"]
    assert "secrets" not in schema["Endpoint"]["properties"]
