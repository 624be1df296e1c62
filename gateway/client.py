"""The Python client: submit a job, follow it, get its typed result.

    import phiq

    job = phiq.submit("chat", "How do I reset it?")
    for text in job.stream():
        print(text, end="", flush=True)
    print(job.result().citations)

It speaks to the HTTP API that PHIQ_URL names, with the key in PHIQ_API_KEY; without it, to the `phiq up` of this
machine, or straight to the Redis that the settings name. `AsyncClient` is its asynchronous twin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
from gateway.errors import error_from
from gateway.shorthand import Kind, build_job
from gateway.text import Text
from knowledge.errors import PhiqError
from workers.errors import JobCancelled, JobExpired
from workers.jobs import Event, Job, JobRecord, State, Waiting
from workers.settings import Settings, get_settings

if TYPE_CHECKING:
    from gateway.remote.address import Address
    from workers.service import Service

R_co = TypeVar("R_co", bound=Result, covariant=True)


class ClientJob(Generic[R_co]):
    """A submitted job: a handle that holds its id and asks the service for the rest."""

    def __init__(self, client: Client, job_id: str) -> None:
        self._client = client
        self.id = job_id

    def __repr__(self) -> str:
        return f"ClientJob({self.id!r})"

    @property
    def record(self) -> JobRecord:
        """The job as the ledger knows it now."""
        return self._client.service.get(self.id)

    @property
    def waiting(self) -> Waiting:
        """Why the job has not started, if it has not."""
        return self._client.service.waiting(self.id)

    def events(self, after: str = "0-0") -> Iterator[Event]:
        """Everything the job reports, from the event after ``after`` to its end."""
        return self._client.service.events(self.id, after=after)

    def stream(self) -> Iterator[str]:
        """The text as it comes.

        When the job had to start over, the text begins again; ``events`` tells. Ends with the job.

        Raises:
            PhiqError: the job's error, after the text there was.
        """
        text = Text()
        for event in self.events():
            if fresh := text.take(event):
                yield fresh
        raise_for_state(self.record)

    def result(self, timeout: float | None = None) -> R_co:
        """Wait for the end and return the typed result.

        Args:
            timeout: Seconds to wait; None waits as long as it takes.

        Raises:
            PhiqError: the error the job ended with (``JobCancelled`` and ``JobExpired`` among them).
            TimeoutError: when the job had not ended in time.
        """
        record = self._client.service.wait(self.id, timeout=timeout)
        if not record.state.final:
            raise TimeoutError(f"job {self.id} is still {record.state} after {timeout} s")
        raise_for_state(record)
        return cast("R_co", record.parsed_result())

    def fetch(self, file: Attachment | str) -> bytes:
        """A file that the result refers to, such as a masked picture: ``job.fetch(result.masked[0].picture)``."""
        return self._client.service.kept(self.id, file if isinstance(file, str) else file.ref)

    def cancel(self) -> JobRecord:
        """Ask that the job ends; it does within one token."""
        return self._client.service.cancel(self.id)


class Client:
    """A connection to phiq; cheap to make, connects when first used. Safe between threads.

    Args:
        url: The HTTP API's address; None: PHIQ_URL, else the `phiq up` of this machine, else the settings' Redis.
        api_key: For the HTTP API; None: PHIQ_API_KEY.
        patience: Seconds within which requests that failed for now are sent again.
        settings: In place of the environment's. Without a ``url`` in them, their Redis is meant.
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        patience: float = 30.0,
        settings: Settings | None = None,
    ) -> None:
        self._url = url
        self._key = api_key
        self._patience = patience
        self._settings = settings

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def settings(self) -> Settings:
        """The settings in use."""
        return self._settings or get_settings()

    @cached_property
    def service(self) -> Service:
        """The service underneath, for what this class has no word for.

        Over HTTP a `gateway.remote.door.HttpService`, which has the same methods; what it lacks raises `NotOverHttp`.
        """
        if self.address is not None:
            from gateway.remote.door import HttpService

            return cast("Service", HttpService(self.address, self._patience))
        from workers.service import Service

        return Service.connect(self.settings)

    @cached_property
    def address(self) -> Address | None:
        """The HTTP API that is meant; None: it speaks to Redis."""
        from gateway.remote import address

        return address.of(self.settings, self._url, self._key, beside_redis=self._settings is not None)

    def hang_up(self) -> None:
        """Close the connections where they are HTTP."""
        if "service" in self.__dict__ and self.address is not None:
            self.close()

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        made = self.__dict__.pop("service", None)
        self.__dict__.pop("address", None)
        if made is not None:
            made.close()

    @overload
    def submit(self, kind: Literal["chat"], content: Any, **fields: Any) -> ClientJob[ChatResult]: ...
    @overload
    def submit(self, kind: Literal["summarize"], content: Any, **fields: Any) -> ClientJob[SummaryResult]: ...
    @overload
    def submit(self, kind: Literal["translate"], content: Any, **fields: Any) -> ClientJob[TranslationResult]: ...
    @overload
    def submit(self, kind: Literal["describe"], content: Any, **fields: Any) -> ClientJob[DescriptionResult]: ...
    @overload
    def submit(self, kind: Literal["complete"], content: Any, **fields: Any) -> ClientJob[CompletionResult]: ...
    @overload
    def submit(self, kind: Literal["embed"], content: Any, **fields: Any) -> ClientJob[EmbedResult]: ...
    @overload
    def submit(self, kind: Literal["search"], content: Any, **fields: Any) -> ClientJob[SearchResult]: ...
    @overload
    def submit(self, kind: Literal["ingest"], content: Any, **fields: Any) -> ClientJob[IngestResult]: ...
    def submit(self, kind: Kind, content: Any, **fields: Any) -> ClientJob[Any]:
        """Submit a job; see ``gateway.shorthand.build_job`` for what content and fields may be.

        Raises:
            JobInvalid: when it does not fit the contract.
            NotRunning: when there is no phiq to talk to.
        """
        return self.submit_job(build_job(kind, content, self.attach, **fields))

    def submit_job(self, job: Job) -> ClientJob[Any]:
        """Submit a job that is built already."""
        if self.address is not None and job.model is None and "model" in self.settings.model_fields_set:
            job = job.model_copy(update={"model": self.settings.model})  # else the server's default is taken
        return ClientJob(self, self.service.submit(job).id)

    def job(self, job_id: str) -> ClientJob[Any]:
        """A handle on a job submitted earlier, by anybody."""
        return ClientJob(self, job_id)

    def jobs(self, states: Sequence[State] | None = None, kind: str | None = None, limit: int = 50) -> list[JobRecord]:
        """The newest jobs, newest first."""
        return self.service.list(states=states, kind=kind, limit=limit)

    def attach(self, item: Path | tuple[str, bytes]) -> Attachment:
        """Put a file, or a name and bytes, into the content store."""
        return self.service.attach(item)


def raise_for_state(record: JobRecord) -> None:
    """Nothing for a job that succeeded or still runs, else the error it ended with.

    Raises:
        PhiqError: the recorded error, as the class it was.
    """
    if record.state in (State.FAILED, State.DEAD):
        raise error_from(record.error or {})
    if record.state is State.CANCELLED:
        raise JobCancelled(f"The job was cancelled: {record.id}.", subject=record.id)
    if record.state is State.EXPIRED:
        raise JobExpired(
            f"The job was not done in time: {record.id}.", hint="Give it a later deadline.", subject=record.id
        )


_client = Client()
submit = _client.submit
job = _client.job
jobs = _client.jobs

__all__ = ["Client", "ClientJob", "PhiqError", "job", "jobs", "submit"]
