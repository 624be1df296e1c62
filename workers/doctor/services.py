"""The services beside phiq: Redis, Chroma, workers, Ollama."""

from __future__ import annotations

from typing import Any

from knowledge.errors import PhiqError
from workers import connections
from workers.doctor.check import Check, fail, ok, warn
from workers.errors import NotRunning
from workers.settings import Settings
from workers.stack import binaries

_SECONDS = 3.0


def redis(settings: Settings) -> list[Check]:
    """Whether Redis answers, is new enough, and keeps what it was given."""
    import redis as library

    try:
        with connections.redis_client(settings) as client:
            facts: dict[str, Any] = client.info()
            policy = facts.get("maxmemory_policy", "noeviction")
            try:
                sync = client.config_get("appendfsync").get("appendfsync", "")
            except library.ResponseError:
                sync = ""  # a managed Redis may forbid CONFIG
    except NotRunning:
        # Raises with the install command when it could not be started either.
        found = binaries.find_redis()
        version = f"Redis {found.version_text} ({found.source}: {found.path})"
        return [warn("redis", f"It does not run; {version} can be started.", "phiq up")]
    except library.AuthenticationError:
        return [fail("redis", "It refuses the password.", "Put the right one into PHIQ_REDIS_URL.")]
    except library.RedisError as error:
        return [fail("redis", f"It does not answer: {error}", "Start it, or mend PHIQ_REDIS_URL.")]
    return [_version(facts), *_promises(facts, policy, sync)]


def chroma(settings: Settings) -> list[Check]:
    """Whether Chroma's server answers, and which it is."""
    import httpx

    try:
        url = connections.chroma_url(settings)
        with httpx.Client(timeout=_SECONDS, trust_env=False) as client:
            client.get(f"{url}/api/v2/heartbeat").raise_for_status()
            version = client.get(f"{url}/api/v2/version").json()
    except NotRunning as error:
        import importlib.metadata

        version = importlib.metadata.version("chromadb")
        return [warn("chroma", f"It does not run; version {version} can be started.", error.hint)]
    except (httpx.HTTPError, ValueError) as error:
        fix = "Start it (phiq up does), or mend PHIQ_CHROMA_URL."
        return [fail("chroma", f"It does not answer at {url}: {error}", fix)]
    return [ok("chroma", f"It answers at {url}, API {version}")]


def workers(settings: Settings) -> list[Check]:
    """Whether somebody works."""
    from workers.service import Service

    try:
        alive = Service.connect(settings).ledger.workers()
    except NotRunning as error:
        return [warn("worker", "None runs, since nothing does.", error.hint)]
    except PhiqError as error:
        return [fail("worker", f"Unknown: {error.message}", error.hint)]
    if not alive:
        start = "phiq up, or: python -m celery -A workers.app worker"
        return [fail("worker", "None runs: jobs are taken and wait.", start)]
    lines = []
    for one in alive:
        serves = ", ".join(capability.value for capability in one.serves)
        lines.append(ok("worker", f"{one.name} serves {serves} ({len(one.running)} of {one.slots} slots busy)"))
    return lines


def ollama(settings: Settings) -> list[Check]:
    """Whether Ollama runs and has a Phi; only a finding when the default model is one of its."""
    import httpx

    needed = settings.model.startswith("ollama:")
    try:
        with httpx.Client(timeout=_SECONDS, trust_env=False) as client:
            answer = client.get(f"{settings.ollama_url.rstrip('/')}/api/tags")
            answer.raise_for_status()
            names = [str(model["name"]) for model in answer.json()["models"]]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        message = f"It does not answer at {settings.ollama_url}"
        if needed:
            return [fail("ollama", f"{message}, and {settings.model} needs it.", "ollama serve")]
        return [ok("ollama", f"{message}; only ollama:… models need it")]
    from workers.models.profiles import lookup

    phis = [name for name in names if lookup(name)]
    if needed and not _has(names, settings.model.removeprefix("ollama:")):
        name = settings.model.removeprefix("ollama:")
        return [fail("ollama", f"It runs and does not have {name}.", f"ollama pull {name}")]
    if not phis:
        return [ok("ollama", f"It runs at {settings.ollama_url} and has no Phi model", "ollama pull phi3.5")]
    return [ok("ollama", f"It runs at {settings.ollama_url} and has {', '.join(phis)}")]


def _has(names: list[str], wanted: str) -> bool:
    return wanted in names or f"{wanted}:latest" in names


def _version(facts: dict[str, Any]) -> Check:
    text = str(facts.get("redis_version", "0"))
    numbers = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    oldest = ".".join(map(str, binaries.OLDEST_REDIS))
    if numbers < binaries.OLDEST_REDIS:
        return fail("redis", f"Redis {text} is too old: {oldest} or newer is needed.", binaries.install_command())
    return ok("redis", f"Redis {text} answers")


def _promises(facts: dict[str, Any], policy: str, sync: str) -> list[Check]:
    found = []
    if policy != "noeviction":
        message = f"maxmemory-policy is {policy}: when memory is short, Redis throws jobs away."
        found.append(fail("redis", message, "redis-cli CONFIG SET maxmemory-policy noeviction"))
    if not facts.get("aof_enabled"):
        message = "The append-only file is off: a restart can lose accepted jobs."
        found.append(warn("redis", message, "redis-cli CONFIG SET appendonly yes"))
    elif sync and sync != "always":
        message = f"appendfsync is {sync}: a crash of its machine can lose the last accepted jobs."
        found.append(warn("redis", message, "redis-cli CONFIG SET appendfsync always"))
    if facts.get("aof_last_write_status", "ok") != "ok":
        message = "Its last write to the append-only file failed: it refuses new jobs."
        found.append(fail("redis", message, "Free disk space where Redis keeps its data."))
    return found
