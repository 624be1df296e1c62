"""One trace from the request to the model's call, at the wire too, and nothing of what people wrote in it."""

from __future__ import annotations

import gzip
import secrets
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

from gateway.http.app import create_app
from knowledge.types import Passage
from workers.app import worker_argv
from workers.errors import EngineDown
from workers.jobs import parse_job
from workers.lifecycle.execute import execute
from workers.runner import Runner
from workers.service import Service
from workers.settings import Settings, child_environment, traces_address
from workers.sight import tracing
from workers.sight.chains import TracedRetriever

SECRET = "xylophone"
TRACE = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


@pytest.fixture
def spans():
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.use(provider)
    yield exporter.get_finished_spans
    tracing.use(None)


@pytest.fixture
def settings(redis_server, tmp_path):
    return Settings(
        data_dir=tmp_path,
        redis_url=redis_server,
        key_prefix=f"t{secrets.token_hex(4)}",
        allow_fake_engine=True,
        lease_seconds=2.0,
    )


@pytest.fixture
def service(settings):
    made = Service.connect(settings)
    yield made
    made.close()


def complete(model="fake:echo", **fields):
    return {"kind": "complete", "model": model, "input": {"prompt": f"say {SECRET} twice"}, **fields}


def test_one_trace_from_the_request_to_the_models_call(service, settings, spans):
    client = TestClient(create_app(service), "http://127.0.0.1", client=("127.0.0.1", 1))
    answer = client.post("/v1/jobs", json=complete(), headers={"traceparent": TRACE})
    assert answer.status_code == 202, answer.text
    job = answer.json()["id"]
    runner = Runner(settings)
    execute(service.ledger.claim(job, "w"), runner)
    runner.close()
    assert service.get(job).state == "succeeded"
    found = {span.name: span for span in spans()}
    chain = ["POST /v1/jobs", "submit", "run complete", "chain complete", "generate fake:echo"]
    assert sorted(found) == sorted(chain)
    parent = int("b" * 16, 16)
    for name in chain:
        span = found[name]
        assert span.context.trace_id == int("a" * 32, 16), name
        assert span.parent.span_id == parent, name
        parent = span.context.span_id
    run, call = found["run complete"], found["generate fake:echo"]
    assert run.attributes["phiq.job.id"] == job
    assert run.attributes["phiq.job.state"] == "succeeded"
    assert [event.name for event in run.events] == [event.name for event in call.events] == ["first text"]
    assert call.attributes["gen_ai.usage.output_tokens"] > 0
    assert found["POST /v1/jobs"].attributes["http.route"] == "/v1/jobs"
    assert SECRET not in "".join(span.to_json() for span in spans())


def test_a_failure_is_named_by_its_code_and_quotes_nothing(service, spans):
    class Fails:
        def run(self, job, stop, checkpoints=None, told=None):
            raise EngineDown(f"It chokes on {SECRET}.")
            yield

    job = service.submit(parse_job(complete(max_attempts=1)))
    execute(service.ledger.claim(job.id, "w"), Fails())
    span = next(span for span in spans() if span.name == "run complete")
    assert (span.attributes["error.type"], span.status.is_ok) == ("engine_down", False)
    assert span.attributes["phiq.job.state"] == "dead"
    assert SECRET not in "".join(span.to_json() for span in spans())


def test_a_search_is_a_span_with_counts_alone(spans):
    class Finds:
        def retrieve(self, query, top_k=5, before=()):
            return [Passage.model_construct(text=SECRET)]

    assert TracedRetriever(Finds(), TRACE).retrieve(SECRET, 3)
    (span,) = spans()
    assert dict(span.attributes) == {"phiq.top_k": 3, "phiq.passages": 1}
    assert span.parent.span_id == int("b" * 16, 16)


def test_the_same_request_traced_anew_is_the_same_job(service, spans):
    once = service.submit(parse_job(complete(idempotency_key="k", trace=TRACE)))
    again = service.submit(parse_job(complete(idempotency_key="k")))
    assert once.id == again.id
    assert once.trace is not None
    assert "trace" not in service.get(once.id).job


def test_without_traces_a_trace_that_comes_in_is_handed_on_and_nothing_imported(service):
    assert not tracing.on()
    client = TestClient(create_app(service), "http://127.0.0.1", client=("127.0.0.1", 1))
    job = client.post("/v1/jobs", json=complete(), headers={"traceparent": TRACE}).json()["id"]
    assert service.get(job).trace == TRACE
    job = client.post("/v1/jobs", json=complete(), headers={"traceparent": "00-rubbish"}).json()["id"]
    assert service.get(job).trace is None
    code = "import sys, gateway.http.app, workers.runner; print('opentelemetry.sdk' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_where_traces_go(monkeypatch):
    assert traces_address(Settings()) is None
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    assert traces_address(Settings()) == "http://127.0.0.1:1"
    assert traces_address(Settings(traces="off")) is None
    assert traces_address(Settings(traces="http://127.0.0.1:2")) == "http://127.0.0.1:2"


@pytest.fixture
def collector():
    """An OTLP/HTTP receiver: its address, and the spans that came, as (service, span)."""
    came, arrived = [], threading.Condition()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            assert self.path == "/v1/traces"
            for one in ExportTraceServiceRequest.FromString(body).resource_spans:
                service = next(a.value.string_value for a in one.resource.attributes if a.key == "service.name")
                with arrived:
                    came.extend((service, span, body) for scope in one.scope_spans for span in scope.spans)
                    arrived.notify_all()
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()

    def wait(names, seconds=30):
        until = time.monotonic() + seconds
        with arrived:
            while not names <= {span.name for _, span, _ in came}:
                assert arrived.wait(until - time.monotonic()), sorted(span.name for _, span, _ in came)
        return list(came)

    yield f"http://127.0.0.1:{server.server_port}", wait
    server.shutdown()
    server.server_close()


def test_a_worker_sends_its_spans_over_the_wire(collector, settings, tmp_path, wait_until):
    address, wait = collector
    settings = settings.model_copy(update={"traces": address, "slots": 2})
    log = tmp_path / "worker.log"
    with log.open("w") as out:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", *worker_argv(settings)],
            env=child_environment(settings, worker_name="w1"),
            stdout=out,
            stderr=out,
        )
    service = Service.connect(settings)
    tracing.begin(settings, "gateway")
    try:
        wait_until(service.workers, 60, "the worker")
        job = service.submit(parse_job(complete(trace=TRACE)))
        assert service.wait(job.id, 30).state == "succeeded"
        worker.terminate()  # what waits is sent before the end
        tracing.end()
        came = wait({"run complete", "chain complete", "generate fake:echo", "submit"})
        by = {span.name: service for service, span, _ in came}
        assert by.pop("submit") == "phiq-gateway"
        assert set(by.values()) == {"phiq-worker"}
        assert {span.trace_id for _, span, _ in came} == {b"\xaa" * 16}
        assert not any(SECRET.encode() in body for _, _, body in came)
        worker.wait(30)
    finally:
        tracing.end()
        service.close()
        if worker.poll() is None:
            worker.kill()
            worker.wait()
