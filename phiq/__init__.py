"""phiq's Python client.

    import phiq

    job = phiq.submit("chat", "How do I reset it?")
    for text in job.stream():
        print(text, end="", flush=True)
    print(job.result().citations)

It speaks to the HTTP API that PHIQ_URL names, with the key in PHIQ_API_KEY, or to the `phiq up` of this machine;
`AsyncClient` is its asynchronous twin.

The parts are loaded on first use, so that ``import phiq`` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.async_client import AsyncClient, AsyncJob
    from gateway.client import Client, ClientJob, job, jobs, submit
    from knowledge.errors import PhiqError

__all__ = ["AsyncClient", "AsyncJob", "Client", "ClientJob", "PhiqError", "job", "jobs", "submit"]


def __getattr__(name: str) -> Any:
    if name in ("AsyncClient", "AsyncJob"):
        from gateway import async_client

        return getattr(async_client, name)
    if name in __all__:
        from gateway import client

        return getattr(client, name)
    raise AttributeError(f"module 'phiq' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
