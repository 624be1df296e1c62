"""What containers and service managers start: `python -m workers worker`, `beat`, `words`, or `probe PART`.

`phiq up` is for one machine; this is for those who start each part by their own means. A probe asks one part whether
it is healthy, prints why not, and ends with 0 or 1.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from knowledge.errors import PhiqError
from workers.settings import Settings, get_settings


def main(arguments: list[str]) -> int:
    """Do what the arguments say; returns the exit code, or becomes Celery and does not return."""
    try:
        match arguments:
            case ["worker"]:
                from workers.app import worker_argv

                _become_celery(worker_argv)
            case ["beat"]:
                from workers.app import beat_argv

                _become_celery(beat_argv)
            case ["solo", worker]:
                from workers.lifecycle.solo_nursery import serve

                return serve(get_settings(), worker)
            case ["words"]:
                _serve_words(get_settings())
                return 0
            case ["probe", part] if part in _PROBES:
                problem = _PROBES[part](get_settings())
                sys.stderr.write(f"{part}: {problem}\n" if problem else "")
                return 1 if problem else 0
    except PhiqError as error:
        sys.stderr.write(f"{error.message}\n{error.hint}\n")
        return 1
    sys.stderr.write(f"usage: python -m workers worker | beat | words | probe {'|'.join(_PROBES)}\n")
    return 2


def _become_celery(arguments: Callable[[Settings], list[str]]) -> None:
    from workers.connections import redis_address

    settings = get_settings()
    redis_address(settings)  # else Celery would tell it with a stack trace
    argv = arguments(settings)
    # In place of this process: signals then reach Celery itself.
    os.execv(sys.executable, [sys.executable, "-m", "celery", *argv])  # noqa: S606 - our own arguments, no shell


def _serve_words(settings: Settings) -> None:
    from urllib.parse import unquote, urlsplit

    from knowledge.words.client import PORT
    from knowledge.words.server import serve

    given = urlsplit(settings.words_url.get_secret_value() if settings.words_url else "")
    serve(settings.data_dir / "words", settings.words_host, given.port or PORT, unquote(given.password or ""))


def _words(settings: Settings) -> str:
    from workers.connections import words_url
    from workers.stack import health

    return health.words(words_url(settings))


def _redis(settings: Settings) -> str:
    from workers.connections import redis_url
    from workers.stack import health

    return health.redis(redis_url(settings), settings)


def _chroma(settings: Settings) -> str:
    from workers.connections import chroma_url
    from workers.stack import health

    return health.chroma(chroma_url(settings))


def _worker(settings: Settings) -> str:
    from workers.connections import redis_url
    from workers.stack import health

    return health.worker_here(settings, redis_url(settings))


def _beat(settings: Settings) -> str:
    from workers.connections import redis_url
    from workers.stack import health

    return health.beat(settings, redis_url(settings))


def _gateway(settings: Settings) -> str:
    from workers.connections import http_url
    from workers.errors import NotRunning
    from workers.stack import health, ports

    try:
        url = http_url(settings)
    except NotRunning:
        url = ports.http_url(settings.http_host, settings.http_port)
    return health.gateway(url)


_PROBES: dict[str, Callable[[Settings], str]] = {
    "redis": _redis,
    "chroma": _chroma,
    "words": _words,
    "worker": _worker,
    "beat": _beat,
    "gateway": _gateway,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
