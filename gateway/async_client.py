"""The Python client for asyncio.

    async with phiq.AsyncClient() as client:
        job = await client.submit("chat", "How do I reset it?")
        async for text in job.stream():
            print(text, end="", flush=True)
        print((await job.result()).citations)

It speaks HTTP only.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, Literal, Self, TypeVar, cast, overload

from agents.contract import (
    Attachment,
    ChatResult,
    CompletionResult,
    DescriptionResult,
    EmbedResult,
    IngestResult,
    Result,
    SearchResult,
    SummaryResult,
    TranslationResult,
)
from gateway.client import raise_for_state
from gateway.remote import address, calls
from gateway.remote.async_door import AsyncHttp
from gateway.remote.door import LOOK
from gateway.remote.files import opener
from gateway.shorthand import Kind, build_job
from gateway.text import Text
from workers.errors import NotRunning
from workers.jobs import Event, Job, JobRecord, State, Waiting
from workers.settings import get_settings

if TYPE_CHECKING:
    from gateway.remote.address import Address

R_co = TypeVar("R_co", bound=Result, covariant=True)


class AsyncJob(Generic[R_co]):
    """A submitted job: a handle that holds its id and asks the service for the rest."""

    def __init__(self, client: AsyncClient, job_id: str) -> None:
        self._client = client
        self.id = job_id

    def __repr__(self) -> str:
        return f"AsyncJob({self.id!r})"

    async def record(self) -> JobRecord:
        """The job as the ledger knows it now."""
        return await self._client.http.ask(calls.get(self.id))

    async def waiting(self) -> Waiting:
        """Why the job has not started, if it has not."""
        return await self._client.http.ask(calls.waiting(self.id))

    def events(self, after: str = "0-0") -> AsyncIterator[Event]:
        """Everything the job reports, from the event after ``after`` to its end."""
        return self._client.http.events(self.id, after)

    async def stream(self) -> AsyncIterator[str]:
        """The text as it comes; see `ClientJob.stream`.

        Raises:
            PhiqError: the job's error, after the text there was.
        """
        text = Text()
        async for event in self.events():
            if fresh := text.take(event):
                yield fresh
        raise_for_state(await self.record())

    async def result(self, timeout: float | None = None) -> R_co:  # noqa: ASYNC109 - as its twin has it
        """Wait for the end and return the typed result; see `ClientJob.result`.

        Raises:
            PhiqError: the error the job ended with.
            TimeoutError: when the job had not ended in time.
        """
        until = None if timeout is None else time.monotonic() + timeout
        while True:
            left = LOOK if until is None else max(0.0, min(LOOK, until - time.monotonic()))
            record = await self._client.http.ask(calls.get(self.id, wait=left))
            if record.state.final:
                raise_for_state(record)
                return cast("R_co", record.parsed_result())
            if left <= 0:
                raise TimeoutError(f"job {self.id} is still {record.state} after {timeout} s")

    async def fetch(self, file: Attachment | str) -> bytes:
        """A file that the result refers to, such as a masked picture."""
        return await self._client.http.kept(self.id, file if isinstance(file, str) else file.ref)

    async def cancel(self) -> JobRecord:
        """Ask that the job ends; it does within one token."""
        return await self._client.http.ask(calls.cancel(self.id))


class AsyncClient:
    """A connection to phiq's HTTP API, for one event loop; connects when first used.

    Args:
        url: Its address; None: PHIQ_URL, else that of the `phiq up` of this machine.
        api_key: None: PHIQ_API_KEY.
        patience: Seconds within which requests that failed for now are sent again.
    """

    def __init__(self, url: str | None = None, *, api_key: str | None = None, patience: float = 30.0) -> None:
        self._url = url
        self._key = api_key
        self._patience = patience

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    @cached_property
    def http(self) -> AsyncHttp:
        """The connection underneath, for what this class has no word for: ``await client.http.ask(calls.…)``.

        Raises:
            NotRunning: there is no HTTP API to talk to.
            SettingsInvalid: its address or the key can't be used.
        """
        return AsyncHttp(self._address(), self._patience)

    @overload
    async def submit(self, kind: Literal["chat"], content: Any, **fields: Any) -> AsyncJob[ChatResult]: ...
    @overload
    async def submit(self, kind: Literal["summarize"], content: Any, **fields: Any) -> AsyncJob[SummaryResult]: ...
    @overload
    async def submit(self, kind: Literal["translate"], content: Any, **fields: Any) -> AsyncJob[TranslationResult]: ...
    @overload
    async def submit(self, kind: Literal["describe"], content: Any, **fields: Any) -> AsyncJob[DescriptionResult]: ...
    @overload
    async def submit(self, kind: Literal["complete"], content: Any, **fields: Any) -> AsyncJob[CompletionResult]: ...
    @overload
    async def submit(self, kind: Literal["embed"], content: Any, **fields: Any) -> AsyncJob[EmbedResult]: ...
    @overload
    async def submit(self, kind: Literal["search"], content: Any, **fields: Any) -> AsyncJob[SearchResult]: ...
    @overload
    async def submit(self, kind: Literal["ingest"], content: Any, **fields: Any) -> AsyncJob[IngestResult]: ...
    async def submit(self, kind: Kind, content: Any, **fields: Any) -> AsyncJob[Any]:
        """Submit a job; see ``gateway.shorthand.build_job`` for what content and fields may be.

        Raises:
            JobInvalid: when it does not fit the contract.
            NotRunning: when there is no phiq to talk to.
        """
        loop = asyncio.get_running_loop()

        def attach(item: Path | tuple[str, bytes]) -> Attachment:
            return asyncio.run_coroutine_threadsafe(self.attach(item), loop).result()

        # In a thread: it may look through folders. The uploads come back to the loop.
        return await self.submit_job(await asyncio.to_thread(build_job, kind, content, attach, **fields))

    async def submit_job(self, job: Job) -> AsyncJob[Any]:
        """Submit a job that is built already."""
        settings = get_settings()
        if job.model is None and "model" in settings.model_fields_set:
            job = job.model_copy(update={"model": settings.model})
        return AsyncJob(self, (await self.http.ask(calls.submit(job))).id)

    def job(self, job_id: str) -> AsyncJob[Any]:
        """A handle on a job submitted earlier."""
        return AsyncJob(self, job_id)

    async def jobs(
        self, states: Sequence[State] | None = None, kind: str | None = None, limit: int = 50
    ) -> list[JobRecord]:
        """The newest jobs, newest first."""
        found: list[JobRecord] = []
        before: str | None = None
        while len(found) < limit:
            page = await self.http.ask(calls.jobs(states, kind, min(limit - len(found), calls.PAGE), before))
            found += page.data
            before = page.next
            if before is None:
                break
        return found

    async def attach(self, item: Path | tuple[str, bytes]) -> Attachment:
        """Upload a file, or a name and bytes."""
        return await self.http.ask(calls.attach(*opener(item)))

    async def close(self) -> None:
        """Close the connections."""
        made = self.__dict__.pop("http", None)
        if made is not None:
            await made.close()

    def _address(self) -> Address:
        settings = get_settings()
        found = address.of(settings, self._url, self._key, beside_redis=False)
        if found is None:
            raise NotRunning(
                "There is no HTTP API to talk to.",
                hint="Set PHIQ_URL, or start it here: phiq up",
                subject="PHIQ_URL",
            )
        return found
