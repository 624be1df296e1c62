"""Every script of the ledger, with the reply of every call lost on the wire, so that redis-py sends each one twice.
What it leaves in Redis is what an undisturbed ledger leaves.
"""

from __future__ import annotations

import hashlib
import json
import re
from importlib import resources

import pytest
from proofs_audit import dump
from proofs_servers import grow_older

from agents.contract import CompletionResult, Progress
from knowledge.errors import UserError
from workers.errors import EngineDown, IdempotencyConflict, LeaseLost, MustRunAlone, QuotaExceeded
from workers.jobs import Capability, parse_job
from workers.ledger import Ledger, LedgerConfig, WorkerInfo
from workers.ledger.overview import Limits
from workers.ledger.scripts import source
from workers.sight.counts import Reporter
from workers.sight.tally import Tally

pytestmark = pytest.mark.service

CONFIG = LedgerConfig(lease=100.0, retry_base=50.0, retry_cap=50.0, flush=0.0, worker_ttl=1000.0)


def everything(ledger, client):
    """A bit of all that can happen to jobs; returns what was answered, without what differs from run to run."""
    told = []
    names = {}

    def submit(name, **fields):
        job = parse_job({"kind": "complete", "input": {"prompt": name}, **fields})
        names[name] = ledger.submit(job, model="m", capability=Capability.GENERATE).id
        told.append(ledger.get(names[name], job.tenant).state)
        return names[name]

    def lose_worker(name, attempt_of):
        """Its worker falls silent and its lease runs out."""
        ledger.leave("w")
        grow_older(client, 150)
        told.append([attempt_of == job_id for job_id in ledger.reap().lost])
        ledger.heartbeat(WorkerInfo(name="w", serves=[Capability.GENERATE], slots=2))

    ledger.heartbeat(WorkerInfo(name="w", serves=[Capability.GENERATE], slots=2))
    ledger.reap()
    grow_older(client, 150)
    ledger.heartbeat(WorkerInfo(name="w", serves=[Capability.GENERATE], slots=2))
    told.append(submit("keyed", idempotency_key="k") == submit("keyed", idempotency_key="k"))
    with pytest.raises(IdempotencyConflict):
        submit("another", idempotency_key="k")
    sent = []
    told.append(ledger.dispatch(lambda queue, job_id: sent.append(job_id)))
    told.append(ledger.waiting(sent[0], "default").reason)

    first = ledger.claim(names["keyed"], "w")
    for text in ("one ", "two "):
        first.delta(text)
    first.progress(Progress(done=1, total=2))
    first.checkpoints["part"] = {"a": 1}
    first.renew()
    told.append(first.succeed(CompletionResult(text="one two ")))
    with pytest.raises(LeaseLost):
        first.delta("more")

    retried = submit("retried", max_attempts=2, tenant="t")
    told.append(ledger.claim(retried, "w").fail(EngineDown("Down.")))
    grow_older(client, 90)
    told.append(ledger.reap().due)
    told.append(ledger.claim(retried, "w").fail(EngineDown("Down.")))
    told.append([record.id == retried for record in ledger.dead("t")])
    told.append(ledger.replay(retried, "t").state)
    told.append(ledger.claim(retried, "w").release())
    told.append(ledger.cancel(retried, "t").state)
    told.append(ledger.replay(retried, "t").state)
    told.append(ledger.claim(retried, "w").fail(UserError("No.")))

    suspect = submit("suspect", max_attempts=9)
    for _ in range(2):
        ledger.claim(suspect, "w")
        lose_worker("w", suspect)
    with pytest.raises(MustRunAlone):
        ledger.claim(suspect, "w")
    told.append(ledger.waiting(suspect, "default").reason)
    ledger.unreserve(suspect, "w")
    ledger.claim(suspect, "w", alone=True)
    lose_worker("w", suspect)
    told.append((ledger.get(suspect, "default").state, ledger.get(suspect, "default").error["code"]))
    ledger.drop(suspect, "default")

    ledger.set_limits("t", Limits(queued=1))
    ledger.pause(tenant="t")
    held = submit("held", tenant="t")
    with pytest.raises(QuotaExceeded):
        submit("one too many", tenant="t")
    told.append((ledger.claim(held, "w"), ledger.dispatch(lambda queue, job_id: sent.append(job_id))))
    ledger.resume(tenant="t")
    running = ledger.claim(held, "w")
    told.append(ledger.cancel(held, "t").state)
    told.append(running.cancelled())
    told.append([ledger.forget(names["keyed"], "default"), ledger.forget(names["keyed"], "default")])
    submit("late", expires_in=20.0)
    submit("later", delay=1000.0)
    grow_older(client, 30)
    told.append(ledger.reap().lost)
    told.append([(one.name, one.queued, one.running) for one in ledger.tenants()])
    told.append([(one.name, one.waiting, one.running) for one in ledger.queues() if one.waiting])
    told.append([one.name for one in ledger.workers()])
    tally = Tally()
    tally.add("hosts", "started", "model", amount=3)
    Reporter(ledger.scripts, tally).report()
    told.append([ledger.once("tick", "noon", 50.0), ledger.once("tick", "noon", 50.0)])
    return told, {job_id: name for name, job_id in names.items()}


def shape(client, names):
    """What lies in Redis, without times, tokens and nonces."""
    real_time = ("pace", "sight:hour:")
    kept = {key: value for key, value in dump(client).items() if not key.startswith(real_time)}
    text = json.dumps({key: value for key, (value, _) in kept.items()}, default=sorted, sort_keys=True, indent=0)
    for job_id, name in names.items():
        text = text.replace(job_id, name)
    for key in [key for key in kept if key.startswith("op:")]:
        text = text.replace(key, "op")
    text = re.sub(r"\b[0-9]{13}(\.0)?(-[0-9]+)?\b", "TIME", text)
    text = re.sub(r"\b[0-9a-f]{64}\b|\b[0-9a-f]{32}\b|\b[0-9a-f]{40}\b", "HASH", text)
    return text.splitlines(), sorted(key.partition(":")[0] for key, (_, left) in kept.items() if left > 0)


def test_whatever_is_repeated_changes_nothing(rewindable, proxy):
    between = proxy(rewindable.port)
    rewindable.begin_anew()
    with rewindable.client() as client:
        undisturbed, names = everything(Ledger(client, CONFIG), client)
        expected = shape(client, names)
        client.flushall()
        between.every = True
        with rewindable.client(between.port) as lossy:
            disturbed, names = everything(Ledger(lossy, CONFIG), client)
        found = shape(client, names)
    assert disturbed == undisturbed
    for one, other in zip(found, expected, strict=True):
        assert one == other
    folder = resources.files("workers.ledger") / "lua"
    scripts = {file.name[:-4] for file in folder.iterdir() if file.name not in ("prelude.lua", "handout.lua")}
    scripts = {name for name in scripts if not name.startswith("webhook")}  # those are tested in tests/webhooks
    lost = {name for name in scripts if hashlib.sha1(source(name).encode()).hexdigest() in between.lost}
    assert scripts - lost == {"peek"}, "peek is read only, and its replies are lost in test_states.py"
