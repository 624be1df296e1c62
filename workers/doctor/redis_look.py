"""Redis, as the doctor, `phiq up` and each worker at its start look at it."""

from __future__ import annotations

import logging

from workers import connections
from workers.doctor import redis_facts, redis_promises
from workers.doctor.check import Check, fail, warn
from workers.errors import NotRunning
from workers.settings import Settings
from workers.stack import binaries

log = logging.getLogger(__name__)


def redis(settings: Settings) -> list[Check]:
    """Whether Redis answers, is new enough, has room, and keeps what it was given."""
    import redis as library

    try:
        address = connections.redis_address(settings)
        with connections.redis_client(settings) as client:
            return redis_promises.check(redis_facts.ask(client), address)
    except NotRunning:
        # Raises with the install command when it could not be started either.
        found = binaries.find_redis()
        version = f"Redis {found.version_text} ({found.source}: {found.path})"
        return [warn("redis", f"It does not run; {version} can be started.", "phiq up")]
    except library.exceptions.NoPermissionError as error:
        message = f"Its access list forbids a command that phiq needs: {error}"
        return [fail("redis", message, "Give the user the rule in docs/operations.md, Access list.")]
    except library.AuthenticationError:
        return [fail("redis", "It refuses the user or password.", "Put the right ones into PHIQ_REDIS_URL.")]
    except library.exceptions.BusyLoadingError:
        return [warn("redis", "It is still loading its data.", "Wait a moment.")]
    except (library.RedisError, OSError) as error:
        # An OSError: a file for TLS that is not there.
        return [fail("redis", f"It does not answer: {error}", f"Start it, or mend PHIQ_REDIS_URL ({address.shown}).")]


def log_findings(settings: Settings) -> None:
    """Write into the log what of Redis could lose or refuse jobs: for a worker's start. Never raises."""
    try:
        found = [finding for finding in redis(settings) if finding.status != "ok"]
    except Exception as error:  # noqa: BLE001 - a look that fails must not keep a worker from working
        log.warning("Redis was not looked at (%s)", type(error).__name__)
        return
    for finding in found:
        level = logging.ERROR if finding.status == "fail" else logging.WARNING
        log.log(level, "redis: %s What to do: %s", finding.message, finding.fix)
