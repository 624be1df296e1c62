"""The services beside phiq: Chroma, workers, Ollama; Redis has a module of its own."""

from __future__ import annotations

from knowledge.errors import PhiqError
from workers import connections
from workers.doctor.check import Check, fail, ok, warn
from workers.engines.route import parse_route
from workers.errors import NotRunning
from workers.settings import Settings

_SECONDS = 3.0


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


def words(settings: Settings) -> list[Check]:
    """Whether the word index's server answers."""
    from workers.stack import health

    url = connections.words_url(settings)
    if not url:
        return [warn("word index", "It does not run: searches go by meaning only.", "phiq up")]
    if problem := health.words(url):
        fix = "Start it (phiq up does; elsewhere: python -m workers words), or mend PHIQ_WORDS_URL."
        return [warn("word index", f"Searches go by meaning only: {problem}", fix)]
    return [ok("word index", "It answers.")]


def content_store(settings: Settings) -> list[Check]:
    """Whether the content store answers, and is this installation's alone."""
    from workers.content import open_content

    store = open_content(settings)
    users = store.installations()
    if len(users) > 1:
        return [
            warn(
                "content store",
                f"{len(users)} installations use {store.url}, so nobody deletes what jobs no longer need.",
                "Give each a folder of its own (PHIQ_CONTENT_URL); delete the files in its folder owners of those "
                "that are gone.",
            )
        ]
    return [ok("content store", f"It answers at {store.url}")]


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


def http_api(settings: Settings) -> list[Check]:
    """Whether the HTTP API of the stack here takes jobs."""
    from workers.stack import health

    try:
        url = connections.http_url(settings)
    except NotRunning as error:
        return [ok("http api", "It does not run here", error.hint)]
    problem = health.gateway(url)
    if problem:
        return [fail("http api", f"At {url} {problem}", f"Look at {settings.data_dir / 'logs' / 'gateway.log'}")]
    return [ok("http api", f"It takes jobs at {url}")]


def ollama(settings: Settings) -> list[Check]:
    """Whether Ollama runs and has a Phi; only a finding when the default model is one of its."""
    import httpx

    named = [uri.name for uri in parse_route(settings.model) if uri.scheme == "ollama"]
    try:
        with httpx.Client(timeout=_SECONDS, trust_env=False) as client:
            answer = client.get(f"{settings.ollama_url.rstrip('/')}/api/tags")
            answer.raise_for_status()
            names = [str(model["name"]) for model in answer.json()["models"]]
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, TypeError):
        message = f"It does not answer at {settings.ollama_url}"
        if named:
            return [fail("ollama", f"{message}, and {settings.model} needs it.", "ollama serve")]
        return [ok("ollama", f"{message}; only ollama:… models need it")]
    from workers.models.profiles import lookup

    phis = [name for name in names if lookup(name)]
    if missing := [name for name in named if not _has(names, name)]:
        return [fail("ollama", f"It runs and does not have {name}.", f"ollama pull {name}") for name in missing]
    if not phis:
        return [ok("ollama", f"It runs at {settings.ollama_url} and has no Phi model", "ollama pull phi3.5")]
    return [ok("ollama", f"It runs at {settings.ollama_url} and has {', '.join(phis)}")]


def _has(names: list[str], wanted: str) -> bool:
    return wanted in names or f"{wanted}:latest" in names
