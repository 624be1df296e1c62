"""Batches over HTTP, with the methods of `workers.batches.store.Batches` that the command line uses."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Literal, TypeVar

from agents.contract import Usage
from gateway.remote import answers, wire
from gateway.remote.address import Address
from gateway.remote.calls import Call, quoted
from workers.batches.records import BatchRecord, BatchState, FileRecord, LineProblem

if TYPE_CHECKING:
    import httpx

T = TypeVar("T")
_Records = list[BatchRecord]
_OWN = "/v1/jobs"
_PROBLEMS = {"Accept": "application/problem+json, application/json"}
"""These routes answer errors in OpenAI's shape, unless they are asked for problems."""


class HttpFiles:
    """Files of the tenant that the key is for."""

    def __init__(self, address: Address, http: Callable[[], httpx.Client]) -> None:
        self._address = address
        self._http = http

    def put(self, stream: IO[bytes], name: str, tenant: str, *, limit: int | None = None) -> FileRecord:
        """Upload the input of a batch, as a stream; it is sent once."""
        import httpx

        _ = limit  # the gateway has its own
        try:
            answer = self._http().post(
                "/v1/files", data={"purpose": "batch"}, files={"file": (name, stream)}, headers=_PROBLEMS
            )
        except httpx.HTTPError as broken:
            raise wire.broken(self._address.base, broken) from broken
        read = partial(_file, tenant)
        return answers.value(answer.status_code, answer.headers, answer.content, self._address.base, read)

    def blocks(self, file_id: str, tenant: str) -> Iterator[bytes]:
        """A file's bytes, in blocks."""
        import httpx

        _ = tenant
        try:
            with self._http().stream("GET", f"/v1/files/{quoted(file_id)}/content", headers=_PROBLEMS) as answer:
                if not answer.is_success:
                    raise answers.error(answer.status_code, answer.headers, answer.read(), self._address.base)
                yield from answer.iter_bytes()
        except httpx.HTTPError as broken:
            raise wire.broken(self._address.base, broken) from broken


class HttpBatches:
    """Batches of the tenant that the key is for.

    Args:
        address: Of the gateway.
        ask: Sends a call, with patience.
        http: The client, for streams.
    """

    def __init__(self, address: Address, ask: Callable[[Call[Any]], Any], http: Callable[[], httpx.Client]) -> None:
        self._ask = ask
        self.files = HttpFiles(address, http)

    def create(
        self,
        tenant: str,
        input_file: str,
        *,
        expires_in: float = 86400.0,
        batch_id: str | None = None,
        metadata: Mapping[str, str] | None = None,
        task: Mapping[str, Any] | None = None,
        **texts: str | None,
    ) -> BatchRecord:
        """Start a batch; a reply that is lost on the way does not make it two."""
        body: dict[str, Any] = {
            "input_file_id": input_file,
            "endpoint": texts.get("endpoint") or _OWN,
            "completion_window": f"{max(1, round(expires_in / 3600))}h",
            "metadata": dict(metadata or {}) or None,
            "documents": task is not None,
            **{name: texts[name] for name in ("name", "model", "webhook") if texts.get(name)},
        }
        headers = _PROBLEMS | {"Idempotency-Key": batch_id or f"auto-{uuid.uuid4().hex}"}
        call = Call("POST", "/v1/batches", partial(_batch, tenant), json=body, headers=headers)
        made: BatchRecord = self._ask(call)
        return made.model_copy(update={"task": None if task is None else dict(task)})

    def get(self, batch_id: str, tenant: str) -> BatchRecord:
        """A batch as it is now."""
        found: BatchRecord = self._ask(Call("GET", _path(batch_id), partial(_batch, tenant), headers=_PROBLEMS))
        return found

    def list(self, tenant: str, limit: int = 20, after: str | None = None) -> _Records:
        """The batches, the latest first."""
        found: _Records = []
        while len(found) < limit:
            params = {"limit": min(100, limit - len(found)), "after": found[-1].id if found else after}
            page = self._ask(Call("GET", "/v1/batches", lambda answer: answer, params=params, headers=_PROBLEMS))
            found += [_batch(tenant, one) for one in page["data"]]
            if not page["has_more"]:
                break
        return found

    def cancel(self, batch_id: str, tenant: str) -> BatchRecord:
        """Let no more lines start and end those that run."""
        call = Call("POST", f"{_path(batch_id)}/cancel", partial(_batch, tenant), headers=_PROBLEMS)
        found: BatchRecord = self._ask(call)
        return found

    def blocks(self, batch: BatchRecord, kind: Literal["output", "errors"]) -> Iterator[bytes]:
        """What a batch has written when it has ended, in blocks; nothing before."""
        file_id = batch.output_file if kind == "output" else batch.error_file
        if file_id is not None:
            yield from self.files.blocks(file_id, batch.tenant)


def _path(batch_id: str) -> str:
    return f"/v1/batches/{quoted(batch_id)}"


def _batch(tenant: str, answer: Mapping[str, Any]) -> BatchRecord:
    """A record from OpenAI's shape."""
    state, counts, usage = BatchState(answer["status"]), answer["request_counts"], answer["usage"]
    return BatchRecord(
        id=answer["id"],
        tenant=tenant,
        state=state,
        name=answer.get("name") or "",
        endpoint=None if answer["endpoint"] == _OWN else answer["endpoint"],
        model=answer.get("model"),
        input_file=answer["input_file_id"],
        output_file=answer.get("output_file_id"),
        error_file=answer.get("error_file_id"),
        created_at=_when(answer["created_at"]),
        started_at=_when(answer.get("in_progress_at")),
        finalizing_at=_when(answer.get("finalizing_at")),
        cancelling_at=_when(answer.get("cancelling_at")),
        finished_at=_when(answer.get(f"{state.value}_at")) if state.final else None,
        expires_at=_when(answer["expires_at"]),
        total=counts["total"],
        completed=counts["completed"],
        failed=counts["failed"],
        usage=Usage(prompt_tokens=usage["input_tokens"], completion_tokens=usage["output_tokens"]),
        seconds=answer["seconds"],
        errors=[LineProblem.model_validate(one) for one in (answer.get("errors") or {}).get("data", [])],
        metadata=answer.get("metadata") or {},
        origin=answer.get("origin"),
    )


def _file(tenant: str, answer: Mapping[str, Any]) -> FileRecord:
    return FileRecord(
        id=answer["id"],
        tenant=tenant,
        name=answer["filename"],
        size=answer["bytes"],
        ref="",
        purpose=answer["purpose"],
        created_at=_when(answer["created_at"]),
        expires_at=_when(answer.get("expires_at")),
    )


def _when(seconds: int | None) -> Any:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
