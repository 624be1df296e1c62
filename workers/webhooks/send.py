"""Sends one delivery: the body, the signature, one POST, and what its answer means."""

from __future__ import annotations

import email.utils
import json
import random
import time
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

from knowledge.addresses import AddressRefused
from knowledge.errors import PhiqError
from workers.webhooks import signing
from workers.webhooks.records import Delivery, Endpoint

if TYPE_CHECKING:
    import httpx

    from workers.ledger import Ledger

_DELAYS = (5.0, 30.0, 120.0, 600.0, 1800.0, 3600.0, 7200.0)
"""Seconds before the second try and those after it; the last one for all further."""
_LONGEST_WAIT = 6 * 3600.0
_ANSWER = 65_536
"""Bytes of an answer that are read at most; none is kept."""
_RESULT = 262_144
"""Bytes of a result that is sent along at most."""

Outcome = Literal["delivered", "retry", "dead", "gone"]


@dataclass(frozen=True)
class Sent:
    """How a try went; ``delay`` is seconds until the next one."""

    outcome: Outcome
    status: int | None = None
    error: str = ""
    delay: float = 0.0


def send(http: httpx.Client, ledger: Ledger, delivery: Delivery, endpoint: Endpoint, give_up: float) -> Sent:
    """Try once.

    Args:
        http: Of `knowledge.outgoing`.
        ledger: Where the job is, when its result goes along.
        delivery: What.
        endpoint: Where to.
        give_up: Seconds since the first try after which there is no other.

    Raises:
        RedisUnavailable: its job could not be read.
    """
    import httpx

    body = render(ledger, delivery, endpoint)
    headers = {
        **signing.headers(endpoint.secrets, delivery.message, body),
        "content-type": "application/json",
        "user-agent": f"phiq/{version('phiq')}",
        "accept-encoding": "identity",
    }
    try:
        with http.stream("POST", endpoint.url, content=body, headers=headers) as answer:
            size = 0
            for piece in answer.iter_raw():
                size += len(piece)
                if size > _ANSWER:
                    break
            status, wait = answer.status_code, _asked(answer.headers.get("retry-after", ""))
    except AddressRefused as error:
        return Sent("dead", error=error.message)
    except httpx.TimeoutException:
        return _failed(delivery, give_up, None, "it did not answer in time")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        return _failed(delivery, give_up, None, f"it was not reached ({type(error).__name__})")
    if 200 <= status < 300:
        return Sent("delivered", status)
    if status == 410:
        return Sent("gone", status, "it answered 410 Gone")
    said = f"it answered {status}" + ("; redirects are not followed" if 300 <= status < 400 else "")
    return _failed(delivery, give_up, status, said, wait)


def render(ledger: Ledger, delivery: Delivery, endpoint: Endpoint) -> bytes:
    """The body. Contents are in it only when the endpoint asks for them, and read now: a delivery keeps none."""
    data: dict[str, Any] = dict(delivery.data)
    if endpoint.include and delivery.job:
        data.update(_contents(ledger, delivery, endpoint))
    payload = {"type": delivery.type, "timestamp": delivery.created_at.isoformat(), "data": data}
    return json.dumps(payload, separators=(",", ":"), ensure_ascii=False).encode(errors="replace")


def _contents(ledger: Ledger, delivery: Delivery, endpoint: Endpoint) -> dict[str, Any]:
    from workers.errors import JobNotFound

    try:
        record = ledger.get(delivery.job, delivery.tenant)
    except JobNotFound:
        return {"gone": True}
    found: dict[str, Any] = {}
    if "metadata" in endpoint.include:
        found["metadata"] = record.metadata
    if "result" in endpoint.include:
        found["error"] = record.error
        if record.result is not None and len(json.dumps(record.result)) > _RESULT:
            found["result_too_large"] = True
        else:
            found["result"] = record.result
    return found


def _failed(delivery: Delivery, give_up: float, status: int | None, error: str, asked: float = 0.0) -> Sent:
    """Try again later, or not."""
    steady = _DELAYS[min(max(delivery.tries, 1), len(_DELAYS)) - 1]
    # With jitter, so that what failed together does not come back together.
    delay = max(steady * random.uniform(0.8, 1.2), asked)  # noqa: S311 - nobody must not guess it
    age = time.time() - delivery.since.timestamp()
    if age + delay > give_up:
        return Sent("dead", status, f"{error}; given up after {delivery.tries} tries")
    return Sent("retry", status, error, delay)


def _asked(header: str) -> float:
    """Seconds that Retry-After asks for, as a number or a date; 0.0 when it asks for nothing."""
    if not header:
        return 0.0
    try:
        seconds = (
            float(header) if header.isdigit() else email.utils.parsedate_to_datetime(header).timestamp() - time.time()
        )
    except (ValueError, TypeError, OverflowError):
        return 0.0
    return min(_LONGEST_WAIT, max(0.0, seconds))


def problem(error: PhiqError) -> Sent:
    """What an error of ours means for the delivery: it was not tried, and is again soon."""
    return Sent("retry", None, f"not tried: {error.message}", _DELAYS[0])
