"""Webhooks from the end of a job to the endpoint: signed, tried again, given up, replayed, and nobody else's."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from pydantic import SecretStr
from standardwebhooks import Webhook, WebhookVerificationError

from agents.contract import CompletionResult
from knowledge.addresses import AddressRefused
from workers.jobs import parse_job
from workers.outbox import Outbox
from workers.webhooks import EndpointNew, emit
from workers.webhooks.deliver import expand
from workers.webhooks.errors import DeliveryNotFound, WebhookExists, WebhookInvalid, WebhookNotFound
from workers.webhooks.webhooks import parse_new

pytestmark = pytest.mark.service


@pytest.fixture
def webhooks(service):
    return service.webhooks


@pytest.fixture
def add(webhooks, receiver):
    def make(name="crm", tenant="default", **fields):
        return webhooks.add(tenant, EndpointNew(**{"name": name, "url": receiver.url, **fields}))

    return make


@pytest.fixture
def end(service, ledger):
    """Submit a job and let it succeed, fail or be cancelled; then let the outbox be read."""

    def make(how="succeed", **fields):
        job = parse_job({"kind": "complete", "input": {"prompt": "secret words"}, "model": "fake:echo", **fields})
        record = service.submit(job)
        if how == "cancel":
            service.cancel(record.id, record.tenant)
        else:
            ledger.claim(record.id, "w").succeed(CompletionResult(text="secret answer"))
        outbox = Outbox(ledger)
        for _ in range(2):
            outbox.once("webhooks", lambda entries: expand(ledger, entries))
        return record

    return make


def later(client, seconds):
    """As if the clock had run on for deliveries."""
    for key in client.scan_iter("phiq:webhook:*"):
        if client.type(key) == "zset":
            for member, score in client.zrange(key, 0, -1, withscores=True):
                client.zadd(key, {member: score - seconds * 1000})
        elif ":delivery:" in key or ":state:" in key:
            for name in ("since", "failing"):
                if client.hexists(key, name):
                    client.hincrby(key, name, round(-seconds * 1000))


def test_the_end_of_a_job_is_told_signed_and_without_contents(add, end, deliverer, receiver, webhooks):
    endpoint = add()
    record = end(metadata={"ticket": "secret too"})
    assert deliverer.once() == 1
    headers, body = receiver.got[0]
    told = Webhook(endpoint.secrets[0].value.get_secret_value()).verify(body, headers)
    assert told["type"] == "job.succeeded"
    assert told["data"]["id"] == record.id
    assert told["data"]["links"] == {"self": f"/v1/jobs/{record.id}"}
    assert "secret" not in body
    assert datetime.fromisoformat(told["timestamp"]).tzinfo is not None
    with pytest.raises(WebhookVerificationError):
        Webhook(endpoint.secrets[0].value.get_secret_value()).verify(body + " ", headers)
    delivery = webhooks.deliveries("default")[0]
    assert (delivery.state, delivery.status, delivery.tries) == ("delivered", 204, 1)
    assert webhooks.get("default", "crm").delivered_at is not None
    assert deliverer.once() == 0


def test_the_same_end_read_twice_is_told_once_and_a_replayed_job_ends_again(
    add, end, service, ledger, deliverer, receiver
):
    add()
    record = end("cancel")
    outbox = Outbox(ledger)
    for _ in range(2):
        outbox.once("a second group sees the same", lambda entries: expand(ledger, entries))
    assert deliverer.once() == 1
    service.replay(record.id)
    service.cancel(record.id)
    outbox.once("webhooks", lambda entries: expand(ledger, entries))
    assert deliverer.once() == 1
    ids = [headers["webhook-id"] for headers, _ in receiver.got]
    assert len(set(ids)) == 2


def test_contents_go_along_when_asked_for(add, end, deliverer, receiver, service):
    add(include=["result", "metadata"])
    record = end(metadata={"ticket": "17"})
    gone = end()
    service.ledger.forget(gone.id, "default")
    deliverer.once()
    told = {data["id"]: data for data in (json.loads(body)["data"] for _, body in receiver.got)}
    assert told[record.id]["result"]["text"] == "secret answer"
    assert told[record.id]["metadata"] == {"ticket": "17"}
    assert told[gone.id]["gone"] is True


def test_who_is_told_what(add, end, deliverer, receiver, service, ledger, webhooks):
    add("all", events=["*"])
    add("failures", events=["job.failed", "job.dead"])
    add("chats", filters={"kinds": ["chat"]})
    add("named", filters={"named": True})
    add("lines", filters={"batch_lines": True})
    add("nightly", filters={"origin": "schedule/nightly"})
    add("elsewhere", tenant="other")

    def told(**fields):
        before = {one.id for one in webhooks.deliveries("default")}
        end(**fields)
        return {one.endpoint for one in webhooks.deliveries("default") if one.id not in before}

    assert told() == {"all", "lines"}
    assert told(webhook="named") == {"all", "lines", "named"}
    assert told(origin="batch/b1/7") == {"lines"}
    assert told(origin="schedule/nightly/1") == {"all", "lines", "nightly"}
    assert told(origin="schedule/nightlys/1") == {"all", "lines"}
    assert webhooks.deliveries("other") == []
    assert emit(ledger, "default", "batch.completed", "b1", {"id": "b1"}) == 6 - 2
    assert emit(ledger, "default", "batch.completed", "b1", {"id": "b1"}) == 0, "said twice"
    assert emit(ledger, "default", "schedule.fired", "n 1", {}, only="named") == 1
    assert emit(ledger, "default", "schedule.fired", "n 1", {}, only="nobody") == 0


def test_a_job_that_names_an_endpoint_that_is_not_there_is_refused(service, add):
    add(tenant="other")
    with pytest.raises(WebhookNotFound):
        service.submit(
            parse_job({"kind": "complete", "input": {"prompt": "x"}, "webhook": "crm", "model": "fake:echo"})
        )


def test_failures_come_back_later_and_later_under_one_id(add, end, deliverer, receiver, webhooks, client):
    add()
    receiver.answers = [(500, {}), (302, {"Location": "http://127.0.0.1/"}), (404, {}), (200, {})]
    end()
    waits = []
    for n in range(4):
        assert deliverer.once() == 1
        one = webhooks.deliveries("default")[0]
        if n < 3:
            assert (one.state, one.tries) == ("pending", n + 1)
            assert webhooks.get("default", "crm").failing_since is not None
            waits.append((one.due_at - one.last_at).total_seconds())
            assert deliverer.once() == 0, "not before it is due"
            later(client, 4000)
    assert one.state == "delivered"
    assert waits[0] < waits[1] < waits[2]
    assert 4 <= waits[0] <= 7
    assert len({headers["webhook-id"] for headers, _ in receiver.got}) == 1
    assert len({body for _, body in receiver.got}) == 1
    assert webhooks.get("default", "crm").failing_since is None


@pytest.mark.parametrize("form", ["seconds", "date", "nonsense", "far"])
def test_retry_after_is_honoured(form, add, end, deliverer, receiver, webhooks):
    add()
    value = {
        "seconds": "1000",
        "date": format_datetime(datetime.now(UTC) + timedelta(seconds=1000), usegmt=True),
        "nonsense": "soon",
        "far": "99999999",
    }[form]
    receiver.answers = [(429, {"Retry-After": value})]
    end()
    deliverer.once()
    one = webhooks.deliveries("default")[0]
    wait = (one.due_at - one.last_at).total_seconds()
    least, most = {"seconds": (990, 1010), "date": (980, 1010), "nonsense": (4, 7), "far": (21590, 21610)}[form]
    assert least < wait < most


def test_given_up_after_a_day_and_replayed(add, end, deliverer, receiver, webhooks, client):
    endpoint = add()
    receiver.answers = [(503, {})]
    end()
    deliverer.once()
    later(client, 86400)
    deliverer.once()
    [letter] = webhooks.deliveries("default", state="dead")
    assert "given up after 2 tries" in letter.error
    receiver.answers = [(200, {})]
    assert webhooks.replay("default", letter.id).state == "pending"
    assert deliverer.once() == 1
    assert webhooks.delivery("default", letter.id).state == "delivered"
    assert receiver.got[-1][0]["webhook-id"] == receiver.got[0][0]["webhook-id"]
    Webhook(endpoint.secrets[0].value.get_secret_value()).verify(receiver.got[-1][1], receiver.got[-1][0])
    webhooks.drop("default", letter.id)
    with pytest.raises(DeliveryNotFound):
        webhooks.delivery("default", letter.id)


def test_an_endpoint_that_fails_for_long_is_disabled_and_says_so(add, end, deliverer, receiver, webhooks, client):
    add()
    receiver.answers = [(500, {})]
    end()
    deliverer.once()
    later(client, 4 * 86400)
    end()
    deliverer.once()
    found = webhooks.get("default", "crm")
    assert found.disabled_at is not None
    assert found.disabled_why == "it failed for too long"
    asked = len(receiver.got)
    end()
    assert deliverer.once() == 0
    assert {one.state for one in webhooks.deliveries("default")} == {"dead"}
    assert len(receiver.got) == asked
    receiver.answers = [(200, {})]
    assert webhooks.enable("default", "crm").disabled_at is None
    for one in webhooks.deliveries("default"):
        webhooks.replay("default", one.id)
    assert deliverer.once() == 3


def test_gone_disables_at_once(add, end, deliverer, receiver, webhooks):
    add()
    receiver.answers = [(410, {})]
    end()
    deliverer.once()
    assert webhooks.get("default", "crm").disabled_why == "it answered 410 Gone"
    assert webhooks.deliveries("default")[0].state == "dead"


def test_a_rotated_secret_signs_beside_the_new_one_for_a_while(add, end, deliverer, receiver, webhooks):
    old = add().secrets[0].value.get_secret_value()
    new = webhooks.rotate("default", "crm", overlap=60).secrets[0].value.get_secret_value()
    end()
    deliverer.once()
    headers, body = receiver.got[0]
    assert len(headers["webhook-signature"].split()) == 2
    for secret in (old, new):
        Webhook(secret).verify(body, headers)
    webhooks.rotate("default", "crm", overlap=0)
    end()
    deliverer.once()
    headers, body = receiver.got[1]
    for secret in (old, new):
        with pytest.raises(WebhookVerificationError):
            Webhook(secret).verify(body, headers)


def test_a_slow_endpoint_and_a_dead_worker_hold_nobody_up(add, end, deliverer, receiver, webhooks, client):
    add("slow")
    add("fine")
    for _ in range(3):
        end()
    # Two workers took deliveries to one endpoint and died.
    taken = [deliverer._take() for _ in range(4)]
    assert {one.endpoint for one, _ in taken[:2]} == {"slow", "fine"}, "in turns"
    assert deliverer._take() is None, "two at once to each"
    later(client, 600)
    assert deliverer.once() == 6
    assert {one.state for one in webhooks.deliveries("default")} == {"delivered"}
    # One of them wakes up: its answer no longer counts.
    from workers.webhooks.send import Sent

    assert deliverer._settle(*taken[0], Sent("dead", error="late")) == "lost"


def test_a_lost_reply_settles_once(add, end, deliverer, receiver, webhooks):
    from workers.webhooks.send import Sent

    add()
    receiver.answers = [(500, {})]
    end()
    delivery, owner = deliverer._take()
    sent = Sent("retry", 500, "it answered 500", 5.0)
    assert deliverer._settle(delivery, owner, sent) == "pending"
    first = webhooks.delivery("default", delivery.id)
    time.sleep(0.01)
    assert deliverer._settle(delivery, owner, sent) == "pending"
    assert webhooks.delivery("default", delivery.id) == first


def test_a_lost_reply_takes_and_drops_once(add, end, ledger, webhooks):
    add()
    for _ in range(2):
        end()
    taken = [ledger.scripts.run("webhook_take", "owner", 60_000, 2, 1000) for _ in range(2)]
    assert taken[0] == taken[1]
    assert sorted(one.tries for one in webhooks.deliveries("default")) == [0, 1]
    one = webhooks.deliveries("default")[0].id
    assert [ledger.scripts.run("webhook_drop", one, who) for who in ("default", "default", "other")] == [1, 1, 0]


def test_answers_are_bounded_in_size_and_time(add, end, deliverer, receiver, webhooks):
    add()
    receiver.body = b"x" * 10_000
    end()
    began = time.monotonic()
    deliverer.once()
    assert time.monotonic() - began < 2
    assert webhooks.deliveries("default")[0].state == "delivered"
    receiver.body = b""
    receiver.answers = [(200, {"Content-Length": "100"})]
    end()
    deliverer.once()
    assert webhooks.deliveries("default")[0].state == "pending"


def test_a_name_that_turned_inward_is_not_followed(add, end, deliverer, receiver, webhooks, service, monkeypatch):
    import socket

    real = socket.getaddrinfo
    monkeypatch.setattr(
        socket,
        "getaddrinfo",
        lambda host, port, *a, **k: (
            [(socket.AF_INET, 1, 6, "", ("169.254.169.254", port))] if "example" in host else real(host, port, *a, **k)
        ),
    )
    add(url="https://hooks.example.com/x")
    end()
    deliverer.once()
    [letter] = webhooks.deliveries("default", state="dead")
    assert "not public" in letter.error
    assert "169.254" not in letter.error


@pytest.mark.parametrize("url", ["https://10.0.0.1/", "http://example.com/", "https://localhost/", "https://0x7f.1/"])
def test_addresses_inside_are_refused_when_they_are_named(url, add):
    with pytest.raises(AddressRefused):
        add(url=url)


def test_endpoints_are_their_tenants_own(add, webhooks, end):
    add()
    with pytest.raises(WebhookExists):
        add()
    end()
    delivery = webhooks.deliveries("default")[0].id
    for door in (webhooks.get, webhooks.rotate, webhooks.enable, webhooks.remove, webhooks.test):
        with pytest.raises(WebhookNotFound):
            door("other", "crm")
    for door in (webhooks.delivery, webhooks.replay, webhooks.drop):
        with pytest.raises(DeliveryNotFound):
            door("other", delivery)
        with pytest.raises(DeliveryNotFound):
            door("default", "../" + delivery[3:])


def test_removing_takes_everything_and_the_ledger_stops_listening(add, webhooks, end, client, deliverer):
    add()
    end()
    assert client.sismember("phiq:webhook:listening", "default")
    webhooks.remove("default", "crm")
    assert webhooks.deliveries("default") == []
    assert deliverer.once() == 0
    assert [key for key in client.keys("phiq:webhook:*") if "turns" not in key and "dropped" not in key] == []
    before = client.xlen("phiq:outbox")
    end()
    assert client.xlen("phiq:outbox") == before


def test_a_test_is_sent_whatever_it_listens_to(add, webhooks, deliverer, receiver):
    add(events=["batch.failed"])
    assert webhooks.test("default", "crm").type == "webhook.test"
    deliverer.once()
    assert json.loads(receiver.got[0][1])["data"] == {"endpoint": "crm"}


@pytest.mark.parametrize(
    "fields",
    [{"events": ["jobs.*"]}, {"events": []}, {"name": "a/b"}, {"filters": {"kinds": ["cook"]}}, {"include": ["all"]}],
)
def test_what_can_not_be_an_endpoint(fields):
    with pytest.raises(WebhookInvalid):
        parse_new({"name": "crm", "url": "https://example.com", **fields})


def test_secrets_are_not_shown(add):
    made = add()
    assert "whsec_" not in repr(made) + made.model_dump_json()
    assert isinstance(made.secrets[0].value, SecretStr)


def test_deliveries_are_bounded(add, ledger, client, webhooks, monkeypatch):
    monkeypatch.setattr("workers.webhooks.events.MOST_DELIVERIES", 5)
    add()
    for n in range(9):
        emit(ledger, "default", "batch.completed", str(n), {"n": n})
        time.sleep(0.002)  # within a millisecond there is no order
    assert [one.data["n"] for one in webhooks.deliveries("default")] == [8, 7, 6, 5, 4]
    assert len(client.keys("phiq:webhook:delivery:*")) == 5


def test_erase_takes_what_was_told_of_the_jobs(add, end, ledger, client, webhooks, deliverer):
    from workers.webhooks import keeping

    add()
    add(tenant="other")
    hers, his, others = end(), end(), end(tenant="other")
    assert keeping.erase(ledger, "default", {hers.id}, dry_run=True) == 1
    assert keeping.erase(ledger, "default", {hers.id}) == 1
    assert {one.job for one in webhooks.deliveries("default")} == {his.id}
    assert keeping.erase(ledger, "default", None) == 1
    assert webhooks.known("default") == []
    assert {fields["id"] for _, fields in client.xrange("phiq:outbox")} == {others.id}
    left = [key for key in client.keys("phiq:webhook:*") if "default" in key and ":due:" not in key]
    assert left == []
    assert deliverer.once() == 1
    assert webhooks.deliveries("other")[0].state == "delivered"
    assert [key for key in client.keys("phiq:webhook:*") if "default" in key] == []


def test_what_a_set_back_redis_forgot_is_found_in_the_records(add, end, ledger, client, webhooks, monkeypatch):
    from workers.webhooks import catch_up

    end()  # before there was an endpoint
    add()
    add("named", filters={"named": True})
    end()
    forgotten, dropped = end(webhook="named"), end()
    for one in webhooks.deliveries("default"):
        if one.job == forgotten.id:
            client.delete(f"phiq:webhook:delivery:{one.id}")
        if one.job == dropped.id:
            webhooks.drop("default", one.id)
    before = {one.id for one in webhooks.deliveries("default")}
    assert catch_up.catch_up(ledger) == 0, "they ended just now"
    monkeypatch.setattr(catch_up, "_UNTIL", -5.0)
    assert catch_up.catch_up(ledger) == 2
    assert catch_up.catch_up(ledger) == 0
    new = [one for one in webhooks.deliveries("default") if one.id not in before]
    assert sorted((one.endpoint, one.job) for one in new) == [("crm", forgotten.id), ("named", forgotten.id)]
