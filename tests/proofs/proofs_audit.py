"""Looks at everything the ledger keeps in Redis and compares it with the model: one place for each job, indexes and
counters that agree with the records, streams without gaps, nothing left behind and nothing kept for ever."""

from __future__ import annotations

import json
import re
from typing import Any

import redis
from proofs_model import Model

from workers.jobs import State

PLACES = {
    State.QUEUED: {("waiting",), ("sent",)},
    State.DELAYED: {("delayed",)},
    State.RUNNING: {("leases",)},
}
GLOBAL = {
    "delayed",
    "leases",
    "limits",
    "finished",
    "queues",
    "workers",
    "seen",
    "boot",
    "clock",
    "pause",
    "counted",
    "pace",
}
GLOBAL |= {"dead", "tenants", "paused", "born", "process", "outbox"}
BY_QUEUE = {"waiting", "sent", "turns", "turn", "rested", "running"}
BY_TENANT = {"jobs", "dead", "handed", "busy", "later", "quota"}
OF_JOB = {"job", "events", "text", "checkpoints"}
_ID = re.compile(r"[0-9a-f]{32}")


def dump(client: redis.Redis) -> dict[str, tuple[Any, int]]:
    """Every key below the ledger's prefix (the broker's lists apart), with its value and what it has left to live."""
    keys = sorted(key for key in client.keys("phiq:*") if not key.startswith("phiq:broker:"))
    with client.pipeline(transaction=False) as pipe:
        for key in keys:
            pipe.type(key).pttl(key)
        facts = pipe.execute()
        for key, kind in zip(keys, facts[::2], strict=True):
            {
                "string": lambda key: pipe.get(key),
                "hash": lambda key: pipe.hgetall(key),
                "zset": lambda key: pipe.zrange(key, 0, -1, withscores=True),
                "set": lambda key: pipe.smembers(key),
                "list": lambda key: pipe.lrange(key, 0, -1),
                "stream": lambda key: pipe.xrange(key),
            }[kind](key)
        values = pipe.execute()
    found = {}
    for key, kind, left, value in zip(keys, facts[::2], facts[1::2], values, strict=True):
        found[key.removeprefix("phiq:")] = (dict(value) if kind == "zset" else value, left)
    return found


def audit(client: redis.Redis, model: Model) -> None:
    """Fail where Redis and the model, or Redis and itself, disagree."""
    kept = dump(client)
    _places(kept, model)
    _keys(kept, model)
    _indexes(kept, model)
    outbox = [fields for _, fields in kept.get("outbox", ([], 0))[0]]
    # Of ends in one round of the reaper the order is nobody's business.
    assert sorted((fields["id"], fields["state"]) for fields in outbox) == sorted(model.told), "told once for each end"
    for job_id in model.jobs:
        _record(kept, model, job_id)
        _stream(kept, model, job_id)


def _of(kept: dict[str, tuple[Any, int]], kind: str) -> dict[str, Any]:
    return {key.partition(":")[2]: value for key, (value, _) in kept.items() if key.partition(":")[0] == kind}


def _places(kept: dict[str, tuple[Any, int]], model: Model) -> None:
    places: dict[str, list[str]] = {}
    for kind in ("waiting", "sent", "delayed", "leases"):
        for name, members in _of(kept, kind).items():
            for job_id in members:
                places.setdefault(job_id, []).append(kind)
                job = model.jobs[job_id]
                queue = _of(kept, "job")[job_id]["queue"]
                assert name in ("", queue, f"{queue}:{job.tenant}"), f"{job_id} lies in {kind}:{name}"
    for job_id, job in model.jobs.items():
        assert tuple(places.pop(job_id, ())) in PLACES.get(job.state, {()}), (job.state, places)
    assert not places, f"no such jobs: {places}"


def _keys(kept: dict[str, tuple[Any, int]], model: Model) -> None:
    """Nothing is left of jobs that are gone, ended ones go by themselves, others do not."""
    for key, (_, left) in kept.items():
        kind, _, rest = key.partition(":")
        if kind in OF_JOB:
            assert rest in model.jobs, f"left behind: {key}"
            ended = model.jobs[rest].state.final
            assert (left > 0) == ended, f"{key} of a job that {'ended' if ended else 'lives'} expires in {left} ms"
            assert not (ended and kind == "checkpoints"), f"{key} outlives its job"
        elif kind == "idem":
            job = model.keyed(*rest.split(":"))
            assert job is not None, f"left behind: {key}"
            assert (left > 0) == job.state.final, f"{key} expires in {left} ms, its job is {job.state}"
        elif kind == "sight":
            assert (left > 0) == rest.startswith(("hour:", "seen:")), f"{key} expires in {left} ms"
        elif kind in ("op", "pause", "counted", "plan"):
            assert left > 0, f"{key} never goes"
        else:
            assert kind in GLOBAL | BY_QUEUE | BY_TENANT, f"what is {key}?"
            assert left == -1, f"{key} expires in {left} ms"


def _indexes(kept: dict[str, tuple[Any, int]], model: Model) -> None:
    known = {job_id: job.tenant for job_id, job in model.jobs.items()} | model.gone
    listed = {job_id: tenant for tenant, members in _of(kept, "jobs").items() for job_id in members}
    assert listed == known
    finished = {entry.split(" ")[1]: entry.split(" ")[0] for entry in kept.get("finished", ({}, 0))[0]}
    ended = {job_id: job.tenant for job_id, job in model.jobs.items() if job.state.final}
    assert finished == ended | model.gone
    ended = {job_id: job.tenant for job_id, job in model.jobs.items() if job.state is State.DEAD}
    letters = _of(kept, "dead")
    everybodys = {entry.split(" ")[1]: entry.split(" ")[0] for entry in letters.pop("", {})}
    assert {job_id: tenant for tenant, members in letters.items() for job_id in members} == everybodys
    assert ended.items() <= everybodys.items() <= (ended | model.gone).items()
    _counts(kept, model)
    watched = set(kept.get("limits", ({}, 0))[0])
    for job_id, job in model.jobs.items():
        limited = job.deadline is not None or (job.expires is not None and not job.started)
        if job.state in (State.QUEUED, State.DELAYED) and limited:
            assert job_id in watched, f"nobody will notice when {job_id} expires"
        else:
            assert job_id not in watched
    assert watched <= set(model.jobs)
    # Who has a line has a turn; a turn without a line goes when it comes up.
    for line in _of(kept, "waiting"):
        queue, _, tenant = line.partition(":")
        assert tenant in kept[f"turns:{queue}"][0], f"nobody will serve {line}"


def _counts(kept: dict[str, tuple[Any, int]], model: Model) -> None:
    """What counts jobs has exactly those that it counts."""
    in_sent = {job_id for members in _of(kept, "sent").values() for job_id in members}
    for name, state in (("busy", State.RUNNING), ("later", State.DELAYED), ("handed", State.QUEUED)):
        counted = {job_id: tenant for tenant, members in _of(kept, name).items() for job_id in members}
        expected = {job_id: job.tenant for job_id, job in model.jobs.items() if job.state is state}
        if name == "handed":
            expected = {job_id: tenant for job_id, tenant in expected.items() if job_id in in_sent}
        assert counted == expected, name
    running = {job_id for members in _of(kept, "running").values() for job_id in members}
    assert running == {job_id for job_id, job in model.jobs.items() if job.state is State.RUNNING}
    assert kept.get("tenants", (set(), 0))[0] >= {job.tenant for job in model.jobs.values()}


def _record(kept: dict[str, tuple[Any, int]], model: Model, job_id: str) -> None:
    job, record = model.jobs[job_id], kept[f"job:{job_id}"][0]
    assert (record["state"], record["tenant"]) == (job.state.value, job.tenant)
    assert (int(record["attempt"]), int(record["tries"])) == (job.number, job.tries)
    assert (int(record.get("deaths", 0)), record.get("suspect") == "1") == (job.deaths, job.suspect)
    running = job.state is State.RUNNING
    assert record.get("token") == (job.token if running else None), "nobody else holds it"
    assert ("lease" in record) == running
    if running:
        assert kept["leases"][0][job_id] == float(record["lease"])
    assert (record.get("cancel") == "1") == job.cancel
    assert ("available" in record) == (job.state is State.DELAYED)
    assert ("finished" in record) == job.state.final
    assert ("result" in record) == (job.state is State.SUCCEEDED)
    assert [record.get(f"try:{n}:outcome", "") for n in range(1, job.number + 1)] == job.outcomes
    assert ("error" in record) == (job.state in (State.FAILED, State.DEAD))
    points = _of(kept, "checkpoints").get(job_id, {})
    assert {name: json.loads(value) for name, value in points.items()} == job.points


def _stream(kept: dict[str, tuple[Any, int]], model: Model, job_id: str) -> None:
    """Gapless, whole, one end, and the same text in all three places."""
    job, record = model.jobs[job_id], kept[f"job:{job_id}"][0]
    text, ends, last = None, 0, ""
    for _, fields in kept[f"events:{job_id}"][0]:
        assert not ends, "nothing follows the end"
        last = fields["t"]
        if fields["t"] == "restarted":
            text = ""
        elif fields["t"] == "delta":
            # The first one that is left may follow text that was trimmed away.
            text = job.text[: int(fields["o"])] if text is None and "trimmed" in record else text or ""
            assert int(fields["o"]) == len(text), "a gap in the stream"
            text += fields["x"]
        elif fields["t"] == "end":
            ends += 1
            assert fields["s"] == job.state.value
    assert ends == job.state.final, last
    if text is not None or "trimmed" not in record:
        assert (text or "") == job.text
    assert kept.get(f"text:{job_id}", ("", 0))[0] == job.text
    assert int(record["offset"]) == len(job.text)
